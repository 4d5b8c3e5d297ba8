"""CamVid in the folder layout of SegNet's tutorial (Brostow et al. 2009; Badrinarayanan 2017).

``DIR/train``, ``DIR/trainannot``, ``DIR/val``, ``DIR/valannot`` (and ``test``): pictures in any
format Pillow reads, labels as index PNGs of the same stem, 0..10 the classes, anything else void.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import tv_tensors
from torchvision.transforms import v2

from streamseg.palette import CAMVID
from train.errors import TrainError

CLASSES = CAMVID.names
IGNORE = 255
"""Label of pixels that no loss and no metric looks at."""


def find_pairs(root: Path, split: str) -> list[tuple[Path, Path]]:
    """Pairs of picture and label file of one split, sorted by name.

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
    return [(p, labels[p.stem]) for p in pictures]


def read_picture(path: Path) -> NDArray[np.uint8]:
    """RGB uint8 ``[H, W, 3]``.

    Raises:
        TrainError: Pillow cannot read the file.
    """
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (UnidentifiedImageError, OSError) as error:
        raise TrainError(f"{path}: cannot be read as a picture ({error})") from error


def read_labels(path: Path, classes: int = len(CLASSES)) -> NDArray[np.uint8]:
    """Class indices uint8 ``[H, W]``; what is no class becomes `IGNORE`.

    Raises:
        TrainError: unreadable, or a colour picture where an index picture belongs.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("L", "P", "1", "I", "I;16"):
                raise TrainError(
                    f"{path}: labels must be an index picture (mode L or P), got {picture.mode}"
                )
            labels = np.array(picture)
    except (UnidentifiedImageError, OSError) as error:
        raise TrainError(f"{path}: cannot be read as a picture ({error})") from error
    return np.where(labels < classes, labels, IGNORE).astype(np.uint8)


class CamVid(Dataset[tuple[Tensor, Tensor]]):
    """One split, decoded once and kept in memory (0.7 MB a pair at 480x360).

    A sample is ``(picture uint8 [3, H, W], labels int64 [H, W])``. With `augment`, a sample depends
    on `(seed, epoch, index)` alone, never on the number of loader processes: `set_epoch` before
    each epoch makes a resumed run see what an uninterrupted one sees.
    """

    def __init__(
        self, root: Path, split: str, *, augment: v2.Transform | None = None, seed: int = 0
    ) -> None:
        self.pairs = find_pairs(root, split)
        self.pictures = [torch.from_numpy(read_picture(p).copy()) for p, _ in self.pairs]
        self.labels = [torch.from_numpy(read_labels(p)) for _, p in self.pairs]
        for (picture_path, _), picture, labels in zip(
            self.pairs, self.pictures, self.labels, strict=True
        ):
            if picture.shape[:2] != labels.shape:
                raise TrainError(
                    f"{picture_path}: the picture is {tuple(picture.shape[:2])} (height, width), "
                    f"its labels are {tuple(labels.shape)}"
                )
        self.augment = augment
        self.seed = seed
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose augmentation the next samples get."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        picture = tv_tensors.Image(self.pictures[index].permute(2, 0, 1))
        labels = tv_tensors.Mask(self.labels[index])
        if self.augment is not None:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed((self.seed * 100_003 + self.epoch) * 1_000_003 + index)
                picture, labels = self.augment(picture, labels)
        return picture.as_subclass(Tensor), labels.as_subclass(Tensor).to(torch.int64)

    def class_pixels(self) -> Tensor:
        """Labelled pixels per class over the split, int64 ``[K]``."""
        counts = torch.zeros(256, dtype=torch.int64)
        for labels in self.labels:
            counts += torch.bincount(labels.flatten().to(torch.int64), minlength=256)
        return counts[: len(CLASSES)]
