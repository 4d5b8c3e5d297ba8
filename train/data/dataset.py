"""The data set every layout is read into: pairs of a picture and its class indices.

A layout is a function that finds the items of one split; nothing after it knows where they came
from. Shape legend: H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from train.data.counts import count_pixels
from train.data.items import Split, size_fault
from train.data.rawcache import RawCache
from train.errors import TrainError

KEEP_BYTES = 2 << 30
"""Splits whose decoded pictures and labels are estimated to fit are kept in memory."""
_SAMPLED = 8
"""Pictures read for that estimate: sizes differ within a split."""


Key: TypeAlias = int | tuple[int, int]
"""Of a sample: its index, or epoch and index."""


def epoch_and_index(key: Key) -> tuple[int, int]:
    """A key in two parts; an index alone is of epoch 0."""
    return key if isinstance(key, tuple) else (0, key)


class SegmentationData(Dataset[tuple[Tensor, Tensor]]):
    """One split of a data set.

    Sample ``data[epoch, index]`` is ``(picture uint8 [3, H, W], labels uint8 [H, W])``; an index
    alone means epoch 0. With `augment`, a sample depends on `(seed, epoch, index)` alone, never on
    the loader process that makes it: a resumed run sees what an uninterrupted one sees.

    Args:
        split: what a layout found.
        prepare: a deterministic v2 transform (resize, centre crop) that makes the pictures and
            labels that everybody sees, `read` and `pairs` too.
        augment: a v2 transform of picture and mask; None gives whole pictures.
        seed: of the augmentation.
        repeat: the data set is so many times as long; index i is picture i modulo their number.
        in_memory: keep decoded pictures (0.7 MB a pair at 480x360); None keeps them as long as all
            are estimated to fit 2 GiB. Cityscapes (6.3 MB a pair of 2048x1024, 19 GB in all) is
            read from its files each time, unless there is a cache.
        cache: folder of a `RawCache` of the split, made if it is not there; then nothing is kept
            in memory but what the system keeps of that file, once for all processes.
    """

    def __init__(
        self,
        split: Split,
        *,
        prepare: v2.Transform | None = None,
        augment: v2.Transform | None = None,
        seed: int = 0,
        repeat: int = 1,
        in_memory: bool | None = None,
        cache: Path | None = None,
    ) -> None:
        self.items, self.classes = split.items, split.classes
        self.prepare, self.augment, self.seed = prepare, augment, seed
        self.repeat = repeat
        self._kept: dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]] | None = None
        self._raw: RawCache | None = None
        if cache is not None:
            self._raw = RawCache(cache, split.items, f"{prepare} {split.classes.names}", self.read)
            return
        if in_memory is None:
            in_memory = self._estimated_bytes() <= KEEP_BYTES
        if in_memory:
            self._kept = {index: self.read(index) for index in range(len(self.items))}

    def _estimated_bytes(self) -> float:
        """Size of all decoded pairs, from a few that lie evenly in the split."""
        step = max(1, len(self.items) // _SAMPLED)
        sizes = [sum(a.nbytes for a in self.read(i)) for i in range(0, len(self.items), step)]
        return float(np.mean(sizes)) * len(self.items) if sizes else 0.0

    def read(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Picture uint8 ``[H, W, 3]`` and truth uint8 ``[H, W]``, whole and unaugmented.

        Raises:
            TrainError: a file is unreadable, or the two differ in size.
        """
        if self._kept is not None and index in self._kept:
            return self._kept[index]
        if self._raw is not None:
            return self._raw.read(index)
        item = self.items[index]
        picture, labels = item.read_picture(item.picture), item.read_labels(item.labels)
        if fault := size_fault(item, picture, labels):
            raise TrainError(fault)
        if self.prepare is not None:
            image, mask = self.prepare(*_as_tensors(picture, labels))
            return np.ascontiguousarray(image.permute(1, 2, 0).numpy()), mask.numpy()
        return picture, labels

    def pairs(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """All of `read`, in order, once."""
        for index in range(len(self.items)):
            yield self.read(index)

    def __len__(self) -> int:
        return self.repeat * len(self.items)

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor]:
        epoch, index = epoch_and_index(key)
        pair = self.read(index % len(self.items))
        picture, labels = _as_tensors(*(array.copy() for array in pair))
        if self.augment is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed((self.seed * 100_003 + epoch) * 1_000_003 + index)
                picture, labels = self.augment(picture, labels)
        return picture.as_subclass(Tensor), labels.as_subclass(Tensor)

    def class_pixels(self, report: Callable[[int, int], None] = lambda done, of: None) -> Tensor:
        """Labelled pixels per class over the split's label files, int64 ``[K]``.

        Pictures are not read, and the counts of big splits are remembered: see `train.data.counts`.

        Args:
            report: called with label files done and their number.
        """
        if self._kept is not None and self.prepare is None:
            kept = (labels for _, labels in self._kept.values())
            counts = sum((np.bincount(a.ravel(), minlength=256) for a in kept), np.zeros(256, int))
        else:
            counts = count_pixels(self.items, report)
        return torch.from_numpy(counts[: len(self.classes)])


def _as_tensors(
    picture_HWC: NDArray[np.uint8], labels_HW: NDArray[np.uint8]
) -> tuple[tv_tensors.Image, tv_tensors.Mask]:
    image = tv_tensors.Image(torch.from_numpy(picture_HWC).permute(2, 0, 1))
    return image, tv_tensors.Mask(torch.from_numpy(labels_HW))
