"""What a run says of itself while it goes: losses, rows of its logs, progress for the terminal.

Knows nothing about networks. Losses stay on their device until they are due: reading one makes the
host wait for the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from train.errors import TrainError
from train.fit.progress import Progress, progress_at
from train.fit.resume import State
from train.fit.runfolder import RunFolder
from train.metrics import Scores

Report = Callable[[Progress], None]

READ_EVERY = 20
"""Steps between two readings of losses from a GPU; a CPU has them at once."""


@dataclass(slots=True, kw_only=True)
class Record:
    """The account of one run."""

    name: str
    folder: RunFolder
    writes: bool
    """Whether this process writes the folder: the main one."""
    classes: tuple[str, ...]
    steps: int
    """Of one epoch."""
    total: int
    state: State
    device: torch.device
    report: Report = lambda _: None
    _waiting: list[tuple[int, float, Tensor]] = field(default_factory=list)
    _loss: float = math.nan
    """The last one that was read."""

    def step(self, loss: Tensor, lr: float) -> None:
        """The step that has just been taken, with its loss on the device.

        Raises:
            TrainError: a loss is no longer finite, or the folder cannot be written.
        """
        self._waiting.append((self.state.step, lr, loss.detach()))
        if self.device.type != "cuda" or len(self._waiting) >= READ_EVERY:
            self.settle()
        self.report(self._progress(self._loss))

    def settle(self) -> None:
        """Read what waits and write it down.

        Raises:
            TrainError: see `step`.
        """
        if not self._waiting:
            return
        losses = torch.stack([loss for _, _, loss in self._waiting]).tolist()
        for (step, lr, _), loss in zip(self._waiting, losses, strict=True):
            epoch = math.ceil(step / self.steps)
            if not math.isfinite(loss):
                raise TrainError(
                    f"{self.name}: the loss became {loss} in epoch {epoch}, "
                    f"step {(step - 1) % self.steps + 1}; lower optim.lr"
                )
            self.state.losses.append(loss)
            if self.writes:
                self.folder.add_step(step=step, epoch=epoch, loss=loss, lr=lr)
        self._loss = losses[-1]
        self._waiting.clear()

    def row(self, lr: float, seconds: float, validation: tuple[Scores, float] | None) -> None:
        """A row of the log: the end of an epoch, or a validation.

        Raises:
            TrainError: see `step`.
        """
        self.settle()
        losses = self.state.losses
        mean = sum(losses) / len(losses) if losses else math.nan  # before the first step
        if self.writes:
            self.folder.add_row(
                epoch=math.ceil(self.state.step / self.steps),
                step=self.state.step,
                loss=mean,
                seconds=seconds,
                lr=lr,
                validation=validation,
            )
        scores = validation[0] if validation else None
        self.report(self._progress(mean, scores=scores, seconds=seconds, ends_row=True))
        self.state.losses = []

    def _progress(self, loss: float, **more: Any) -> Progress:
        return progress_at(
            self.state.step,
            loss,
            steps=self.steps,
            total=self.total,
            classes=self.classes,
            **more,
        )
