"""Segmentation metrics, all from one confusion matrix (Long et al. 2015, section 5)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


class ConfusionMatrix:
    """Counts ``[K, K]`` int64: rows are the truth, columns the prediction."""

    def __init__(self, classes: int) -> None:
        self.classes = classes
        self.counts: NDArray[np.int64] = np.zeros((classes, classes), dtype=np.int64)

    def update(self, truth: NDArray[np.uint8], prediction: NDArray[np.uint8]) -> None:
        """Add one picture; pixels whose truth is no class are ignored.

        Raises:
            ValueError: shapes differ, or a prediction is no class.
        """
        if truth.shape != prediction.shape:
            raise ValueError(f"truth is {truth.shape}, prediction is {prediction.shape}")
        if int(prediction.max(initial=0)) >= self.classes:
            raise ValueError(f"prediction {int(prediction.max())} is no class of {self.classes}")
        known = truth < self.classes
        pairs = truth[known].astype(np.int64) * self.classes + prediction[known]
        self.counts += np.bincount(pairs, minlength=self.classes**2).reshape(
            self.classes, self.classes
        )

    def scores(self) -> Scores:
        """Metrics of everything counted so far."""
        return Scores.from_counts(self.counts)


@dataclass(frozen=True, slots=True)
class Scores:
    """Shares in 0..1; a class in neither truth nor prediction has NaN and is left out of means."""

    miou: float
    """Mean over classes of intersection over union."""
    mean_accuracy: float
    """Mean over classes of recall."""
    pixel_accuracy: float
    class_iou: tuple[float, ...]

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Plain values, as JSON stores them; NaN becomes None."""
        return {
            "miou": self.miou,
            "mean_accuracy": self.mean_accuracy,
            "pixel_accuracy": self.pixel_accuracy,
            "class_iou": {
                name: None if math.isnan(value) else value
                for name, value in zip(names, self.class_iou, strict=True)
            },
        }

    @classmethod
    def from_counts(cls, counts: NDArray[np.int64]) -> Scores:
        """Metrics of a confusion matrix ``[K, K]``, rows the truth.

        Raises:
            ValueError: the matrix is empty.
        """
        total = int(counts.sum())
        if total == 0:
            raise ValueError("no labelled pixel was compared")
        hit = np.diag(counts).astype(np.float64)
        truth = counts.sum(axis=1).astype(np.float64)
        prediction = counts.sum(axis=0).astype(np.float64)
        with np.errstate(invalid="ignore", divide="ignore"):
            iou = hit / (truth + prediction - hit)
            recall = hit / truth
        return cls(
            miou=float(np.nanmean(iou)),
            mean_accuracy=float(np.nanmean(recall)),
            pixel_accuracy=float(hit.sum() / total),
            class_iou=tuple(float(v) for v in iou),
        )
