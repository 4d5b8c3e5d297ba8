"""What the Cityscapes benchmark adds to the confusion matrix (Cordts et al. 2016, section 3.4).

IoU favours large objects: one near lorry outweighs twenty far people. The instance-weighted iIoU of
a class counts each true pixel with the average size of the class's instances over the size of the
pixel's own instance,

    iIoU = iTP / (iTP + FP + iFN)

while false positives, which belong to no true instance, count once. Pixels of groups that nobody
could tell apart carry no instance id and are left out of iTP and iFN. The numbers equal those of
``cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling``; a test compares them.

Knows nothing about files. Shape legend: H height, W width, K the 19 classes of evaluation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

CATEGORIES = {
    "flat": ("road", "sidewalk"),
    "construction": ("building", "wall", "fence"),
    "object": ("pole", "traffic light", "traffic sign"),
    "nature": ("vegetation", "terrain"),
    "sky": ("sky",),
    "human": ("person", "rider"),
    "vehicle": ("car", "truck", "bus", "train", "motorcycle", "bicycle"),
}
"""The benchmark's categories, by the names of their evaluated classes."""

INSTANCES = {
    24: ("person", 3462.4756337644),
    25: ("rider", 3930.4788056518),
    26: ("car", 12794.0202738185),
    27: ("truck", 27855.1264367816),
    28: ("bus", 35732.1511111111),
    31: ("train", 67583.7075812274),
    32: ("motorcycle", 6298.7200839748),
    33: ("bicycle", 4672.3249222261),
}
"""Label id to the class's name and the average size of its instances in pixels, as the official
evaluator has them (over the training set)."""

_INSTANCE_CATEGORIES = ("human", "vehicle")
"""Categories all of whose classes have instances."""


def category_iou(counts: NDArray[np.int64], names: Sequence[str]) -> dict[str, float]:
    """IoU of each category, its classes taken as one; NaN if it never occurs.

    Args:
        counts: confusion matrix ``[K, K]``, rows the truth.
        names: the K class names, Cityscapes' own.
    """
    result = {}
    for category in CATEGORIES:
        inside = _member(category, names)
        hit = float(counts[np.ix_(inside, inside)].sum())
        union = float(counts[inside].sum() + counts[:, inside].sum()) - hit
        result[category] = hit / union if union else math.nan
    return result


class CityscapesInstances:
    """Weighted hits and misses of every true instance, picture by picture.

    Args:
        names: class names in index order; all of Cityscapes' nineteen.

    Raises:
        ValueError: a class of the benchmark is missing.
    """

    def __init__(self, names: Sequence[str]) -> None:
        missing = sorted({n for group in CATEGORIES.values() for n in group} - set(names))
        if missing:
            raise ValueError(f"no Cityscapes classes: {', '.join(missing)} missing")
        self.names = tuple(names)
        tracked = [name for name, _ in INSTANCES.values()] + list(_INSTANCE_CATEGORIES)
        self._hits = dict.fromkeys(tracked, 0.0)
        self._sizes = dict.fromkeys(tracked, 0.0)

    def update(self, instances_HW: NDArray[np.int64], prediction_HW: NDArray[np.uint8]) -> None:
        """Add one picture.

        Args:
            instances_HW: numbers of ``_gtFine_instanceIds.png``: 1000 x label id + instance.
            prediction_HW: predicted class indices.

        Raises:
            ValueError: shapes differ.
        """
        if instances_HW.shape != prediction_HW.shape:
            raise ValueError(f"instances {instances_HW.shape}, prediction {prediction_HW.shape}")
        ids, where = np.unique(instances_HW, return_inverse=True)
        predicted = np.bincount(
            where.ravel() * len(self.names) + prediction_HW.ravel(),
            minlength=len(ids) * len(self.names),
        ).reshape(len(ids), len(self.names))
        for instance, row in zip(ids, predicted, strict=True):
            if instance // 1000 not in INSTANCES:  # stuff, a group, or a class nobody evaluates
                continue
            name, average = INSTANCES[int(instance) // 1000]
            weight = average / float(row.sum())
            self._add(name, float(row[self.names.index(name)]) * weight, average)
            for category in _INSTANCE_CATEGORIES:
                if name in CATEGORIES[category]:
                    hit = float(row[_member(category, self.names)].sum())
                    self._add(category, hit * weight, average)

    def _add(self, key: str, hit: float, size: float) -> None:
        self._hits[key] += hit
        self._sizes[key] += size

    def class_iiou(self, counts: NDArray[np.int64]) -> dict[str, float]:
        """iIoU of the eight classes that have instances; NaN if one never occurs.

        Args:
            counts: confusion matrix ``[K, K]`` of the same pictures, rows the truth.
        """
        return {
            name: self._iiou(name, [self.names.index(name)], counts)
            for name, _ in INSTANCES.values()
        }

    def category_iiou(self, counts: NDArray[np.int64]) -> dict[str, float]:
        """iIoU of the two categories that have instances; see `class_iiou`."""
        return {c: self._iiou(c, _member(c, self.names), counts) for c in _INSTANCE_CATEGORIES}

    def _iiou(self, key: str, inside: list[int], counts: NDArray[np.int64]) -> float:
        false = float(counts[:, inside].sum() - counts[np.ix_(inside, inside)].sum())
        weighted = self._sizes[key] + false  # iTP + iFN is one average size per instance
        return self._hits[key] / weighted if weighted else math.nan

    def as_dict(self, counts: NDArray[np.int64]) -> dict[str, Any]:
        """Everything beyond the confusion matrix's own scores, plain; NaN becomes None."""
        found = {
            "class_iiou": self.class_iiou(counts),
            "category_iou": category_iou(counts, self.names),
            "category_iiou": self.category_iiou(counts),
        }
        result: dict[str, Any] = {}
        for key, values in found.items():
            known = [value for value in values.values() if not math.isnan(value)]
            result[f"mean_{key}"] = sum(known) / len(known) if known else None
            result[key] = {n: None if math.isnan(v) else v for n, v in values.items()}
        return result


def _member(category: str, names: Sequence[str]) -> list[int]:
    return [names.index(name) for name in CATEGORIES[category]]
