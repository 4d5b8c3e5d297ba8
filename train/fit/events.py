"""TensorBoard events of a run. Knows no run folder; where they are switched off, does nothing."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from train.errors import TrainError
from train.fit.rows import LOG_COLUMNS


class Events:
    """Scalars of steps and validations.

    Args:
        path: folder of the event files; None writes none.
        step: optimiser steps done; what a killed run wrote after them is not shown.

    Raises:
        TrainError: TensorBoard is not installed.
    """

    def __init__(self, path: Path | None = None, step: int = 0) -> None:
        self._writer: Any = None if path is None else _event_writer(path, step)

    def add_step(self, step: int, loss: float, lr: float) -> None:
        """One optimiser step."""
        if self._writer is not None:
            self._writer.add_scalar("train/loss", loss, step)
            self._writer.add_scalar("train/lr", lr, step)

    def add_validation(self, step: int, cells: Mapping[str, float]) -> None:
        """A validation's cells, as `rows.validation_cells` gives them; on disk when this ends."""
        if self._writer is None:
            return
        for name, value in cells.items():
            if value == value:  # a class that validation does not have is NaN
                kind = "val" if name in LOG_COLUMNS else "val_iou"
                self._writer.add_scalar(f"{kind}/{name}", value, step)
        self._writer.flush()

    def close(self) -> None:
        """Write out what is buffered."""
        if self._writer is not None:
            self._writer.close()


def _spoken(args: threading.ExceptHookArgs) -> None:
    """Threads' errors are printed, but for TensorBoard's: the next write raises that one again."""
    if not type(args.thread).__module__.startswith("tensorboard."):
        threading.__excepthook__(args)


def _event_writer(path: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TrainError(
            "tensorboard is not installed: pip install tensorboard, or set train.tensorboard=false"
        ) from error
    threading.excepthook = _spoken
    # purge: what a killed run wrote after the checkpoint is not shown
    return SummaryWriter(str(path), purge_step=step + 1)
