"""Data sets and augmentation: files in, `(picture, labels)` tensors out. Knows no network.

A layout is one function ``(root, split) -> Split`` and one line in `LAYOUTS`. Modules in here
import each other, never this file.
"""

from __future__ import annotations

from train.data.dataset import SegmentationData
from train.data.files import IGNORE
from train.data.items import Item, Split
from train.data.layouts import LAYOUTS
from train.data.opening import open_dataset, training_set, validation_set

__all__ = [
    "IGNORE",
    "LAYOUTS",
    "Item",
    "SegmentationData",
    "Split",
    "open_dataset",
    "training_set",
    "validation_set",
]
