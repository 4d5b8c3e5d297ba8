"""What a model scored on a split: from an eval JSON, from a run's own log, or measured now.

An eval JSON is what ``python -m train eval --json`` writes. Knows nothing about tables or figures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from train.console import split_name
from train.data.dataset import SegmentationData
from train.errors import TrainError
from train.evaluation.measure import measure as measure_split
from train.evaluation.predict import label_picture, torch_labeller
from train.metrics import Scores
from train.models import Segmenter
from train.report.runs import Run
from train.report.words import printed

WHOLE = "whole picture"

Track: TypeAlias = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Wraps an iteration to show its progress: (items, how many, what is done to them)."""


def no_track(items: Iterable[Any], _: int, __: str) -> Iterable[Any]:
    """Show nothing."""
    return items


@dataclass(kw_only=True, slots=True, frozen=True, eq=False)
class Evaluation:
    """Scores of one model on one split."""

    name: str
    """The model's."""
    model: Path | None
    """The checkpoint or model file that was evaluated."""
    data: str
    """Name of the data set."""
    split: str
    protocol: str
    """How pictures went through the network, in words."""
    pictures: int | None
    classes: tuple[str, ...] = field(repr=False)
    scores: dict[str, Any] = field(repr=False)
    """As `Scores.as_dict` gives them: shares 0..1, None where there is none."""
    counts: NDArray[np.int64] | None = field(repr=False)
    """Confusion matrix ``[K, K]``, rows the truth; None when only the log is known."""
    size: str | None = None
    """``WxH`` that pictures were resized to; None: each picture's own, to multiples of 32."""

    @property
    def target(self) -> str:
        """What it was measured on, for tables."""
        return f"{printed(self.data)} {self.split}"

    def value(self, key: str) -> float | None:
        """One score, None if unknown."""
        found = self.scores.get(key)
        return None if found is None else float(found)

    def class_iou(self) -> list[float | None]:
        """IoU of each class in index order, None where there is none."""
        by_name = self.scores.get("class_iou", {})
        return [by_name.get(name) for name in self.classes]

    def as_json(self) -> dict[str, Any]:
        """The members that `read_evaluation` wants."""
        return {
            "name": self.name,
            "kind": "checkpoint",
            "model": str(self.model),
            "data": self.data,
            "split": self.split,
            "protocol": self.protocol,
            "input": self.size,
            "pictures": self.pictures,
            "scores": self.scores,
            "confusion": None if self.counts is None else self.counts.tolist(),
        }


def read_evaluation(argument: str) -> Evaluation:
    """An evaluation from ``[NAME=]FILE.json``.

    Raises:
        TrainError: no such file, no JSON, or none that an evaluation wrote.
    """
    given, path = split_name(argument)
    if not path.is_file():
        raise TrainError(f"{path}: no such evaluation; write one with: python -m train eval --json")
    try:
        values = json.loads(path.read_text())
        classes = tuple(values["scores"]["class_iou"])
        counts = values.get("confusion")
        matrix = None if counts is None else np.array(counts, dtype=np.int64)
        if matrix is not None and matrix.shape != (len(classes), len(classes)):
            raise ValueError(f"confusion is {matrix.shape} for {len(classes)} classes")
        scores = values["scores"]
        if matrix is not None:
            scores = {**scores, **Scores.from_counts(matrix).as_dict(classes)}
        return Evaluation(
            name=given or str(values["name"]),
            model=Path(values["model"]) if values.get("model") else None,
            data=Path(str(values["data"])).name,
            split=str(values["split"]),
            protocol=in_words(values.get("protocol")),
            pictures=values.get("pictures"),
            classes=classes,
            scores=scores,
            counts=matrix,
            size=_size(values),
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainError(
            f"{path}: not an evaluation ({error!r}); write one with: python -m train eval --json"
        ) from error


def _size(values: dict[str, Any]) -> str | None:
    """The input size that an evaluation's file names."""
    protocol = values.get("protocol")
    found = protocol.get("size") if isinstance(protocol, dict) else values.get("input")
    return None if found is None else str(found)


def in_words(protocol: Any) -> str:
    """A protocol as one phrase: a string stays, a table shows what is switched on."""
    if isinstance(protocol, dict):
        parts = [f"{k} {_plain(v)}".strip() for k, v in protocol.items() if v not in (None, False)]
        return ", ".join(parts) or WHOLE
    return str(protocol) if protocol else WHOLE


def _plain(value: Any) -> str:
    if value is True:
        return ""
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)


def from_log(run: Run, split: str = "val") -> Evaluation | None:
    """What training itself measured when it kept the weights; None if it never validated."""
    best = run.best
    if best is None:
        return None
    return Evaluation(
        name=run.name,
        model=run.checkpoint,
        data=str(run.setting("data", "layout", "camvid")),
        split=split,
        protocol=f"{WHOLE}, during training",
        pictures=None,
        classes=tuple(best.class_iou),
        scores={**best.scores, "class_iou": best.class_iou},
        counts=None,
        size=run.input_size,
    )


def measure(
    run: Run,
    model: Segmenter,
    dataset: SegmentationData,
    *,
    data: str,
    split: str,
    device: torch.device,
    track: Track = no_track,
) -> Evaluation:
    """Run the network over a split: whole pictures, one scale, as ``train eval`` does by default.

    Raises:
        TrainError: a picture cannot be read, or none has a labelled pixel.
    """
    label = torch_labeller(model.to(device).eval(), model.spec.label_stride, device)
    found = measure_split(
        dataset,
        lambda picture: label_picture(picture, label, run.size),
        progress=lambda items, count: iter(track(items, count, f"evaluating {run.name}")),
    )
    names = dataset.classes.names
    return Evaluation(
        name=run.name,
        model=run.checkpoint,
        data=data,
        split=split,
        protocol=WHOLE,
        pictures=found.pictures,
        classes=names,
        scores=found.scores.as_dict(names),
        counts=found.counts,
        size=run.input_size,
    )
