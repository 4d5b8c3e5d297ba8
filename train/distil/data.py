"""Training and validation pictures of a recipe with teachers.

Training samples are a picture uint8 ``[3, C, C]``, labels int64 ``[C, C]`` and soft labels uint8
``[K, c, c]``; validation is an ordinary split: the data set's own, or held-out pictures with the
teachers' word for truth. Shape legend: H and W a picture's size, K classes, C the crop's side, c
that over the soft labels' stride.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from streamseg.models.classlists import CITYSCAPES, VOC
from streamseg.models.palette import CAMVID, Palette, index_colour
from train.data.config import DataConfig
from train.data.dataset import KEEP_BYTES, Key, SegmentationData, epoch_and_index
from train.data.items import Item, Split
from train.data.opening import training_set, validation_set
from train.data.pixels import read_picture
from train.distil.cache import SoftCache
from train.distil.crop import crop
from train.distil.frames import held_out, unlabelled_pictures
from train.distil.soft import hard_labels, resize, resize_labels, working_size
from train.distil.teacher import open_teacher
from train.errors import TrainError
from train.recipe import Recipe
from train.settings.distil import DistilConfig

Map = NDArray[np.uint8]
Report = Callable[[int, int], None]


class SoftTruth(NamedTuple):
    """What a part of a batch is compared with."""

    labels: Tensor
    """int64 ``[N, C, C]``; all `IGNORE` for unlabelled pictures."""
    soft: Tensor
    """uint8 ``[N, K, c, c]``, 255 is certainty."""

    def to(self, device: torch.device, *, non_blocking: bool = False) -> SoftTruth:
        """Both, on a device."""
        return SoftTruth(*(tensor.to(device, non_blocking=non_blocking) for tensor in self))


@dataclass(frozen=True, slots=True, kw_only=True)
class Taught:
    """One training picture with soft labels in the cache."""

    picture: Path
    side: int
    item: Item | None = None
    """Its labels, where there are any."""


class DistilData(Dataset[tuple[Tensor, Tensor, Tensor]]):
    """The training pictures; sample ``data[epoch, index]`` depends on these and the seed alone.

    Args:
        taught: pictures whose soft labels are in `cache`.
        cache: theirs.
        classes: the network's.
        config: ``[data]``, for the augmentation.
        seed: of it.
    """

    def __init__(
        self,
        taught: list[Taught],
        cache: SoftCache,
        classes: Palette,
        config: DataConfig,
        *,
        seed: int,
    ) -> None:
        self.taught, self.cache, self.classes, self.config = taught, cache, classes, config
        self.seed = seed
        self._kept: dict[int, tuple[Map, Map | None]] = {}
        self._kept_bytes = 0

    def __len__(self) -> int:
        return len(self.taught)

    def class_pixels(self) -> Tensor:
        """Labelled pixels per class, int64 ``[K]``, of the pictures that have labels."""
        counts = np.zeros(256, np.int64)
        for taught in self.taught:
            if taught.item is not None:
                labels = taught.item.read_labels(taught.item.labels)
                counts += np.bincount(labels.ravel(), minlength=256)
        return torch.from_numpy(counts[: len(self.classes)])

    def read(self, index: int) -> tuple[Map, Map | None]:
        """Picture ``[H, W, 3]`` and labels ``[H, W]`` at the teachers' working size.

        They are kept in memory as long as all that is kept fits 2 GiB.
        """
        if index in self._kept:
            return self._kept[index]
        taught = self.taught[index]
        item = taught.item
        picture = item.read_picture(item.picture) if item else read_picture(taught.picture)
        size = working_size(picture.shape, taught.side, self.cache.config.stride)
        labels = resize_labels(item.read_labels(item.labels), *size) if item else None
        pair = resize(picture, *size), labels
        used = pair[0].nbytes + (0 if labels is None else labels.nbytes)
        if self._kept_bytes + used <= KEEP_BYTES:
            self._kept[index] = pair
            self._kept_bytes += used
        return pair

    def __getitem__(self, key: Key) -> tuple[Tensor, Tensor, Tensor]:
        epoch, index = epoch_and_index(key)
        picture, labels = self.read(index)
        taught = self.taught[index]
        soft = self.cache.read(taught.picture, taught.side)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed((self.seed * 100_003 + epoch) * 1_000_003 + index)
            return crop(picture, labels, soft, self.cache.config.stride, self.config)


def teacher_palette(config: DistilConfig) -> Palette:
    """The first teacher's classes; colours of the data set that has the same names, or VOC's map.

    Raises:
        TrainError: the teacher cannot be opened.
    """
    names = open_teacher(Path(config.teachers[0])).classes
    for known in (CAMVID, CITYSCAPES, VOC):
        if known.names == names:
            return known
    return Palette(names=names, colours=tuple(index_colour(index) for index in range(len(names))))


def open_distil_splits(
    recipe: Recipe, data: Path | None, report: Report = lambda done, of: None
) -> tuple[DistilData, SegmentationData]:
    """Training pictures with soft labels, computed if the cache lacks them, and validation's.

    Args:
        recipe: with an active ``[distil]``.
        data: folder of the labelled data set; needed if ``distil.labelled``.
        report: called with pictures done and their number while teachers work.

    Raises:
        TrainError: something cannot be read, or too little is left to train on.
    """
    config, labelled = recipe.distil, recipe.distil.labelled
    if labelled and data is None:
        raise TrainError(
            f"{recipe.name}: distil.labelled needs --data; set it to false to learn from teachers "
            "alone"
        )
    _check(recipe)
    pictures = unlabelled_pictures(config) if config.unlabelled else []
    taught: list[Taught] = []
    if labelled:
        assert data is not None
        source = training_set(recipe.data, data, seed=recipe.train.seed)
        val, classes = validation_set(recipe.data, data), source.classes
        side = config.labelled_side
        taught = [Taught(picture=i.picture, side=side, item=i) for i in source.items]
    else:
        pictures, for_validation = held_out(pictures, config)
        classes = teacher_palette(config)
    cache = SoftCache(config, classes.names)
    taught += [Taught(picture=path, side=config.side) for path in pictures]
    wanted = [(t.picture, t.side) for t in taught]
    if not labelled:
        wanted += [(path, config.side) for path in for_validation]
    cache.fill(wanted, read_picture, report)
    if not labelled:
        val = _agreement_split(for_validation, cache, classes)
    if len(taught) < recipe.train.batch:
        raise TrainError(
            f"{recipe.name}: {len(taught)} training pictures are fewer than one batch of "
            f"{recipe.train.batch}; lower train.batch"
        )
    return DistilData(taught, cache, classes, recipe.data, seed=recipe.train.seed), val


def _check(recipe: Recipe) -> None:
    """Refuse what soft labels cannot follow.

    Raises:
        TrainError: such a recipe.
    """
    data, distil = recipe.data, recipe.distil
    sides = (data.crop,) if isinstance(data.crop, int) else data.crop
    if not all(side and side % distil.stride == 0 for side in sides):
        raise TrainError(
            f"{recipe.name}: with teachers data.crop must be a multiple of distil.stride "
            f"({distil.stride}), got {data.crop}"
        )
    if data.resize:
        raise TrainError(f"{recipe.name}: with teachers distil.side takes the place of data.resize")
    if not distil.labelled and recipe.loss.balance != "none":
        raise TrainError(
            f"{recipe.name}: loss.balance is {recipe.loss.balance!r}, which counts labels, and "
            "there are none; set it to 'none'"
        )


def _agreement_split(pictures: list[Path], cache: SoftCache, classes: Palette) -> SegmentationData:
    """Held-out pictures whose truth is the class that the teachers hold most probable."""
    side, stride = cache.config.side, cache.config.stride

    def read(path: Path) -> Map:
        picture = read_picture(path)
        return resize(picture, *working_size(picture.shape, side, stride))

    def labels(path: Path) -> Map:
        soft = cache.read(path, side)
        height, width = (n * stride for n in soft.shape[1:])
        return hard_labels(soft, height, width)

    items = [
        Item(picture=path, labels=path, read_labels=labels, read_picture=read) for path in pictures
    ]
    return SegmentationData(Split(items=items, classes=classes))
