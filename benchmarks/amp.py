"""What bf16 is worth on this processor: seconds of a training step.

    python -m benchmarks.amp [--threads 2] [--rounds 3]

Forward, loss, backward and optimiser of the shipped architecture with random pictures; bf16 and
float32 in turn, the best of the rounds each: other work on the machine only adds.
"""

from __future__ import annotations

import time

import click
import torch
from torch.nn import functional as F

from benchmarks.machine import print_result
from train.models import ModelSpec, build_model

SIZES = ((8, 256), (8, 320), (16, 256))


def step(
    network: torch.nn.Module, optimizer: torch.optim.Optimizer, batch: int, side: int, *, bf16: bool
) -> float:
    """Seconds of one optimiser step."""
    x = torch.randn(batch, 3, side, side).contiguous(memory_format=torch.channels_last)
    truth = torch.randint(0, 11, (batch, side // 4, side // 4))
    start = time.perf_counter()
    with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
        scores = network(x)[0]
    size = truth.shape[1:]
    loss = F.cross_entropy(F.interpolate(scores.float(), size=size, mode="bilinear"), truth)
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    return time.perf_counter() - start


@click.command()
@click.option("--threads", default=2, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(threads: int, rounds: int) -> None:
    """Time training steps."""
    torch.set_num_threads(threads)
    spec = ModelSpec(classes=11, head_channels=128, decoder="skip", decoder_channels=64)
    network = build_model(spec).train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), 1e-4)
    rows = []
    for batch, side in SIZES:
        times: dict[bool, list[float]] = {False: [], True: []}
        for index in range(rounds + 1):
            for bf16, found in times.items():
                seconds = step(network, optimizer, batch, side, bf16=bf16)
                if index:  # the first step of a size plans its convolutions
                    found.append(seconds)
        plain, half = min(times[False]), min(times[True])
        print(f"batch {batch}, {side}x{side}: float32 {plain:.2f} s, bf16 {half:.2f} s")
        rows.append({"batch": batch, "side": side, "float32": plain, "bf16": half})
    print_result("amp", {"threads": threads, "rows": rows})


if __name__ == "__main__":
    main()
