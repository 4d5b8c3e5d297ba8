"""Any folder of pictures with index PNGs: ``images/``, ``labels/`` and ``classes.txt``.

``images/train`` and ``images/val`` (any names; ``labels`` has the same) are the splits; without
them, every tenth picture by the hash of its name is for validation. A label file has the stem of
its picture; its numbers are the lines of classes.txt, from 0, and 255 is void. A line is a class's
name, or its name and colour: ``high building 128 0 0``.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from streamseg.models.palette import Palette, index_colour
from train.data.files import NoSplitError, pair_by_stem, pictures_in, read_list, require_folders
from train.data.items import Item, Split
from train.data.pixels import IndexLabels
from train.errors import TrainError

HASH_SPLITS = ("train", "val", "all")
VALIDATION_SHARE = 0.1

T = TypeVar("T")


def read_classes(path: Path) -> Palette:
    """Class names, and colours (Pascal VOC's of the index plus one where none is given).

    Raises:
        NoSplitError: no such file.
        TrainError: unreadable, empty, more than 255 classes, or one twice.
    """
    names, colours = [], []
    for line in read_list(path):
        words = line.split()
        if len(words) > 3 and all(word.isdecimal() for word in words[-3:]):
            red, green, blue = (int(word) for word in words[-3:])
            names.append(" ".join(words[:-3]))
            colours.append((red, green, blue))
        else:
            names.append(" ".join(words))
            colours.append(index_colour(len(names)))
    try:
        return Palette(names=tuple(names), colours=tuple(colours))
    except ValueError as error:
        raise TrainError(f"{path}: {error}") from error


def hash_split(things: Sequence[T], split: str, name: Callable[[T], str], root: Path) -> list[T]:
    """The part of `things` that a split has, by the hash of their names: the same on any machine.

    The tenth with the lowest hashes, and one at least, is "val"; the rest is "train".

    Raises:
        NoSplitError: another split than train, val and all.
        TrainError: fewer than two things to split.
    """
    if split not in HASH_SPLITS:
        raise NoSplitError(f"{root}: no split {split!r}; without subfolders: train, val, all")
    if split == "all":
        return list(things)
    if len(things) < 2:
        raise TrainError(f"{root}: one picture cannot be split into train and val; use split all")
    order = sorted(things, key=lambda thing: hashlib.sha256(name(thing).encode()).digest())
    count = math.ceil(VALIDATION_SHARE * len(things))
    chosen = {name(thing) for thing in order[:count]}
    return [thing for thing in things if (name(thing) in chosen) == (split == "val")]


def has_subfolders(folder: Path) -> bool:
    """Whether a folder's pictures lie in folders below it."""
    return folder.is_dir() and any(p.is_dir() and p.name[0] != "." for p in folder.iterdir())


def find_folder(root: Path, split: str) -> Split:
    """Pictures and labels of one split, sorted by name.

    Raises:
        TrainError: a folder or classes.txt is missing or wrong.
    """
    require_folders(root, ("images", "labels"), "folder")
    try:
        classes = read_classes(root / "classes.txt")
    except NoSplitError as error:
        raise TrainError(
            f"{root / 'classes.txt'}: no such file; write one class a line, in the order of the "
            "numbers in the label files, from 0"
        ) from error
    read_labels = IndexLabels(
        classes={index: index for index in range(len(classes))},
        void=frozenset({255}),
        meaning=f"classes.txt has 0..{len(classes) - 1}, and 255 is void",
    )
    below = split if has_subfolders(root / "images") else ""
    pictures = pictures_in(root / "images" / below)
    if not below:
        pictures = hash_split(pictures, split, lambda path: path.stem, root)
    labels_dir = root / "labels" / below
    if not labels_dir.is_dir():
        raise TrainError(f"{labels_dir}: no such folder, but {root / 'images' / below} is there")
    pairs, faults = pair_by_stem(pictures, labels_dir)
    items = [Item(picture=p, labels=labels, read_labels=read_labels) for p, labels in pairs]
    return Split(items=items, classes=classes, faults=faults)
