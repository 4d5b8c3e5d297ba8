"""The street of `tests.train.drawn` in each data set's official folder layout.

File names, formats and numbers are those of the real data sets; pictures are small. Each builder
writes below `root` and returns it: what ``--data`` takes.
"""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.io import savemat

from tests.train.drawn import BUILDING, CAR, ROAD, SKY, VOID, draw_street

Numbers = dict[int, int]
"""What the street's sky, building, road, car and void are called in a layout's label files."""

CITYSCAPES_IDS: Numbers = {SKY: 23, BUILDING: 11, ROAD: 7, CAR: 26, VOID: 3}
VOC_IDS: Numbers = {SKY: 0, BUILDING: 19, ROAD: 6, CAR: 7, VOID: 255}
COCO_IDS: Numbers = {SKY: 157, BUILDING: 96, ROAD: 149, CAR: 3, VOID: 0}
FOLDER_IDS: Numbers = {SKY: 0, BUILDING: 1, ROAD: 2, CAR: 3, VOID: 255}


def renumber(labels_HW: NDArray[np.uint8], numbers: Numbers) -> NDArray[np.uint8]:
    """The street's labels as a layout writes them."""
    table = np.zeros(256, dtype=np.uint8)
    for index, number in numbers.items():
        table[index] = number
    return np.asarray(table[labels_HW], dtype=np.uint8)


