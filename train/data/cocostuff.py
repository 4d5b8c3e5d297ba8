"""COCO-Stuff (Caesar et al., CVPR 2018, https://github.com/nightrome/cocostuff): 10k v1.1 and 164k.

10k: ``images/NAME.jpg``, ``annotations/NAME.mat`` (variable S: 0 unlabelled, else the id), and
``imageLists/{train,test,all}.txt``. 164k: ``images/{train,val}2017/NAME.jpg`` and
``annotations/{train,val}2017/NAME.png`` (the "stuffthingmaps": id - 1, 255 unlabelled).

Ids are 1..182, of which COCO removed 11: 171 classes are left, in the order of their ids. The
devkit colours stuff by MATLAB's jet, permuted, and all things black; here every class has Pascal
VOC's colour of its id, so that things differ too.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.models.palette import Palette, index_colour
from train.data.cocostuff_names import REMOVED, TABLE
from train.data.files import (
    NoSplitError,
    pair_by_stem,
    pair_listed,
    pictures_in,
    read_list,
    require_folders,
    require_split,
)
from train.data.items import Item, Split
from train.data.matlab import read_matrix
from train.data.pixels import IndexLabels

_IDS = tuple(number for number in TABLE if number not in REMOVED)
COCO_STUFF = Palette(
    names=tuple(TABLE[number] for number in _IDS),
    colours=tuple(index_colour(number) for number in _IDS),
)
"""The 171 classes in the order of their ids: 80 things, then 91 stuff."""

INDEX = {number: index for index, number in enumerate(_IDS)}
"""Class index of each id that is used."""


def read_s(path: Path) -> NDArray[np.integer]:
    """The matrix S of one of the 10k set's files.

    Raises:
        TrainError: unreadable, or not one of them.
    """
    return read_matrix(path, "S")


read_labels_10k = IndexLabels(
    classes=INDEX,
    void=frozenset({0}),
    meaning="COCO-Stuff 10k has the 171 used ids of 1..182, and 0 for unlabelled",
    numbers=read_s,
)
read_labels_164k = IndexLabels(
    classes={number - 1: index for number, index in INDEX.items()},
    void=frozenset({255}),
    meaning="COCO-Stuff 164k has id - 1 of the 171 used ids of 1..182, and 255 for unlabelled",
)


def find_cocostuff10k(root: Path, split: str) -> Split:
    """train (9,000 pictures), test (1,000; "val" names it too) or all, in the lists' order.

    Raises:
        TrainError: a folder or list is missing.
    """
    require_folders(root, ("images", "annotations", "imageLists"), "cocostuff10k")
    lists = {"train": "train", "val": "test", "test": "test", "all": "all"}
    listing = root / "imageLists" / f"{require_split(split, lists)}.txt"
    found, faults = pair_listed(
        read_list(listing),
        lambda name: root / "images" / f"{name}.jpg",
        lambda name: root / "annotations" / f"{name}.mat",
        listing,
    )
    items = [Item(picture=p, labels=q, read_labels=read_labels_10k) for _, p, q in found]
    return Split(items=items, classes=COCO_STUFF, faults=faults)


def find_cocostuff164k(root: Path, split: str) -> Split:
    """train (118,287 pictures) or val (5,000), sorted by name.

    Raises:
        TrainError: a folder is missing or has no pictures.
    """
    require_folders(root, ("images", "annotations"), "cocostuff164k")
    folder = require_split(split, {"train": "train2017", "val": "val2017"})
    labels_dir = root / "annotations" / folder
    if not labels_dir.is_dir():
        raise NoSplitError(
            f"{labels_dir}: no such folder; unpack stuffthingmaps_trainval2017.zip in "
            f"{labels_dir.parent}"
        )
    pairs, faults = pair_by_stem(pictures_in(root / "images" / folder), labels_dir)
    read = partial(Item, read_labels=read_labels_164k)
    items = [read(picture=picture, labels=labels) for picture, labels in pairs]
    return Split(items=items, classes=COCO_STUFF, faults=faults)
