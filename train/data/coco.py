"""COCO's JSON of instances, as CVAT, Roboflow, Label Studio and others export it.

A JSON file has ``images``, ``annotations`` and ``categories``. Several files are splits by their
name or their folder's (``instances_train.json``, ``valid/_annotations.coco.json``); of one, every
tenth picture by the hash of its name is for validation. Pictures lie beside the file, in
``images`` (with or without the split's folder), or anywhere below under their name. Classes are
the categories, with ``_background_`` before them; annotations are drawn in the file's order.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from streamseg.models.palette import Palette, index_colour
from train.data.files import NoSplitError, some
from train.data.folder import hash_split
from train.data.items import Item, Split
from train.data.shapes import DrawnLabels, Mask, Shape, runs, unpack_coco, with_background
from train.errors import TrainError

_WORDS = {"train": ("train", "training"), "val": ("val", "valid", "validation"), "test": ("test",)}


def read_coco(path: Path) -> dict[str, Any] | None:
    """A file's content if it is COCO's; None if it is some other JSON."""
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return None
    keys = ("images", "annotations", "categories")
    is_coco = isinstance(content, dict) and all(isinstance(content.get(k), list) for k in keys)
    return content if is_coco else None


def coco_files(root: Path) -> dict[Path, dict[str, Any]]:
    """COCO files in a folder, in its ``annotations`` and one level below, with their content."""
    places = [*root.glob("*.json"), *root.glob("*/*.json")]
    found = ((path, read_coco(path)) for path in sorted(places))
    return {path: content for path, content in found if content is not None}


def _of_split(files: Sequence[Path], split: str) -> list[Path]:
    """The files that a split's word names, in their name or their folder's."""
    words = _WORDS.get(split, (split,))
    named = re.compile(rf"(^|[^a-z])({'|'.join(words)})([^a-z]|$)")
    return [p for p in files if named.search(p.stem.lower()) or p.parent.name.lower() in words]


def find_coco(root: Path, split: str) -> Split:
    """Annotated pictures of one split, sorted by name.

    Raises:
        TrainError: no file of COCO's, or one that is broken.
    """
    if not root.is_dir():
        raise TrainError(f"{root}: no such folder")
    files = coco_files(root)
    if not files:
        raise TrainError(f"{root}: no COCO file (JSON with images, annotations and categories)")
    names, by_id = _classes(files)
    chosen = list(files) if len(files) == 1 or split == "all" else _of_split(list(files), split)
    if not chosen:
        raise NoSplitError(
            f"{root}: no COCO file for the split {split!r} (there are "
            f"{', '.join(path.relative_to(root).as_posix() for path in files)})"
        )
    items, missing = [], []
    for path in chosen:
        found, lacking = _items(root, path, files[path], names, by_id[path])
        items += found
        missing += lacking
    items.sort(key=lambda item: item.picture.as_posix())
    if len(files) == 1 and split != "all":
        items = hash_split(items, split, lambda item: item.picture.stem, root)
    faults = (f"{root}: {some(missing, 'no picture file')}",) if missing else ()
    colours = tuple(index_colour(index) for index in range(len(names)))
    return Split(items=items, classes=Palette(names=names, colours=colours), faults=faults)


def _classes(
    files: Mapping[Path, dict[str, Any]],
) -> tuple[tuple[str, ...], dict[Path, dict[int, str]]]:
    """All categories in the order of their ids, and each file's names by id."""
    by_id: dict[Path, dict[int, str]] = {}
    order: dict[str, int] = {}
    for path, content in files.items():
        try:
            own = {int(c["id"]): str(c["name"]).strip() for c in content["categories"]}
        except (KeyError, TypeError, ValueError) as error:
            raise TrainError(f"{path}: a category without id and name") from error
        by_id[path] = own
        used = {int(a["category_id"]) for a in content["annotations"] if "category_id" in a}
        for number, name in own.items():
            # Roboflow adds a parent category that nothing belongs to
            if number in used or not _is_parent(content, name):
                order.setdefault(name, number)
    names = sorted(order, key=lambda name: (order[name], name))
    if not names:
        raise TrainError(f"{next(iter(files))}: no categories")
    if len(names) > 254:
        raise TrainError(
            f"{next(iter(files))}: {len(names)} categories, at most 254 can be classes"
        )
    return with_background(names), by_id


