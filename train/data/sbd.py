"""The Semantic Boundaries Dataset as its authors pack it (Hariharan et al., ICCV 2011).

``benchmark_RELEASE/dataset``: ``img/NAME.jpg``, ``cls/NAME.mat`` and the lists ``train.txt``
(8,498) and ``val.txt`` (2,857). A file's ``GTcls.Segmentation`` holds VOC's indices 0..20; SBD has
no void.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.data.files import NoSplitError, pair_listed, read_list
from train.data.items import Item
from train.data.matlab import read_matrix
from train.data.pixels import IndexLabels

_PLACES = ("benchmark_RELEASE/dataset", "SBD/dataset", "SBD", "sbd", "dataset")


def read_segmentation(path: Path) -> NDArray[np.integer]:
    """Numbers ``[H, W]`` of one of SBD's MATLAB files.

    Raises:
        TrainError: unreadable, or not one of them.
    """
    return read_matrix(path, "GTcls", "Segmentation")


read_labels = IndexLabels(
    classes={index: index for index in range(21)},
    void=frozenset({255}),
    meaning="SBD has VOC's 0..20",
    numbers=read_segmentation,
)


def sbd_folder(root: Path, voc: Path) -> Path | None:
    """The folder with ``cls`` and ``img``: below `root`, VOC2012, VOCdevkit or what holds it."""
    for top in (root, voc, voc.parent, voc.parent.parent):
        for place in _PLACES:
            if all((top / place / name).is_dir() for name in ("cls", "img")):
                return top / place
    return None


def find_sbd(folder: Path, without: frozenset[str]) -> tuple[list[Item], tuple[str, ...]]:
    """All pictures of SBD's two lists but those in `without`, and what is missing.

    Raises:
        TrainError: a list is missing.
    """
    names: dict[str, None] = {}
    for split in ("train", "val"):
        try:
            names |= dict.fromkeys(read_list(folder / f"{split}.txt"))
        except NoSplitError as error:
            raise NoSplitError(f"{error}; it comes with SBD's benchmark.tgz") from error
    found, faults = pair_listed(
        sorted(names.keys() - without),
        lambda name: folder / "img" / f"{name}.jpg",
        lambda name: folder / "cls" / f"{name}.mat",
        folder / "train.txt and val.txt",
    )
    return [Item(picture=p, labels=q, read_labels=read_labels) for _, p, q in found], faults
