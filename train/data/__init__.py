"""Data sets and augmentation: files in, `(picture, labels)` tensors out.

A layout is one function ``(root, split) -> Split`` and one line in `LAYOUTS`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from torchvision.transforms import v2

from train.data.camvid import find_camvid
from train.data.cityscapes import find_cityscapes, find_cityscapes_coarse
from train.data.cocostuff import find_cocostuff10k, find_cocostuff164k
from train.data.config import DataConfig
from train.data.dataset import IGNORE, Item, SegmentationData, Split
from train.data.folder import find_folder
from train.data.labelme import find_labelme
from train.data.transforms import preparation, training_augmentation
from train.data.voc import find_voc, find_voc_aug
from train.errors import TrainError

LAYOUTS: dict[str, Callable[[Path, str], Split]] = {
    "cityscapes": find_cityscapes,
    "cityscapes_coarse": find_cityscapes_coarse,
    "voc": find_voc,
    "voc_aug": find_voc_aug,
    "cocostuff10k": find_cocostuff10k,
    "cocostuff164k": find_cocostuff164k,
    "camvid": find_camvid,
    "labelme": find_labelme,
    "folder": find_folder,
}


def open_dataset(
    layout: str,
    root: Path,
    split: str,
    *,
    prepare: v2.Transform | None = None,
    augment: v2.Transform | None = None,
    seed: int = 0,
    in_memory: bool | None = None,
) -> SegmentationData:
    """One split of the data set in `root`; see `SegmentationData`.

    Raises:
        TrainError: the folder is not in that layout, files are missing, or one cannot be read.
    """
    found = LAYOUTS[layout](root, split)
    if found.faults:
        raise TrainError(found.faults[0])
    return SegmentationData(found, prepare=prepare, augment=augment, seed=seed, in_memory=in_memory)


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
        config.layout, root, config.train_split, prepare=prepare, augment=augment, seed=seed
    )


def validation_set(config: DataConfig, root: Path) -> SegmentationData:
    """What a recipe validates on while it trains: its validation split, resized and cropped.

    Raises:
        TrainError: see `open_dataset`.
    """
    prepare = preparation(resize=config.resize, centre_crop=config.val_crop)
    return open_dataset(config.layout, root, config.val_split, prepare=prepare)


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
