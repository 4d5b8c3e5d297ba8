"""CamVid in the folder layout of SegNet's tutorial (Brostow et al. 2009; Badrinarayanan 2017).

``DIR/train``, ``DIR/trainannot``, ``DIR/val``, ``DIR/valannot`` (and ``test``): pictures in any
format Pillow reads, labels as index PNGs of the same stem, 0..10 the classes, anything else void.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.palette import CAMVID
from train.data.dataset import IGNORE, Item, Split, read_index_picture
from train.errors import TrainError


def read_labels(path: Path) -> NDArray[np.uint8]:
    """Class indices uint8 ``[H, W]``; what is no class becomes `IGNORE`.

    Raises:
        TrainError: see `read_index_picture`.
    """
    numbers = read_index_picture(path)
    return np.where(numbers < len(CAMVID), numbers, IGNORE).astype(np.uint8)


def find_camvid(root: Path, split: str) -> Split:
    """Pictures and labels of one split, sorted by name.

    Raises:
        TrainError: a folder is missing or empty, or a picture has no label of the same stem.
    """
    pictures_dir, labels_dir = root / split, root / f"{split}annot"
    for folder in (pictures_dir, labels_dir):
        if not folder.is_dir():
            raise TrainError(
                f"{folder}: no such folder; --data wants the SegNet layout of CamVid "
                f"(train, trainannot, val, valannot)"
            )
    labels = {p.stem: p for p in labels_dir.iterdir() if p.suffix.lower() == ".png"}
    pictures = sorted(p for p in pictures_dir.iterdir() if p.is_file() and p.name[0] != ".")
    if not pictures:
        raise TrainError(f"{pictures_dir}: the folder is empty")
    missing = [p.name for p in pictures if p.stem not in labels]
    if missing:
        raise TrainError(
            f"{labels_dir}: no label PNG for {len(missing)} pictures (first: {missing[0]})"
        )
    items = [Item(picture=p, labels=labels[p.stem], read_labels=read_labels) for p in pictures]
    return Split(items=items, classes=CAMVID)
