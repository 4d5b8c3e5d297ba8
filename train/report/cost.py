"""What a network costs: parameters and operations, counted here; latency, read from a file.

``python -m train latency`` (PyTorch) or ``benchmarks/league.py`` (ONNX Runtime) writes that file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from train.errors import TrainError
from train.models import Segmenter


@dataclass(kw_only=True, slots=True, frozen=True)
class Cost:
    """Parameters and operations of one picture."""

    parameters: int
    """Numbers in the layers that run when a picture is labelled: no auxiliary head."""
    gflops: float
    """10^9 operations of convolutions and matrix products; a multiply-add counts two."""
    size: tuple[int, int]
    """Width and height of the picture that `gflops` and `activation_bytes` are for."""
    numbers: int = 0
    """All parameters, the auxiliary head's too."""
    trainable: int = 0
    """Those of them that training changes."""
    activation_bytes: int = 0
    """Outputs of all layers for one picture, in float32."""


def count_cost(model: Segmenter, size: tuple[int, int]) -> Cost:
    """Count by running one picture of `size` (width, height) through the network on the CPU.

    Elementwise work, resizing and normalisation are not counted, as in the papers' tables.
    """
    width, height = size
    used: dict[int, nn.Module] = {}
    outputs: list[int] = []
    hooks = [
        module.register_forward_hook(lambda m, _, y: outputs.append(y.numel()))
        for module in model.modules()
        if next(module.children(), None) is None
    ]
    hooks += [
        module.register_forward_hook(lambda m, *_: used.setdefault(id(m), m) and None)
        for module in model.modules()
        if next(module.parameters(recurse=False), None) is not None
    ]
    counter = FlopCounterMode(display=False)
    was_training, device = model.training, next(model.parameters()).device
    picture = torch.zeros(1, 3, height, width, device=device)
    try:
        with torch.no_grad(), counter:
            model.eval()(picture)
    finally:
        for hook in hooks:
            hook.remove()
        model.train(was_training)
    numbers = {id(p): p.numel() for m in used.values() for p in m.parameters(recurse=False)}
    every = list(model.parameters())
    return Cost(
        parameters=sum(numbers.values()),
        gflops=counter.get_total_flops() / 1e9,
        size=size,
        numbers=sum(p.numel() for p in every),
        trainable=sum(p.numel() for p in every if p.requires_grad),
        activation_bytes=4 * sum(outputs),
    )


@dataclass(kw_only=True, slots=True, frozen=True)
class Latencies:
    """Milliseconds of several networks, measured in one session on one machine."""

    engine: str
    """Engine, device and threads, in words."""
    machine: str
    size: tuple[int, int]
    """Width and height."""
    batch: int
    milliseconds: dict[str, float] = field(repr=False)
    """Of one batch, by model name."""

    @property
    def regime(self) -> str:
        """How it was measured, in one phrase for a figure."""
        width, height = self.size
        return f"{self.engine}, batch {self.batch}, {width}x{height}"


def read_latencies(path: Path) -> Latencies:
    """Read a latency file: engine, machine, size [W, H], batch, milliseconds {name: ms}.

    Raises:
        TrainError: no such file, or a member is missing or of the wrong kind.
    """
    if not path.is_file():
        raise TrainError(f"{path}: no such latency file; python -m train latency --json writes one")
    try:
        values = json.loads(path.read_text())
        width, height = values["size"]
        times = {str(name): float(ms) for name, ms in values["milliseconds"].items()}
        if not times or min(times.values()) <= 0:
            raise ValueError("milliseconds must be positive and at least one")
        return Latencies(
            engine=str(values["engine"]),
            machine=str(values["machine"]),
            size=(int(width), int(height)),
            batch=int(values["batch"]),
            milliseconds=times,
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainError(
            f"{path}: not a latency file ({error!r}); python -m train latency --json writes one"
        ) from error
