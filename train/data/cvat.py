"""CVAT's own XML ("CVAT for images 1.1"): ``annotations.xml`` and the pictures beside or below it.

Folders ``train`` and ``val`` with an XML file each are the splits; of one file, every tenth picture
by the hash of its name is for validation (or what the task's subsets say). Classes are the labels
that the file's ``meta`` lists, else those that are used, with ``_background_`` before them; shapes
are drawn by their ``z_order``.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

from streamseg.models.palette import Palette, index_colour
from train.data.coco import find_named
from train.data.files import NoSplitError, some
from train.data.folder import hash_split
from train.data.items import Item, Split
from train.data.shapes import DrawnLabels, Mask, Shape, runs, with_background
from train.errors import TrainError

Element = ElementTree.Element
KINDS = {
    "polygon": "polygon",
    "box": "rectangle",
    "polyline": "linestrip",
    "points": "points",
    "mask": "mask",
}
"""CVAT's shapes, and what they are called here."""


def cvat_files(root: Path) -> dict[Path, Element]:
    """CVAT's XML files in a folder and one level below it."""
    found: dict[Path, Element] = {}
    for path in sorted([*root.glob("*.xml"), *root.glob("*/*.xml")]):
        try:
            tree = ElementTree.parse(path).getroot()
        except (OSError, ElementTree.ParseError):
            continue
        if tree.tag == "annotations" and tree.find("image") is not None:
            found[path] = tree
    return found


def find_cvat(root: Path, split: str) -> Split:
    """Annotated pictures of one split, sorted by name.

    Raises:
        TrainError: no XML file of CVAT's, or one that is broken.
    """
    if not root.is_dir():
        raise TrainError(f"{root}: no such folder")
    files = cvat_files(root)
    if not files:
        raise TrainError(
            f"{root}: no XML file of CVAT's with pictures; export the task as 'CVAT for images 1.1'"
        )
    names = _classes(files)
    below = {path: tree for path, tree in files.items() if path.parent != root}
    chosen = files
    if below and split != "all":
        chosen = {path: tree for path, tree in below.items() if path.parent.name == split}
        if not chosen:
            raise NoSplitError(f"{root / split}: no such folder with an XML file of CVAT's")
    items, missing = [], []
    for path, tree in chosen.items():
        for image in tree.iter("image"):
            picture = find_named(root, path.parent, image.get("name", ""))
            if picture is None:
                missing.append(Path(image.get("name", "?")))
            else:
                items.append(_item(picture, image, names, path))
    items.sort(key=lambda item: item.picture.as_posix())
    if not below and split != "all":
        items = hash_split(items, split, lambda item: item.picture.stem, root)
    faults = (f"{root}: {some(missing, 'no picture file')}",) if missing else ()
    colours = tuple(index_colour(index) for index in range(len(names)))
    return Split(items=items, classes=Palette(names=names, colours=colours), faults=faults)


def _classes(files: dict[Path, Element]) -> tuple[str, ...]:
    listed = {
        (label.findtext("name") or "").strip(): None
        for tree in files.values()
        for label in tree.iterfind("./meta//labels/label")
    }
    used = {
        shape.get("label", ""): None
        for tree in files.values()
        for image in tree.iter("image")
        for shape in image
        if shape.tag in KINDS
    }
    names = [name for name in (*listed, *sorted(set(used) - set(listed))) if name]
    if not names:
        raise TrainError(f"{next(iter(files))}: no label in its meta, and none used")
    if len(names) > 254:
        raise TrainError(f"{next(iter(files))}: {len(names)} labels, at most 254 can be classes")
    return with_background(names)


def _item(picture: Path, image: Element, names: tuple[str, ...], path: Path) -> Item:
    try:
        width, height = int(image.attrib["width"]), int(image.attrib["height"])
        shapes = tuple(_shapes(image, path))
    except (KeyError, ValueError) as error:
        raise TrainError(
            f"{path}: the image {image.get('name')!r} has a size or a shape that cannot be read "
            f"({error})"
        ) from error
    labels = DrawnLabels(f"{path} {image.get('id')}", width, height, names, shapes)
    return Item(picture=picture, labels=path, read_labels=labels)


def _shapes(image: Element, path: Path) -> Iterator[Shape]:
    found = [shape for shape in image if shape.tag in KINDS]
    for shape in sorted(found, key=lambda one: int(one.get("z_order", "0"))):
        yield _shape(shape, path)


def _shape(shape: Element, path: Path) -> Shape:
    label, given = shape.attrib["label"], shape.attrib
    if shape.tag == "mask":
        left, top, width, height = (int(given[k]) for k in ("left", "top", "width", "height"))
        lengths = [int(length) for length in given["rle"].split(",")]
        pixels = runs(lengths, width * height, path).reshape(height, width)
        return Shape(label, "mask", mask=Mask(left, top, pixels))
    if shape.tag == "box":
        x0, y0, x1, y1 = (float(given[k]) for k in ("xtl", "ytl", "xbr", "ybr"))
        return Shape(label, "rectangle", ((x0, y0), (x1, y1)))
    pairs = [pair.split(",") for pair in given["points"].split(";")]
    points = tuple((float(x), float(y)) for x, y in pairs)
    return Shape(label, KINDS[shape.tag], points)