def save(path: Path, array: NDArray[Any], *, palette: bool = False) -> None:
    """Write a picture (JPEG at high quality) or an index PNG, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(array)
    if palette:
        picture.putpalette([value for index in range(256) for value in (index, 0, 255 - index)])
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if path.suffix == ".jpg" else {}
    picture.save(path, **options)


def draw_cityscapes(
    root: Path,
    train: int = 4,
    val: int = 2,
    size: tuple[int, int] = (64, 96),
    *,
    coarse: int = 0,
) -> Path:
    """``leftImg8bit``, ``gtFine`` (labelIds and instanceIds) and, with `coarse`, train_extra."""
    parts = (("train", "aachen", "gtFine", train), ("val", "munster", "gtFine", val))
    for split, city, kind, count in (*parts, ("train_extra", "bayreuth", "gtCoarse", coarse)):
        for index in range(count):
            picture, street = draw_street(len(split) * 1000 + index, *size)
            ids = renumber(street, CITYSCAPES_IDS)
            stem = f"{city}_000000_{index:06d}"
            save(root / "leftImg8bit" / split / city / f"{stem}_leftImg8bit.png", picture)
            labels = root / kind / split / city / f"{stem}_{kind}"
            save(labels.with_name(labels.name + "_labelIds.png"), ids)
            # A class with instances is id * 1000 + its number, any other its plain id.
            instances = np.where(street == CAR, np.uint16(26_000), ids.astype(np.uint16))
            save(labels.with_name(labels.name + "_instanceIds.png"), instances)
    return root


def _voc_picture(base: Path, name: str, index: int, size: tuple[int, int], labels: str) -> None:
    picture, street = draw_street(index, *size)
    save(base / "JPEGImages" / f"{name}.jpg", picture)
    save(base / labels / f"{name}.png", renumber(street, VOC_IDS), palette=True)


def _write_list(path: Path, names: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{name}\n" for name in names))


def draw_voc(root: Path, train: int = 4, val: int = 2, size: tuple[int, int] = (64, 96)) -> Path:
    """``VOCdevkit/VOC2012`` with JPEGImages, SegmentationClass and the lists of ImageSets."""
    base = root / "VOCdevkit" / "VOC2012"
    names = {
        "train": [f"2007_{index:06d}" for index in range(train)],
        "val": [f"2008_{index:06d}" for index in range(val)],
    }
    for split, offset in (("train", 0), ("val", 1000)):
        for index, name in enumerate(names[split]):
            _voc_picture(base, name, offset + index, size, "SegmentationClass")
        _write_list(base / "ImageSets" / "Segmentation" / f"{split}.txt", names[split])
    both = sorted(names["train"] + names["val"])
    _write_list(base / "ImageSets" / "Segmentation" / "trainval.txt", both)
    return root


def draw_voc_aug(
    root: Path,
    train: int = 4,
    val: int = 2,
    size: tuple[int, int] = (64, 96),
    *,
    extra: int = 3,
) -> Path:
    """`draw_voc`, and `extra` pictures of SBD in ``SegmentationClassAug`` and train_aug.txt.

    The list is written as DeepLab's is: a picture's and a label file's path in each line.
    """
    draw_voc(root, train, val, size)
    base = root / "VOCdevkit" / "VOC2012"
    names = [f"2007_{index:06d}" for index in range(train)]
    for index, name in enumerate(names):
        _voc_picture(base, name, index, size, "SegmentationClassAug")
    for index in range(extra):
        names.append(f"2010_{index:06d}")
        _voc_picture(base, names[-1], 2000 + index, size, "SegmentationClassAug")
    lines = [f"/JPEGImages/{name}.jpg /SegmentationClassAug/{name}.png" for name in names]
    _write_list(base / "ImageSets" / "Segmentation" / "train_aug.txt", lines)
    return root


def draw_voc_sbd(
    root: Path, train: int = 4, val: int = 2, size: tuple[int, int] = (64, 96), *, extra: int = 3
) -> Path:
    """`draw_voc`, and SBD as its authors pack it: ``benchmark_RELEASE/dataset/{img,cls}``.

    SBD holds the pictures of VOC's train and val lists too, which must not be trained on (val) or
    not with SBD's coarser labels (train): they are drawn there as all aeroplane (1).
    """
    draw_voc(root, train, val, size)
    base = root / "benchmark_RELEASE" / "dataset"
    names = [f"2007_{index:06d}" for index in range(train)]
    names += [f"2008_{index:06d}" for index in range(val)]
    names += [f"2010_{index:06d}" for index in range(extra)]
    for name in names:
        picture, street = draw_street(2000 + int(name[5:]), *size)
        labels = renumber(street, VOC_IDS)
        labels[labels == 255] = 0  # SBD has no void
        if not name.startswith("2010"):
            labels[:] = 1
        save(base / "img" / f"{name}.jpg", picture)
        (base / "cls").mkdir(exist_ok=True)
        content = {"Boundaries": np.zeros(1), "Segmentation": labels, "CategoriesPresent": [7]}
        savemat(base / "cls" / f"{name}.mat", {"GTcls": content})
    _write_list(base / "train.txt", names[: train + val])
    _write_list(base / "val.txt", names[train + val :])
    return root


def draw_cocostuff10k(
    root: Path, train: int = 4, val: int = 2, size: tuple[int, int] = (64, 96)
) -> Path:
    """``images``, ``annotations/*.mat`` (S: 0 unlabelled, 1..182) and ``imageLists``."""
    names = [f"COCO_train2014_{index:012d}" for index in range(train + val)]
    for index, name in enumerate(names):
        picture, street = draw_street(index, *size)
        save(root / "images" / f"{name}.jpg", picture)
        (root / "annotations").mkdir(exist_ok=True)
        labels = renumber(street, COCO_IDS).astype(np.uint16)
        content = {"S": labels, "names": np.array(["unlabeled", "person"], dtype=object)}
        savemat(root / "annotations" / f"{name}.mat", {**content, "captions": ["a street"]})
    _write_list(root / "imageLists" / "train.txt", names[:train])
    _write_list(root / "imageLists" / "test.txt", names[train:])
    _write_list(root / "imageLists" / "all.txt", names)
    return root


def draw_cocostuff164k(
    root: Path, train: int = 4, val: int = 2, size: tuple[int, int] = (64, 96)
) -> Path:
    """``{images,annotations}/{train,val}2017``; the PNGs hold id - 1, and 255 for unlabelled."""
    for split, count, first in (("train2017", train, 0), ("val2017", val, 1000)):
        for index in range(first, first + count):
            picture, street = draw_street(index, *size)
            save(root / "images" / split / f"{index:012d}.jpg", picture)
            labels = renumber(street, COCO_IDS) - 1  # uint8: 0 becomes 255
            save(root / "annotations" / split / f"{index:012d}.png", labels)
    return root


def _box(labels_HW: NDArray[np.uint8], value: int) -> list[list[float]]:
    """Corners of the smallest rectangle around a class, as labelme stores them."""
    rows, columns = np.nonzero(labels_HW == value)
    return [
        [float(columns.min()), float(rows.min())],
        [float(columns.max()), float(rows.max())],
    ]


def draw_labelme(
    root: Path,
    train: int = 4,
    val: int = 2,
    size: tuple[int, int] = (64, 96),
    *,
    subfolders: bool = True,
    embedded: bool = False,
) -> Path:
    """A JSON file of labelme beside each picture (or holding it): sky, building, road, car.

    Without `subfolders` all lie in `root` itself. Void rows have no shape.
    """
    for split, count, first in (("train", train, 0), ("val", val, 1000)):
        folder = root / split if subfolders else root
        folder.mkdir(parents=True, exist_ok=True)
        for index in range(first, first + count):
            picture, street = draw_street(index, *size)
            stream = io.BytesIO()
            Image.fromarray(picture).save(stream, "PNG")
            if not embedded:
                (folder / f"{index:04d}.png").write_bytes(stream.getvalue())
            shapes: list[dict[str, Any]] = []
            for name, value in (("sky", SKY), ("building", BUILDING), ("road", ROAD)):
                points = _box(street, value)
                shapes.append({"label": name, "points": points, "shape_type": "rectangle"})
            (left, top), (right, bottom) = _box(street, CAR)
            corners = [[left, top], [right, top], [right, bottom], [left, bottom]]
            shapes.append({"label": "car", "points": corners, "shape_type": "polygon"})
            content: dict[str, Any] = {
                "version": "5.5.0",
                "flags": {},
                "shapes": shapes,
                "imagePath": f"{index:04d}.png",
                "imageData": base64.b64encode(stream.getvalue()).decode() if embedded else None,
                "imageHeight": size[0],
                "imageWidth": size[1],
            }
            (folder / f"{index:04d}.json").write_text(json.dumps(content))
    return root


def draw_folder(
    root: Path,
    train: int = 4,
    val: int = 2,
    size: tuple[int, int] = (64, 96),
    *,
    subfolders: bool = True,
) -> Path:
    """``images`` and ``labels`` (with train and val below, or not), and ``classes.txt``."""
    for split, count, first in (("train", train, 0), ("val", val, 1000)):
        for index in range(first, first + count):
            picture, street = draw_street(index, *size)
            below = split if subfolders else ""
            save(root / "images" / below / f"{index:04d}.jpg", picture)
            save(root / "labels" / below / f"{index:04d}.png", renumber(street, FOLDER_IDS))
    text = "sky 128 128 128\nhigh building 128 0 0\nroad 128 64 128\ncar\n"
    (root / "classes.txt").write_text(text)
    return root
