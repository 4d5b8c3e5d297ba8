"""Which layout a folder has, by the folders and files that each layout cannot do without."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from train.data.coco import coco_files
from train.data.colourmasks import colour_list, folders_of
from train.data.cvat import cvat_files
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
"""Of each layout, the sets of paths of which one is enough. The others are told by their files."""


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
    found = _by_content(root, found)
    if not found:
        wanted = "; ".join(f"{name}: {_list(sets[0])}" for name, sets in MARKS.items())
        raise TrainError(
            f"{root}: none of the known layouts; looked for {wanted}; labelme, coco: their JSON "
            "files; cvat: its XML file; colours: a list of colours. docs/data.md shows each"
        )
    return found


def _by_content(root: Path, found: list[Recognised]) -> list[Recognised]:
    """With the layouts that are told by what files hold."""
    listed, folders = colour_list(root), folders_of(root)
    # "folder" and VOC have numbers in the same places
    if listed and folders and (listed.name != "classes.txt" or _in_colour(folders[1])):
        why = f"{listed.name} has colours, {folders[1].name} is there"
        return [Recognised("colours", why), *(one for one in found if one.layout != "folder")]
    if found:
        return found
    if example := _labelme(root):
        return [Recognised("labelme", f"{example} is a file of labelme")]
    if files := coco_files(root):
        name = next(iter(files)).relative_to(root).as_posix()
        return [Recognised("coco", f"{name} is a file of COCO's kind")]
    if trees := cvat_files(root):
        name = next(iter(trees)).relative_to(root).as_posix()
        return [Recognised("cvat", f"{name} is a file of CVAT's")]
    return []


def _in_colour(folder: Path) -> bool:
    """Whether a folder's first PNG is a colour picture."""
    path = next(iter(sorted(folder.rglob("*.png"))), None)
    if path is None:
        return False
    try:
        with Image.open(path) as picture:
            return picture.mode in ("RGB", "RGBA")
    except OSError:
        return False


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
    if layout == "coco" and len(coco_files(root)) > 1:
        return ["train", "val", "test"]
    if layout == "coco":
        return ["train", "val"]
    if layout == "cvat":
        below = sorted({path.parent.name for path in cvat_files(root) if path.parent != root})
        return below or ["train", "val"]
    if layout in ("labelme", "folder", "colours"):
        folders = folders_of(root) if layout == "colours" else None
        folder = folders[0] if folders else root / "images" if layout == "folder" else root
        below = [p.name for p in folder.iterdir() if p.is_dir() and p.name[0] != "."]
        return sorted(below, key=lambda name: (name != "train", name != "val", name)) or [
            "train",
            "val",
        ]
    return ["train", "val"]
