"""The data set every layout is read into: pairs of a picture and its class indices.

A layout is a function that finds the items of one split; nothing after it knows where they came
from. Shape legend: H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from streamseg.palette import Palette
from train.errors import TrainError

IGNORE = 255
"""Label of pixels that no loss and no metric looks at."""


def read_picture(path: Path) -> NDArray[np.uint8]:
    """RGB uint8 ``[H, W, 3]``.

    Raises:
        TrainError: Pillow cannot read the file.
    """
    try:
        with Image.open(path) as picture:
            return np.array(picture.convert("RGB"))  # writable: torch shares it
    except (UnidentifiedImageError, OSError) as error:
        raise TrainError(f"{path}: cannot be read as a picture ({error})") from error


def read_index_picture(path: Path) -> NDArray[np.int64]:
    """Numbers of an index picture ``[H, W]``, as stored.

    Raises:
        TrainError: unreadable, or a colour picture where an index picture belongs.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("L", "P", "1", "I", "I;16"):
                raise TrainError(
                    f"{path}: labels must be an index picture (mode L or P), got {picture.mode}"
                )
            return np.array(picture).astype(np.int64)
    except (UnidentifiedImageError, OSError) as error:
        raise TrainError(f"{path}: cannot be read as a picture ({error})") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One labelled picture, not read yet."""

    picture: Path
    labels: Path
    read_labels: Callable[[Path], NDArray[np.uint8]]
    """Class indices uint8 ``[H, W]`` of the file `labels`; `IGNORE` where there is no class."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What a layout finds: the items of one split, and what their indices mean."""

    items: list[Item]
    classes: Palette


class SegmentationData(Dataset[tuple[Tensor, Tensor]]):
    """One split of a data set.

    A sample is ``(picture uint8 [3, H, W], labels int64 [H, W])``. With `augment`, a sample depends
    on `(seed, epoch, index)` alone, never on the number of loader processes: `set_epoch` before
    each epoch makes a resumed run see what an uninterrupted one sees.

    Args:
        split: what a layout found.
        augment: a v2 transform of picture and mask; None gives whole pictures.
        seed: of the augmentation.
        in_memory: keep decoded pictures (0.7 MB a pair at 480x360); None keeps them as long as all
            are estimated to fit 2 GiB.
    """

    def __init__(
        self,
        split: Split,
        *,
        augment: v2.Transform | None = None,
        seed: int = 0,
        in_memory: bool | None = None,
    ) -> None:
        self.items, self.classes = split.items, split.classes
        self.augment, self.seed, self.epoch = augment, seed, 0
        self._kept: dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]] | None = None
        if in_memory is None:
            first = self.read(0)[0] if self.items else np.zeros(0)
            in_memory = first.size * 4 // 3 * len(self.items) <= 2 << 30
        if in_memory:
            self._kept = {index: self.read(index) for index in range(len(self.items))}

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Picture uint8 ``[H, W, 3]`` and truth uint8 ``[H, W]``, whole and unaugmented.

        Raises:
            TrainError: a file is unreadable, or the two differ in size.
        """
        if self._kept is not None and index in self._kept:
            return self._kept[index]
        item = self.items[index]
        picture, labels = read_picture(item.picture), item.read_labels(item.labels)
        if picture.shape[:2] != labels.shape:
            raise TrainError(
                f"{item.picture}: the picture is {picture.shape[:2]} (height, width), "
                f"its labels are {labels.shape}"
            )
        return picture, labels

    def pairs(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """All of `read`, in order."""
        for index in range(len(self)):
            yield self.read(index)

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose augmentation the next samples get."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        picture_HWC, labels_HW = self.read(index)
        picture = tv_tensors.Image(torch.from_numpy(picture_HWC.copy()).permute(2, 0, 1))
        labels = tv_tensors.Mask(torch.from_numpy(labels_HW.copy()))
        if self.augment is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed((self.seed * 100_003 + self.epoch) * 1_000_003 + index)
                picture, labels = self.augment(picture, labels)
        return picture.as_subclass(Tensor), labels.as_subclass(Tensor).to(torch.int64)

    def class_pixels(self) -> Tensor:
        """Labelled pixels per class over the split, int64 ``[K]``."""
        counts = np.zeros(256, dtype=np.int64)
        for _, labels in self.pairs():
            counts += np.bincount(labels.ravel(), minlength=256)
        return torch.from_numpy(counts[: len(self.classes)])
