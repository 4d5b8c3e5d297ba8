"""Cityscapes (Cordts et al., CVPR 2016, https://www.cityscapes-dataset.com), fine and coarse.

The folders as unpacked: ``leftImg8bit/SPLIT/CITY/NAME_leftImg8bit.png`` beside
``gtFine/SPLIT/CITY/NAME_gtFine_labelIds.png``, and ``gtCoarse`` in the same way. Label ids
become the 19 train ids of cityscapesScripts (`helpers/labels.py`); the other 15 ids, and the
licence plate (-1, stored as 255), are ignored. ``_labelTrainIds.png``, which cityscapesScripts
makes, serve where there are no ``_labelIds.png``.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from streamseg.models.classlists import CITYSCAPES
from train.data.files import NoSplitError, require_folders, some
from train.data.items import Item, Split
from train.data.pixels import IndexLabels
from train.errors import TrainError

_LABEL_IDS = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
"""Of the classes, in the order of their train ids."""

TRAIN_ID = {label_id: index for index, label_id in enumerate(_LABEL_IDS)}
"""Train id of each label id that has one."""

read_label_ids = IndexLabels(
    classes=TRAIN_ID,
    void=frozenset(set(range(34)) - set(TRAIN_ID) | {255}),
    meaning="label ids are 0..33, and 255 for the licence plate's -1",
)
read_train_ids = IndexLabels(
    classes={index: index for index in range(len(CITYSCAPES))},
    void=frozenset({255}),
    meaning="train ids are 0..18, and 255 for ignored pixels",
)

_PICTURE = "_leftImg8bit"


def _find(root: Path, pictures_split: str, kind: str, layout: str) -> Split:
    require_folders(root, ("leftImg8bit", kind), layout)
    pictures_dir, labels_dir = root / "leftImg8bit" / pictures_split, root / kind / pictures_split
    for folder in (pictures_dir, labels_dir):
        if not folder.is_dir():
            raise NoSplitError(f"{folder}: no such folder")
    pictures = sorted(p for p in pictures_dir.glob(f"*/*{_PICTURE}.*") if p.name[0] != ".")
    if not pictures:
        raise TrainError(f"{pictures_dir}: no pictures CITY/*{_PICTURE}.png")
    names = {p.relative_to(labels_dir).as_posix() for p in labels_dir.glob(f"*/*_{kind}_*.png")}
    items, missing = [], []
    for picture in pictures:
        stem = f"{picture.parent.name}/{picture.stem.removesuffix(_PICTURE)}_{kind}"
        for ending, reader in (("labelIds", read_label_ids), ("labelTrainIds", read_train_ids)):
            if f"{stem}_{ending}.png" in names:
                instances = f"{stem}_instanceIds.png"
                items.append(
                    Item(
                        picture=picture,
                        labels=labels_dir / f"{stem}_{ending}.png",
                        read_labels=reader,
                        instances=labels_dir / instances if instances in names else None,
                    )
                )
                break
        else:
            missing.append(picture)
    faults = (f"{labels_dir}: {some(missing, 'no labelIds')}",) if missing else ()
    return Split(items=items, classes=CITYSCAPES, faults=faults)


def find_cityscapes(root: Path, split: str) -> Split:
    """One split (train: 2,975 pictures, val: 500) with fine labels, sorted by city and name.

    Raises:
        TrainError: a folder is missing or has no pictures.
    """
    return _find(root, split, "gtFine", "cityscapes")


def find_cityscapes_coarse(root: Path, split: str) -> Split:
    """Coarse labels: "train" is the extra set of 19,998 pictures where it is unpacked.

    Split "train" reads ``train_extra`` (else gtCoarse's labels of the 2,975 pictures of train);
    "train_extra" and "train_coarse" name one of the two. "val" is that of the fine set: coarse
    labels leave borders out, so a score on them says little.

    Raises:
        TrainError: a folder is missing or has no pictures.
    """
    find_coarse = partial(_find, root, kind="gtCoarse", layout="cityscapes_coarse")
    if split == "val":
        return find_cityscapes(root, split)
    if split == "train":
        extra = all((root / top / "train_extra").is_dir() for top in ("leftImg8bit", "gtCoarse"))
        return find_coarse(pictures_split="train_extra" if extra else "train")
    return find_coarse(pictures_split="train" if split == "train_coarse" else split)
