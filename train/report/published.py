"""Numbers that others published, as rows of the first table: a TOML file.

[[row]]
name = "DeepLabV3+ ResNet-50 (Kamann)"
source = "Kamann and Rother 2020, table 1"
miou = 76.6         # per cent, as papers print, and likewise
parameters = 40.35  # millions

Other keys: mean_accuracy, pixel_accuracy, frequency_weighted_iou, gflops, latency_ms.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from train.errors import TrainError

NUMBERS = (
    *("miou", "mean_accuracy", "pixel_accuracy", "frequency_weighted_iou"),
    *("parameters", "gflops", "latency_ms"),
)


@dataclass(kw_only=True, slots=True, frozen=True)
class Published:
    """One row; None where the source prints nothing."""

    name: str
    source: str
    miou: float | None = None
    mean_accuracy: float | None = None
    pixel_accuracy: float | None = None
    frequency_weighted_iou: float | None = None
    parameters: float | None = None
    gflops: float | None = None
    latency_ms: float | None = None


def read_published(path: Path) -> list[Published]:
    """The rows of a file.

    Raises:
        TrainError: no such file, no TOML, or a row that cannot be understood.
    """
    try:
        rows: Any = tomllib.loads(path.read_text()).get("row")
        if not isinstance(rows, list) or not rows:
            raise ValueError("it has no [[row]]")
        return [_row(values) for values in rows]
    except (OSError, ValueError) as error:
        raise TrainError(f"{path}: not a file of published numbers ({error})") from error


def _row(values: dict[str, Any]) -> Published:
    for key in ("name", "source"):
        if not isinstance(values.get(key), str):
            raise ValueError(f"a row needs {key} = a text")
    for key, value in values.items():
        if key in ("name", "source"):
            continue
        if key not in NUMBERS:
            raise ValueError(f"unknown key {key!r}; known: {', '.join(NUMBERS)}")
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{key} must be a number, got {value!r}")
    return Published(**values)
