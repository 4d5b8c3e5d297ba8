"""Pictures with colour PNGs for labels: a list says which colour is which class.

``labelmap.txt`` (CVAT's "Segmentation mask", a class a line: ``road:128,64,128::``),
``class_dict.csv`` (``name,r,g,b``) or ``classes.txt`` with a colour on each line. Pictures lie in
``images`` (``JPEGImages``, ``imgs``), labels of the same stem in ``labels`` (``masks``,
``SegmentationClass``, ``annotations``); folders below them are the splits, without any every tenth
picture by the hash of its name is for validation.
"""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.models.palette import Palette
from train.data.files import pair_by_stem, pictures_in, read_list
from train.data.folder import has_subfolders, hash_split, read_classes
from train.data.items import Item, Split
from train.data.pixels import IGNORE, read_picture
from train.errors import TrainError

PICTURES = ("images", "JPEGImages", "imgs")
LABELS = ("labels", "masks", "SegmentationClass", "annotations")
LISTS = ("labelmap.txt", "class_dict.csv", "classes.txt")
VOID = ("void", "unlabelled", "unlabeled", "ignore", "__ignore__")
"""Classes of these names are no classes: their pixels count nowhere."""

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class ColourLabels:
    """Reads a colour PNG as class indices."""

    colours: tuple[Colour, ...]
    """Of the classes, in index order."""
    void: frozenset[Colour]

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """Class indices uint8 ``[H, W]``.

        Raises:
            TrainError: unreadable, or a colour that no class has.
        """
        rgb = read_picture(path).astype(np.int64)
        code = (rgb[..., 0] << 16) + (rgb[..., 1] << 8) + rgb[..., 2]
        labels = np.full(code.shape, IGNORE, dtype=np.uint8)
        known = np.zeros(code.shape, dtype=bool)
        listed = [(colour, index) for index, colour in enumerate(self.colours)]
        for colour, value in [*listed, *((colour, IGNORE) for colour in self.void)]:
            here = code == (colour[0] << 16) + (colour[1] << 8) + colour[2]
            labels[here] = value
            known |= here
        if not known.all():
            counts = Counter(code[~known].ravel().tolist())
            number, pixels = counts.most_common(1)[0]
            colour = (number >> 16, number >> 8 & 255, number & 255)
            smooth = "; were labels saved as JPEG, or smoothed?" if len(counts) > 20 else ""
            raise TrainError(
                f"{path}: {len(counts)} colours are no class's (the commonest is {colour}, "
                f"{pixels} pixels){smooth}"
            )
        return labels


def colour_list(root: Path) -> Path | None:
    """The file that says which colour is which class; None if there is none with colours."""
    for name in LISTS:
        path = root / name
        if path.is_file() and (name != "classes.txt" or _has_colours(path)):
            return path
    return None


def _has_colours(path: Path) -> bool:
    lines = read_list(path)
    return all(len(line.split()) > 3 and line.split()[-1].isdecimal() for line in lines)


def read_colours(path: Path) -> dict[str, Colour]:
    """Class names with their colours, in the list's order.

    Raises:
        TrainError: unreadable, or a line without a name and a colour.
    """
    if path.name == "classes.txt":
        listed = read_classes(path)
        return dict(zip(listed.names, listed.colours, strict=True))
    found: dict[str, Colour] = {}
    for line in read_list(path):
        if line.startswith("#"):
            continue
        try:
            if path.suffix == ".csv":
                name, *numbers = next(csv.reader([line]))
                if not numbers[0].strip().isdecimal():
                    continue  # the header
            else:
                name, text = line.split(":")[:2]
                numbers = text.split(",")
            red, green, blue = (int(number) for number in numbers[:3])
        except (ValueError, IndexError) as error:
            raise TrainError(f"{path}: {line!r} is not a name and a colour") from error
        if not all(0 <= value <= 255 for value in (red, green, blue)):
            raise TrainError(f"{path}: {line!r} has a colour beyond 0..255")
        found[name.strip()] = (red, green, blue)
    return found


def folders_of(root: Path) -> tuple[Path, Path] | None:
    """The folders of pictures and of labels; None if there are none."""
    pictures = next((root / name for name in PICTURES if (root / name).is_dir()), None)
    labels = next((root / name for name in LABELS if (root / name).is_dir()), None)
    return (pictures, labels) if pictures and labels else None


def find_colours(root: Path, split: str) -> Split:
    """Pictures and labels of one split, sorted by name.

    Raises:
        TrainError: a folder or the list is missing or wrong.
    """
    if not root.is_dir():
        raise TrainError(f"{root}: no such folder")
    folders, listed = folders_of(root), colour_list(root)
    if folders is None:
        raise TrainError(
            f"{root}: needs a folder of pictures ({', '.join(PICTURES)}) and one of labels "
            f"({', '.join(LABELS)})"
        )
    if listed is None:
        raise TrainError(
            f"{root}: no list of colours; write classes.txt, a line for each class: NAME RED GREEN "
            "BLUE"
        )
    colours = read_colours(listed)
    void = frozenset(colour for name, colour in colours.items() if name.lower() in VOID)
    kept = {name: colour for name, colour in colours.items() if name.lower() not in VOID}
    try:
        classes = Palette(names=tuple(kept), colours=tuple(kept.values()))
    except ValueError as error:
        raise TrainError(f"{listed}: {error}") from error
    if len(set(kept.values())) != len(kept):
        raise TrainError(f"{listed}: two classes have the same colour")
    below = split if has_subfolders(folders[0]) else ""
    pictures = pictures_in(folders[0] / below)
    if not below:
        pictures = hash_split(pictures, split, lambda path: path.stem, root)
    if not (folders[1] / below).is_dir():
        raise TrainError(f"{folders[1] / below}: no such folder, but {folders[0] / below} is there")
    pairs, faults = pair_by_stem(pictures, folders[1] / below)
    read_labels = ColourLabels(classes.colours, void)
    items = [Item(picture=p, labels=labels, read_labels=read_labels) for p, labels in pairs]
    return Split(items=items, classes=classes, faults=faults)
