"""How long a training step takes on this machine: taken, not guessed. Knows no data."""

from __future__ import annotations

import statistics
import time

import torch

from train.models import ModelSpec, build_model

STEPS = 3
_BESIDE = 1.6
"""What loading, optimiser, average and validations add to small batches (measured on two cores:
0.40 s a step in all, where the passes take 0.25 s)."""


def seconds_per_step(spec: ModelSpec, *, batch: int, crop: int, device: torch.device) -> float:
    """Median time of a forward and backward pass on random pictures, with what comes beside."""
    model = build_model(spec).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    model.train()
    pictures = torch.randn(batch, 3, crop, crop, device=device)
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    taken = []
    for _ in range(STEPS + 1):
        start = time.perf_counter()
        outputs = model(pictures)
        main = outputs[0] if isinstance(outputs, tuple) else outputs
        main.float().square().mean().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        taken.append(time.perf_counter() - start)
    return _BESIDE * statistics.median(taken[1:])  # the first one allocates
