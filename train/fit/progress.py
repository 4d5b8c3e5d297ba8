"""What a run tells its caller as it goes. Knows nothing about terminals."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from train.metrics import Scores


@dataclass(frozen=True, slots=True)
class Progress:
    """What the loop tells its caller after each step (`loss`) and each validation (`scores`)."""

    epoch: int
    epochs: int
    step: int
    steps: int
    """Steps of one epoch."""
    loss: float
    scores: Scores | None = None
    seconds: float = 0.0
    classes: tuple[str, ...] = ()
    done: int = 0
    """Steps since the run's start, of `total`."""
    total: int = 0
    ends_row: bool = False
    """Whether this is the end of an epoch or a validation, not a step."""


def progress_at(done: int, loss: float, *, steps: int, total: int, **more: Any) -> Progress:
    """Progress after `done` of `total` steps, `steps` to an epoch; `more` is passed on."""
    epoch = math.ceil(done / steps)
    return Progress(
        epoch=epoch,
        epochs=math.ceil(total / steps),
        step=done - (epoch - 1) * steps,
        steps=steps,
        loss=loss,
        done=done,
        total=total,
        **more,
    )
