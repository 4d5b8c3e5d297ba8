"""CamVid in the folder layout of SegNet's tutorial (Brostow et al. 2009; Badrinarayanan 2017).

``DIR/train``, ``DIR/trainannot``, ``DIR/val``, ``DIR/valannot`` (and ``test``): pictures in any
format Pillow reads, labels as index PNGs of the same stem, 0..10 the classes, 11 or 255 void.
"""

from __future__ import annotations

from pathlib import Path

from streamseg.models.palette import CAMVID
from train.data.files import NoSplitError, pair_by_stem, pictures_in
from train.data.items import Item, Split
from train.data.pixels import IndexLabels

_SPLITS = ("train", "val", "test")
read_labels = IndexLabels(
    classes={index: index for index in range(len(CAMVID))},
    void=frozenset({11, 255}),
    meaning="CamVid has 0..10, and 11 or 255 for void",
)


def find_camvid(root: Path, split: str) -> Split:
    """Pictures and labels of one split, sorted by name.

    Raises:
        TrainError: a folder is missing or empty.
    """
    pictures_dir, labels_dir = root / split, root / f"{split}annot"
    there = [
        name for name in _SPLITS if (root / name).is_dir() and (root / f"{name}annot").is_dir()
    ]
    if split not in _SPLITS and there:
        raise NoSplitError(f"{root}: no split {split!r}; there are: {', '.join(there)}")
    for folder in (pictures_dir, labels_dir):
        if not folder.is_dir():
            raise NoSplitError(
                f"{folder}: no such folder; --data wants the SegNet layout of CamVid "
                f"(train, trainannot, val, valannot)"
            )
    pairs, faults = pair_by_stem(pictures_in(pictures_dir), labels_dir)
    items = [Item(picture=p, labels=labels, read_labels=read_labels) for p, labels in pairs]
    return Split(items=items, classes=CAMVID, faults=faults)
