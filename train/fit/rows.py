"""The rows of a run's two logs, ``log.csv`` and ``steps.csv``: columns, reading back, writing."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from train.errors import TrainError
from train.metrics import Scores

LOG_COLUMNS = (
    "epoch",
    "step",
    "loss",
    "seconds",
    "lr",
    "val_loss",
    "miou",
    "mean_accuracy",
    "pixel_accuracy",
    "fw_iou",
)
"""Columns of ``log.csv`` before those of the classes."""
STEP_COLUMNS = ("step", "epoch", "loss", "lr")
"""Columns of ``steps.csv``."""


def class_columns(names: Iterable[str]) -> list[str]:
    """A column name for each class; one that is taken gets ``class`` before it."""
    return [f"class {name}" if name in LOG_COLUMNS else name for name in names]


def kept_rows(path: Path, step: int) -> list[dict[str, str]]:
    """The rows of a log that belong to steps up to `step`; what a kill cut off is left out.

    Raises:
        TrainError: it is no log of ours.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        complete = (row for row in rows if all(value is not None for value in row.values()))
        return [row for row in complete if int(row.get("step") or 0) <= step]
    except (ValueError, csv.Error) as error:
        raise TrainError(
            f"{path}: not a log of this run any more ({error}); move it away, or choose another "
            "--out"
        ) from error


def write_rows(path: Path, columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> None:
    """Write a log whole or not at all."""
    partial = path.with_name(path.name + ".part")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(columns), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(path)


def validation_cells(scores: Scores, loss: float, classes: Iterable[str]) -> dict[str, float]:
    """What a validation found, by column: loss, means, and each class's IoU (NaN without one)."""
    return {
        "val_loss": loss,
        "miou": scores.miou,
        "mean_accuracy": scores.mean_accuracy,
        "pixel_accuracy": scores.pixel_accuracy,
        "fw_iou": scores.frequency_weighted_iou,
    } | dict(zip(class_columns(classes), scores.class_iou, strict=True))
