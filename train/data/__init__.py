"""Data sets and augmentation: files in, `(picture, labels)` tensors out.

A layout is one function ``(root, split) -> Split`` and one line in `LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torchvision.transforms import v2

from train.data.camvid import find_camvid
from train.data.dataset import IGNORE, Item, SegmentationData, Split

LAYOUTS: dict[str, Callable[[Path, str], Split]] = {"camvid": find_camvid}


def open_dataset(
    layout: str,
    root: Path,
    split: str,
    *,
    augment: v2.Transform | None = None,
    seed: int = 0,
    in_memory: bool | None = None,
) -> SegmentationData:
    """One split of the data set in `root`; see `SegmentationData`.

    Raises:
        TrainError: the folder is not in that layout, or a file cannot be read.
    """
    found = LAYOUTS[layout](root, split)
    return SegmentationData(found, augment=augment, seed=seed, in_memory=in_memory)


__all__ = ["IGNORE", "LAYOUTS", "Item", "SegmentationData", "Split", "open_dataset"]
