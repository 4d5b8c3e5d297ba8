"""Folders of labelme's JSON files (https://github.com/wkentaro/labelme), polygons to masks.

A JSON file holds the shapes of one picture, which lies beside it (``imagePath``) or in it
(``imageData``). Folders below `root` are the splits; without any, every tenth picture by the hash
of its name is for validation (`train.data.folder.hash_split`).

Classes are the lines of ``classes.txt`` (or ``labels.txt``) if there is one, as `read_classes`
reads them; else ``_background_`` and, in the alphabet's order, all labels found below `root`.
Pixels without a shape are ``_background_`` (or ``background``) where that is a class, and void
where it is not; a shape labelled ``__ignore__`` is void. Shapes are drawn in the file's order,
later over earlier.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from streamseg.models.palette import Palette, index_colour
from train.data.files import NoSplitError, some
from train.data.folder import hash_split, read_classes
from train.data.items import Item, Split
from train.data.labelme_file import (
    draw_shape,
    picture_size,
    read_embedded_picture,
    read_json,
    shapes_of,
)
from train.data.pixels import IGNORE, read_picture
from train.errors import TrainError

read_upright_picture = partial(read_picture, upright=True)
"""Turned as its EXIF tag says: labelme draws on pictures that way."""

BACKGROUND = ("_background_", "background")
VOID_LABEL = "__ignore__"
_CLASS_LISTS = ("classes.txt", "labels.txt")


@dataclass(frozen=True, slots=True)
class ShapeLabels:
    """Draws a JSON file's shapes as class indices."""

    names: tuple[str, ...]

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """Class indices uint8 ``[H, W]``.

        Raises:
            TrainError: unreadable, a shape that cannot be drawn, or a label that is no class.
        """
        content = read_json(path)
        index = {name: number for number, name in enumerate(self.names)} | {VOID_LABEL: IGNORE}
        empty = next((index[name] for name in BACKGROUND if name in index), IGNORE)
        width, height = picture_size(content, path)
        labels = Image.new("L", (width, height), empty)
        for shape in shapes_of(content, path):
            if shape["label"] not in index:
                raise TrainError(
                    f"{path}: the label {shape['label']!r} is no class; "
                    f"the classes are {', '.join(self.names)}"
                )
            draw_shape(labels, shape, index[shape["label"]], path)
        return np.array(labels)


def find_picture(content: dict[str, Any], path: Path) -> Path | None:
    """The picture beside a JSON file; `path` itself if it is embedded; None if there is none."""
    written = str(content.get("imagePath") or "").replace("\\", "/")  # labelme on Windows
    if written:
        for candidate in (path.parent / written, path.parent / Path(written).name):
            if candidate.is_file():
                return candidate
    return path if content.get("imageData") else None


def classes_of(root: Path) -> Palette:
    """The classes of a folder: listed, or found in all its JSON files.

    Raises:
        TrainError: a file is unreadable, or there are no classes.
    """
    for name in _CLASS_LISTS:
        if (root / name).is_file():
            listed = read_classes(root / name)
            keep = [i for i, label in enumerate(listed.names) if label != VOID_LABEL]
            return Palette(
                names=tuple(listed.names[i] for i in keep),
                colours=tuple(listed.colours[i] for i in keep),
            )
    found: set[str] = set()
    for path in sorted(root.rglob("*.json")):
        found |= {shape["label"] for shape in shapes_of(read_json(path), path)}
    names = sorted(found - {VOID_LABEL, *BACKGROUND})
    if not names:
        raise TrainError(f"{root}: no labelled shape in any of its JSON files")
    if len(names) > 254:
        raise TrainError(f"{root}: {len(names)} different labels, at most 254 can be classes")
    colours = tuple(index_colour(index) for index in range(len(names) + 1))
    return Palette(names=(BACKGROUND[0], *names), colours=colours)


def _files_of(root: Path, split: str) -> list[Path]:
    folders = [p for p in root.iterdir() if p.is_dir() and any(p.glob("*.json"))]
    if folders:
        if not any(folder.name == split for folder in folders):
            raise NoSplitError(
                f"{root / split}: no such folder with JSON files of labelme; make it, or have all "
                "files in one folder: without folders below it a tenth is for validation"
            )
        return sorted((root / split).glob("*.json"))
    files = sorted(root.glob("*.json"))
    if not files:
        raise TrainError(f"{root}: no JSON files of labelme")
    return hash_split(files, split, lambda path: path.stem, root)


def find_labelme(root: Path, split: str) -> Split:
    """JSON files and their pictures of one split, sorted by name.

    Raises:
        TrainError: a folder is missing, or a JSON file is not labelme's.
    """
    if not root.is_dir():
        raise TrainError(f"{root}: no such folder")
    files = _files_of(root, split)
    classes = classes_of(root)
    read_labels = ShapeLabels(classes.names)
    items, missing = [], []
    for path in files:
        picture = find_picture(read_json(path), path)
        if picture is None:
            missing.append(path)
            continue
        reader = read_embedded_picture if picture == path else read_upright_picture
        items.append(
            Item(picture=picture, labels=path, read_labels=read_labels, read_picture=reader)
        )
    faults = (f"{root}: {some(missing, 'no picture beside or in the JSON')}",) if missing else ()
    return Split(items=items, classes=classes, faults=faults)
