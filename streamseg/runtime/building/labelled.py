"""Pictures with their true labels, and the mean intersection over union against them.

Everingham et al. 2010 (PASCAL VOC) define the measure: per class TP / (TP + FP + FN), the mean over
the classes that occur. Knows nothing about engines.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.errors import SourceError, UsageError
from streamseg.video.picture import read_picture


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledPicture:
    """A picture at the network's size, and its labels as they are stored."""

    rgb_HWC: NDArray[np.uint8]
    labels_HW: NDArray[np.uint8]
    """Class indices; whatever is no class is void."""


class Confusion:
    """Counts of true and predicted classes; void pixels are not counted.

    Args:
        classes: how many there are.
    """

    def __init__(self, classes: int) -> None:
        self._counts = np.zeros((classes, classes), np.int64)

    def add(self, true_HW: NDArray[np.uint8], predicted_HW: NDArray[np.uint8]) -> None:
        """Count a picture; both of one shape, predictions all below the number of classes."""
        classes = len(self._counts)
        known = true_HW < classes
        pairs = true_HW[known].astype(np.int64) * classes + predicted_HW[known]
        self._counts += np.bincount(pairs, minlength=classes**2).reshape(classes, classes)

    @property
    def counts(self) -> NDArray[np.int64]:
        """``[true, predicted]``, pixels."""
        return self._counts

    def class_iou(self) -> NDArray[np.float64]:
        """Per class 0..1; NaN where a class neither occurs nor is predicted."""
        hits = np.diag(self._counts)
        union = self._counts.sum(0) + self._counts.sum(1) - hits
        with np.errstate(invalid="ignore"):
            return np.asarray(hits / union, np.float64)

    def miou(self) -> float:
        """Mean over the classes that occur, 0..1; NaN when nothing was counted."""
        iou = self.class_iou()
        return float(np.nanmean(iou)) if not np.isnan(iou).all() else float("nan")


def labelled_pairs(root: Path, split: str = "val") -> list[tuple[Path, Path]]:
    """Pictures and label PNGs in SegNet's layout: ``DIR/val`` and ``DIR/valannot``, same stems.

    Raises:
        UsageError: a folder is missing or empty, or a picture has no labels.
    """
    pictures, labels = root / split, root / f"{split}annot"
    for folder in (pictures, labels):
        if not folder.is_dir():
            raise UsageError(
                f"{folder}: no such folder; --data wants pictures in {split}/ and "
                f"index PNGs of the same names in {split}annot/"
            )
    found = sorted(p for p in pictures.iterdir() if p.is_file() and p.name[0] != ".")
    if not found:
        raise UsageError(f"{pictures}: the folder is empty; --data wants pictures there")
    pairs = [(picture, labels / f"{picture.stem}.png") for picture in found]
    missing = [p.name for p, label in pairs if not label.is_file()]
    if missing:
        raise UsageError(f"{labels}: no label PNG for {len(missing)} pictures ({missing[0]} first)")
    return pairs


def labelled_title(pairs: list[tuple[Path, Path]], root: Path) -> str:
    """What pairs of `labelled_pairs` are, for people."""
    return f"{len(pairs)} labelled pictures of {root}"


def read_labelled(
    pairs: list[tuple[Path, Path]], size: tuple[int, int]
) -> Iterator[LabelledPicture]:
    """Read pairs of `labelled_pairs`; pictures are resized to width and height `size`.

    Raises:
        SourceError: no picture, or labels that are not index PNGs.
    """
    for picture, labels in pairs:
        index = cv2.imread(str(labels), cv2.IMREAD_UNCHANGED)
        if index is None or index.ndim != 2 or index.dtype != np.uint8:
            raise SourceError(f"{labels}: not an 8-bit PNG of class indices")
        yield LabelledPicture(
            rgb_HWC=read_rgb(picture, size), labels_HW=np.asarray(index, np.uint8)
        )


def read_rgb(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture as RGB ``[H, W, 3]`` of the given width and height.

    Raises:
        SourceError: no picture that OpenCV reads.
    """
    rgb = read_picture(path)
    if (rgb.shape[1], rgb.shape[0]) == size:
        return rgb
    # As the video pipeline does: averaging when it shrinks.
    shrinks = rgb.shape[1] >= size[0]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(rgb, size, interpolation=how), np.uint8)
