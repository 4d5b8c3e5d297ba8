"""From a layout's name, or a recipe's ``[data]``, to the data set that training reads."""

from __future__ import annotations

from pathlib import Path

from torchvision.transforms import v2

from train.data.config import DataConfig
from train.data.dataset import SegmentationData
from train.data.layouts import find_split
from train.data.transforms import preparation, training_augmentation
from train.errors import TrainError


def open_dataset(
    layout: str,
    root: Path,
    split: str,
    *,
    prepare: v2.Transform | None = None,
    augment: v2.Transform | None = None,
    seed: int = 0,
    repeat: int = 1,
    in_memory: bool | None = None,
    cache: Path | None = None,
) -> SegmentationData:
    """One split of the data set in `root`; see `SegmentationData`.

    Raises:
        TrainError: the folder is not in that layout, files are missing, or one cannot be read.
    """
    found = find_split(layout, root, split)
    if found.faults:
        raise TrainError(found.faults[0])
    return SegmentationData(
        found,
        prepare=prepare,
        augment=augment,
        seed=seed,
        repeat=repeat,
        in_memory=in_memory,
        cache=cache,
    )


def training_set(config: DataConfig, root: Path, *, seed: int) -> SegmentationData:
    """What a recipe trains on: its training split, resized and augmented as ``[data]`` says.

    Raises:
        TrainError: see `open_dataset`.
    """
    augment = training_augmentation(
        crop=config.crop,
        scale=config.scale,
        scales=config.scales,
        scale_law=config.scale_law,
        flip=config.flip,
        jitter=config.jitter,
    )
    prepare = preparation(resize=config.resize)
    return open_dataset(
        config.layout,
        root,
        config.train_split,
        prepare=prepare,
        augment=augment,
        seed=seed,
        repeat=config.repeat,
        cache=Path(config.cache) if config.cache else None,
    )


def validation_set(config: DataConfig, root: Path) -> SegmentationData:
    """What a recipe validates on while it trains: its validation split, resized and cropped.

    Raises:
        TrainError: see `open_dataset`.
    """
    prepare = preparation(resize=config.resize, centre_crop=config.val_crop)
    cache = Path(config.cache) if config.cache else None
    return open_dataset(config.layout, root, config.val_split, prepare=prepare, cache=cache)
