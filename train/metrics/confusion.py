"""Segmentation metrics, all from one confusion matrix.

With ``n[i, j]`` the pixels of true class i predicted as j, ``t[i] = sum_j n[i, j]`` the pixels of
class i, ``p[i] = sum_j n[j, i]`` those predicted as it and ``N = sum_i t[i]`` (all without ignored
pixels), Long et al. 2015 (section 5) define

    pixel accuracy                   sum_i n[i, i] / N
    mean accuracy                    mean_i n[i, i] / t[i]
    mean IoU                         mean_i n[i, i] / (t[i] + p[i] - n[i, i])
    frequency-weighted IoU           sum_i t[i] / N * n[i, i] / (t[i] + p[i] - n[i, i])

and per class

    recall (the class's accuracy)    n[i, i] / t[i]
    precision                        n[i, i] / p[i]
    F1 = Dice                        2 n[i, i] / (t[i] + p[i])

Weighted precision, recall and F1 are means weighted by ``t[i]`` (scikit-learn's
``average="weighted"``); weighted recall is the pixel accuracy. Large classes make them flattering.

F1 (the harmonic mean of precision and recall) and the Dice coefficient of two sets of pixels are
the same number, and a monotonic function of the class's IoU: 2 IoU / (1 + IoU). Both names are kept
because papers use both.
"""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Shares in 0..1.

    What cannot be said is NaN, and left out of means: the IoU and F1 of a class in neither truth
    nor prediction, the recall of one not in the truth, the precision of one never predicted. A
    class that is predicted but never true has IoU and F1 0, and counts. `as_dict` gives None.
    """

    miou: float
    """Mean over classes of intersection over union."""
    mean_accuracy: float
    """Mean over classes of recall (MA, mAcc)."""
    pixel_accuracy: float
    """Share of labelled pixels that are right (PA, allAcc)."""
    frequency_weighted_iou: float
    """IoU of each class weighted by its share of the true pixels (FWIoU), as Long et al. define it.
    Report 001 prints the formula without that weight: a sum of IoUs over the number of pixels."""
    weighted_precision: float
    """Precision weighted by each class's share of the true pixels; 0 of a class never predicted."""
    weighted_f1: float
    """F1 weighted by each class's share of the true pixels."""
    class_iou: tuple[float, ...]
    class_precision: tuple[float, ...]
    class_recall: tuple[float, ...]
    class_f1: tuple[float, ...]
    """F1 of each class, which is also its Dice coefficient."""

    @property
    def mean_precision(self) -> float:
        """Mean over classes; 0 for one that is true and never predicted, so that a network that
        gives up on a class does not gain by it."""
        pairs = zip(self.class_precision, self.class_recall, strict=True)
        return _mean(tuple(0.0 if p != p and r == r else p for p, r in pairs))

    @property
    def mean_f1(self) -> float:
        """Mean over classes of F1 (macro F1), which is also the mean Dice coefficient."""
        return _mean(self.class_f1)

    def as_dict(self, names: Sequence[str]) -> dict[str, Any]:
        """Plain values, as JSON stores them; NaN becomes None."""

        def by_name(values: tuple[float, ...]) -> dict[str, float | None]:
            return {
                name: None if math.isnan(value) else value
                for name, value in zip(names, values, strict=True)
            }

        return {
            "miou": self.miou,
            "mean_accuracy": self.mean_accuracy,
            "pixel_accuracy": self.pixel_accuracy,
            "frequency_weighted_iou": self.frequency_weighted_iou,
            "mean_precision": self.mean_precision,
            "mean_f1": self.mean_f1,
            "mean_dice": self.mean_f1,
            "weighted_precision": self.weighted_precision,
            "weighted_recall": self.pixel_accuracy,
            "weighted_f1": self.weighted_f1,
            "class_iou": by_name(self.class_iou),
            "class_precision": by_name(self.class_precision),
            "class_recall": by_name(self.class_recall),
            "class_f1": by_name(self.class_f1),
            "class_dice": by_name(self.class_f1),
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
            precision = hit / prediction
            f1 = 2 * hit / (truth + prediction)
        return cls(
            miou=_mean(iou),
            mean_accuracy=_mean(recall),
            pixel_accuracy=float(hit.sum() / total),
            # A class without true pixels has weight 0, whatever its IoU.
            frequency_weighted_iou=float((truth * np.nan_to_num(iou)).sum() / total),
            weighted_precision=float((truth * np.nan_to_num(precision)).sum() / total),
            weighted_f1=float((truth * np.nan_to_num(f1)).sum() / total),
            class_iou=_plain(iou),
            class_precision=_plain(precision),
            class_recall=_plain(recall),
            class_f1=_plain(f1),
        )


def _plain(values: NDArray[np.float64]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _mean(values: NDArray[np.float64] | tuple[float, ...]) -> float:
    return float(np.nanmean(values))
