"""The loader of a run: one for all its epochs, with as many processes as the machine can spare."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from train.fit.sampling import RunPlan
from train.fit.step import Part

AHEAD = 4
"""Batches that each loader process has ready."""
MOST = 8
"""Loader processes of one training process, if the machine chooses."""


def loader_processes(wanted: int, device: torch.device) -> int:
    """`data.workers`, or what fits the machine for -1.

    A CPU trains on all its cores, so one process reads; a GPU is fed by its share of the cores.
    """
    if wanted >= 0:
        return wanted
    if device.type != "cuda":
        return 1
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return max(1, min(MOST, len(os.sched_getaffinity(0)) // max(1, processes)))


def parts_of_steps(
    data: Dataset[Any], plan: RunPlan, *, workers: int, device: torch.device
) -> Iterator[tuple[Part, ...]]:
    """The parts of each step, from where the plan begins, without end.

    The loader's processes start once and read ahead over the ends of epochs and validations.
    """
    loader: DataLoader[Part] = DataLoader(
        data,
        batch_sampler=plan,
        num_workers=workers,
        prefetch_factor=AHEAD if workers else None,
        pin_memory=device.type == "cuda",
    )
    parts = iter(loader)
    return zip(*[parts] * plan.parts, strict=True)
