"""What a layout finds: labelled pictures that nobody has read yet. Knows nothing about tensors.

Shape legend: H height, W width.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.models.palette import Palette
from train.data.pixels import read_picture


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One labelled picture, not read yet."""

    picture: Path
    labels: Path
    read_labels: Callable[[Path], NDArray[np.uint8]]
    """Class indices uint8 ``[H, W]`` of the file `labels`; `IGNORE` where there is no class."""
    read_picture: Callable[[Path], NDArray[np.uint8]] = read_picture
    """RGB uint8 ``[H, W, 3]`` of the file `picture`."""
    instances: Path | None = None
    """File that tells a class's objects apart (Cityscapes' instanceIds), where there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Split:
    """What a layout finds: the items of one split, and what their indices mean."""

    items: list[Item]
    classes: Palette
    faults: tuple[str, ...] = ()
    """Sentences about what is missing; a data set with any is refused, `data check` lists them."""


def size_fault(item: Item, picture: NDArray[np.uint8], labels: NDArray[np.uint8]) -> str | None:
    """A sentence if picture and labels differ in size."""
    if picture.shape[:2] == labels.shape:
        return None
    return (
        f"{item.picture}: the picture is {picture.shape[:2]} (height, width), "
        f"its labels are {labels.shape}; the two must be of one size"
    )
