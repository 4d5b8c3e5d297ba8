"""Which layout a folder has, by the folders and files that each layout cannot do without."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from train.data.sbd import sbd_folder
from train.data.voc import voc_folder
from train.errors import TrainError

_VOC = ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation")

MARKS: dict[str, tuple[tuple[str, ...], ...]] = {
    "cityscapes": (("leftImg8bit", "gtFine"),),
    "cityscapes_coarse": (("leftImg8bit", "gtCoarse"),),
    "voc": (_VOC,),
    "voc_aug": ((*_VOC, "SegmentationClassAug"),),
    "cocostuff164k": (
        ("images/train2017", "annotations/train2017"),
        ("images/val2017", "annotations/val2017"),
    ),
    "cocostuff10k": (("images", "annotations", "imageLists"),),
    "camvid": (("train", "trainannot"), ("val", "valannot")),
    "folder": (("images", "labels"),),
}
"""Of each layout, the sets of paths of which one is enough. labelme has none: see `_labelme`."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """A layout that a folder has."""

    layout: str
    why: str


def recognise(root: Path) -> list[Recognised]:
    """The layouts that a folder has, the likeliest first.

    Raises:
        TrainError: no such folder, or none of the layouts.
    """
    if not root.is_dir():
        raise TrainError(f"{root}: no such folder")
    found = []
    for layout, sets in MARKS.items():
        base = voc_folder(root) if layout.startswith("voc") else root
        for marks in sets:
            if all((base / mark).exists() for mark in marks):
                found.append(Recognised(layout, f"{_list(marks)} are there"))
                break
    if any(one.layout == "voc" for one in found) and (sbd := sbd_folder(root, voc_folder(root))):
        found.append(Recognised("voc_aug", f"{sbd.name} of SBD is there too"))
    if not found and (example := _labelme(root)):
        found.append(Recognised("labelme", f"{example} is a file of labelme"))
    if not found:
        wanted = "; ".join(f"{name}: {_list(sets[0])}" for name, sets in MARKS.items())
        raise TrainError(
            f"{root}: none of the known layouts; looked for {wanted}; labelme: JSON files with "
            "shapes. docs/data.md shows each"
        )
    return found


AUTO = "auto"
"""Instead of a layout's name: the one that the folder has."""


def layout_of(root: Path, layout: str = AUTO) -> str:
    """A layout's name as it is, or the likeliest of a folder for `AUTO`.

    Raises:
        TrainError: no such folder, or none of the layouts.
    """
    return recognise(root)[0].layout if layout == AUTO else layout


def other_layout(root: Path, layout: str) -> str:
    """What a folder looks like that could not be read as `layout`, for a message; or nothing."""
    try:
        found = recognise(root)
    except TrainError:
        return ""
    if any(one.layout == layout for one in found):
        return ""
    first = found[0]
    return f"; this looks like {first.layout} ({first.why}): name that layout, or 'auto'"


def _list(words: tuple[str, ...]) -> str:
    return ", ".join(words[:-1]) + " and " + words[-1]


def _labelme(root: Path) -> str | None:
    """A JSON file of labelme in a folder or one level below it."""
    for pattern in ("*.json", "*/*.json"):
        for path in sorted(root.glob(pattern))[:5]:
            try:
                content = json.loads(path.read_text("utf-8-sig"))
            except (OSError, ValueError, RecursionError):
                continue
            if isinstance(content, dict) and isinstance(content.get("shapes"), list):
                return path.relative_to(root).as_posix()
    return None


def splits_of(layout: str, root: Path) -> list[str]:
    """The splits of a folder that are worth a look; some of them may not be there."""
    if layout == "camvid":
        return ["train", "val", "test"]
    if layout == "cityscapes_coarse":
        return ["train_extra", "train_coarse", "val"]
    if layout in ("labelme", "folder"):
        folder = root / "images" if layout == "folder" else root
        below = [p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != "."]
        return sorted(below, key=lambda name: (name != "train", name != "val", name)) or [
            "train",
            "val",
        ]
    return ["train", "val"]
