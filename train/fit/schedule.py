"""Learning rate over optimiser steps. Knows nothing about networks or epochs."""

from __future__ import annotations

import math
from collections.abc import Callable

from torch.optim import Optimizer

from train.settings.fit import LoopConfig, OptimConfig

WARMUP_PART = 10
"""Warm-up takes at most one in so many steps of a run."""


def rate_factor(config: OptimConfig, steps: int) -> Callable[[int], float]:
    """The schedule of a run of `steps` optimiser steps: step (from 0) to a multiple of ``lr``.

    poly (Liu et al. 2015, ParseNet; with an end rate as in TensorFlow's DeepLab), cosine
    (Loshchilov & Hutter 2017, without restarts), step and constant; warm-up multiplies.
    """
    horizon = config.decay_steps or steps
    end = config.end_lr / config.lr
    # a rate that is never reached helps nobody: small data sets make short runs
    warmup = min(config.warmup_steps, steps // WARMUP_PART)

    def decayed(step: int) -> float:
        done = min(1.0, step / horizon)
        if config.schedule == "poly":
            return end + (1 - end) * float((1 - done) ** config.power)
        if config.schedule == "cosine":
            return end + (1 - end) * 0.5 * (1 + math.cos(math.pi * done))
        if config.schedule == "step":
            return float(config.gamma ** sum(done >= share for share in config.milestones))
        return 1.0

    def factor(step: int) -> float:
        risen = min(1.0, (step + 1) / (warmup + 1))
        return (config.warmup_start + (1 - config.warmup_start) * risen) * decayed(step)

    return factor


def set_rates(optimizer: Optimizer, factor: float) -> float:
    """Give every group its own rate (`initial_lr`) times `factor`; return the highest."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor
    return max(float(group["lr"]) for group in optimizer.param_groups)


def due(config: LoopConfig, step: int, *, steps: int, total: int) -> tuple[bool, bool]:
    """Whether a row of the log, and a validation, are due after `step` of `total` steps.

    `steps` is the number of one epoch.
    """
    end, epoch_end = step >= total, step % steps == 0
    if config.validate_every_steps:
        look = end or step % config.validate_every_steps == 0
    else:
        look = end or (epoch_end and step // steps % config.validate_every == 0)
    return look or epoch_end, look