def _is_parent(content: dict[str, Any], name: str) -> bool:
    return any(c.get("supercategory") == name for c in content["categories"])


def _items(
    root: Path,
    path: Path,
    content: dict[str, Any],
    names: tuple[str, ...],
    by_id: Mapping[int, str],
) -> tuple[list[Item], list[Path]]:
    """A file's pictures with their shapes, and those without a picture file."""
    annotated: dict[int, list[dict[str, Any]]] = defaultdict(list)
    try:
        for annotation in content["annotations"]:
            annotated[int(annotation["image_id"])].append(annotation)
        pictures = [
            (int(i["id"]), str(i["file_name"]), int(i["width"]), int(i["height"]))
            for i in content["images"]
        ]
    except (KeyError, TypeError, ValueError) as error:
        raise TrainError(f"{path}: an image or annotation lacks {error}") from error
    items, missing = [], []
    for number, file_name, width, height in pictures:
        picture = find_named(root, path.parent, file_name)
        if picture is None:
            missing.append(Path(file_name))
            continue
        shapes = [
            shape
            for annotation in annotated[number]
            for shape in _shapes(annotation, by_id, (height, width), path)
        ]
        labels = DrawnLabels(f"{path} {number}", width, height, names, tuple(shapes))
        items.append(Item(picture=picture, labels=path, read_labels=labels))
    return items, missing


def find_named(root: Path, beside: Path, name: str) -> Path | None:
    """The picture that an annotation file calls `name`; None if there is none."""
    plain = name.replace("\\", "/").lstrip("/")
    stem = beside.name
    for folder in (beside, root, root / "images", root / "images" / stem, beside / "images"):
        for candidate in (folder / plain, folder / Path(plain).name):
            if candidate.is_file():
                return candidate
    return next((p for p in sorted(root.rglob(Path(plain).name)) if p.is_file()), None)


def _shapes(
    annotation: dict[str, Any], by_id: Mapping[int, str], size: tuple[int, int], path: Path
) -> list[Shape]:
    """What an annotation draws: its polygons or its mask, else its box.

    Raises:
        TrainError: an unknown category, or numbers that are none.
    """
    number = annotation.get("category_id")
    if not isinstance(number, int) or number not in by_id:
        raise TrainError(f"{path}: an annotation of category {number!r}, which is not listed")
    label, outline = by_id[number], annotation.get("segmentation")
    try:
        if isinstance(outline, dict):
            return [Shape(label, "mask", mask=_mask(outline, size, path))]
        if outline:
            return [
                Shape(label, "polygon", tuple(zip(flat[0::2], flat[1::2], strict=True)))
                for flat in outline
                if len(flat) >= 6
            ]
        x, y, width, height = annotation["bbox"]
        return [Shape(label, "rectangle", ((x, y), (x + width, y + height)))]
    except (KeyError, TypeError, ValueError) as error:
        raise TrainError(
            f"{path}: annotation {annotation.get('id')} ({label}) has neither polygons nor a mask "
            "nor a box"
        ) from error


def _mask(outline: dict[str, Any], size: tuple[int, int], path: Path) -> Mask:
    height, width = (int(side) for side in outline["size"])
    if (height, width) != size:
        raise TrainError(f"{path}: a mask of {width}x{height} on a picture of {size[1]}x{size[0]}")
    counts = outline["counts"]
    lengths = unpack_coco(counts, path) if isinstance(counts, str) else counts
    pixels = runs(lengths, height * width, path).reshape(width, height).T  # column after column
    return Mask(0, 0, np.ascontiguousarray(pixels))
