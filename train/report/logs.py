"""Reading ``log.csv`` and ``steps.csv`` of a run folder, of this version or an older one.

Knows nothing about recipes or checkpoints.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.errors import TrainError

METRICS = {
    "miou": "miou",
    "mean_accuracy": "mean_accuracy",
    "pixel_accuracy": "pixel_accuracy",
    "fw_iou": "frequency_weighted_iou",
}
"""Column of the log to the score's name."""
_PLAIN = ("epoch", "step", "loss", "seconds", "lr", "val_loss")
_CLASS_PREFIX = "class "
"""Before a class whose name is also a column's."""


@dataclass(kw_only=True, slots=True, frozen=True)
class LogRow:
    """One line of ``log.csv``: an epoch (or a part of one), and the validation after it."""

    epoch: int
    step: int | None
    """Optimiser steps done so far; None in logs that do not say it."""
    loss: float
    """Mean training loss of the line."""
    val_loss: float | None
    seconds: float
    scores: dict[str, float] = field(repr=False)
    """Validation: shares 0..1 under `METRICS`' names; empty if there was none."""
    class_iou: dict[str, float | None] = field(repr=False)
    """IoU of each class in index order, None where there is none."""


def read_log(path: Path) -> tuple[LogRow, ...]:
    """The rows of a run's ``log.csv``, in its order.

    Raises:
        TrainError: no header of ours, or a value that is no number; it names the line.
    """
    return tuple(_row(numbers) for numbers in _numbers(path, ("epoch", "loss")))


def read_steps(path: Path) -> NDArray[np.float64]:
    """Step and loss of every optimiser step, ``[S, 2]``.

    Raises:
        TrainError: see `read_log`.
    """
    pairs = [(row["step"], row["loss"]) for row in _numbers(path, ("step", "loss"))]
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def _numbers(path: Path, needed: tuple[str, ...]) -> Iterator[dict[str, float | None]]:
    """The lines of a CSV file as numbers; an empty cell is None, `needed` cells are not empty."""
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            missing = [name for name in needed if name not in columns]
            if missing:
                raise TrainError(f"{path}: no column {missing[0]!r}; is it the log of a run?")
            for values in reader:
                where = f"{path}: line {reader.line_num}"
                if None in values or None in values.values():
                    raise TrainError(
                        f"{where} has not as many values as the header has columns; "
                        "mend or delete that line"
                    )
                row = {key: _number(where, key, text) for key, text in values.items()}
                empty = [key for key in needed if row[key] is None]
                if empty:
                    raise TrainError(f"{where}: {empty[0]} is empty; mend or delete that line")
                yield row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise TrainError(f"{path}: cannot be read as a log ({error})") from error


def _number(where: str, key: str, text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise TrainError(
            f"{where}: {key} is {text!r}, not a number; mend or delete that line"
        ) from error


def _row(numbers: dict[str, float | None]) -> LogRow:
    epoch, loss, step = numbers["epoch"], numbers["loss"], numbers.get("step")
    assert epoch is not None
    assert loss is not None
    scores = {name: numbers.get(column) for column, name in METRICS.items()}
    class_iou = {
        key.removeprefix(_CLASS_PREFIX): None if value is None or math.isnan(value) else value
        for key, value in numbers.items()
        if key not in _PLAIN and key not in METRICS
    }
    return LogRow(
        epoch=int(epoch),
        step=None if step is None else int(step),
        loss=loss,
        val_loss=numbers.get("val_loss"),
        seconds=numbers.get("seconds") or 0.0,
        scores={k: v for k, v in scores.items() if v is not None and not math.isnan(v)},
        class_iou=class_iou,
    )
