"""Timing networks: pictures on the device in, labels on the device out.

What is timed is the whole of a network's work on a batch: normalisation, backbone, head, scores
resized to the pictures' size, argmax. Copies from and to the host are not in it. Shape legend: N
batch, H and W the pictures' size.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from train.errors import UsageError
from train.models import Segmenter, low_resolution_argmax
from train.models.segmenter import normalise

Precision: TypeAlias = Literal["fp32", "tf32", "fp16", "bf16"]
KINDS = {
    "fp32": torch.float32,
    "tf32": torch.float32,
    "fp16": torch.float16,
    "bf16": torch.bfloat16,
}
WARM_UP = 10
"""Calls that do not count: memory is allocated, algorithms are chosen, clocks rise."""


@dataclass(kw_only=True, slots=True, frozen=True)
class Regime:
    """How networks are run."""

    device: torch.device
    size: tuple[int, int]
    """Width and height, multiples of 32."""
    batch: int = 1
    precision: Precision = "fp32"
    rounds: int = 30
    compile: bool = False
    """Through `torch.compile`."""

    def __post_init__(self) -> None:
        cuda = self.device.type == "cuda"
        if self.precision in ("fp16", "tf32") and not cuda:
            raise UsageError(
                f"--precision {self.precision}: for GPUs; on {self.device.type} use fp32 or bf16"
            )

    def __str__(self) -> str:
        """Versions, device and precision, in words."""
        where = (
            torch.cuda.get_device_name(self.device)
            if self.device.type == "cuda"
            else f"{self.device.type.upper()}, {torch.get_num_threads()} threads"
        )
        compiled = ", compiled" if self.compile else ""
        return f"PyTorch {torch.__version__}, {where}, {self.precision}{compiled}"


class Timed(nn.Module):
    """A network from pixels to labels: uint8 ``[N, 3, H, W]`` to uint8 ``[N, H, W]``."""

    def __init__(self, model: Segmenter, kind: torch.dtype) -> None:
        super().__init__()
        self.model, self.kind = model.eval().to(kind), kind
        self.stride = model.spec.label_stride

    def forward(self, pictures_N3HW: Tensor) -> Tensor:
        """Labels of pictures."""
        x = normalise(pictures_N3HW).to(self.kind)
        scores = self.model(x.contiguous(memory_format=torch.channels_last))
        height, width = pictures_N3HW.shape[2:]
        return low_resolution_argmax(scores, height, width, self.stride)


@torch.inference_mode()
def time_networks(
    models: Mapping[str, Segmenter],
    regime: Regime,
    report: Callable[[int, int], None] = lambda done, of: None,
) -> dict[str, float]:
    """Milliseconds of one batch, the median of `regime.rounds`; the networks in turn.

    In turn, so that a busy moment of the machine hits them all. On a GPU each call is waited for.

    Args:
        models: by name; they are moved to the device and its precision.
        regime: how to run them.
        report: called with rounds done and their number.
    """
    width, height = regime.size
    device = regime.device
    generator = torch.Generator().manual_seed(0)
    noise = torch.randint(0, 256, (regime.batch, 3, height, width), generator=generator)
    pictures = noise.to(device=device, dtype=torch.uint8)
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    tf32 = regime.precision == "tf32"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
    benchmark, torch.backends.cudnn.benchmark = torch.backends.cudnn.benchmark, True
    try:
        networks = {
            name: _ready(Timed(model, KINDS[regime.precision]), regime)
            for name, model in models.items()
        }
        times: dict[str, list[float]] = {name: [] for name in networks}
        for index in range(WARM_UP + regime.rounds):
            for name, network in networks.items():
                _wait(device)
                start = time.perf_counter()
                network(pictures)
                _wait(device)
                times[name].append(1000 * (time.perf_counter() - start))
            report(index + 1, WARM_UP + regime.rounds)
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before
        torch.backends.cudnn.benchmark = benchmark
    return {name: statistics.median(values[WARM_UP:]) for name, values in times.items()}


def _ready(network: Timed, regime: Regime) -> Callable[[Tensor], Tensor]:
    network.to(device=regime.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if not regime.compile:
        return network
    compiled: Callable[[Tensor], Tensor] = torch.compile(network)
    return compiled


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
