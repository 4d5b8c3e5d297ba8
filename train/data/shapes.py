"""Shapes of annotation files (COCO, CVAT) as class indices: polygons, boxes, lines and run lengths.

Shape legend: H height, W width.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from train.data.labelme_file import draw_shape
from train.errors import TrainError

BACKGROUND = "_background_"
"""Pixels without a shape, where no class is called background."""
EMPTY = (BACKGROUND, "background")


@dataclass(frozen=True, slots=True)
class Mask:
    """A picture of 0 and 1 with its upper left corner at (left, top)."""

    left: int
    top: int
    pixels: NDArray[np.bool_] = field(repr=False)
    """``[h, w]``."""


@dataclass(frozen=True, slots=True)
class Shape:
    """One annotated thing."""

    label: str
    kind: str
    """polygon, rectangle, linestrip, points or mask."""
    points: tuple[tuple[float, float], ...] = ()
    mask: Mask | None = None


@dataclass(frozen=True, slots=True)
class DrawnLabels:
    """Draws one picture's shapes, later ones over earlier ones."""

    key: str
    """Which picture of which file: what tells two of these apart."""
    width: int
    height: int
    names: tuple[str, ...]
    shapes: tuple[Shape, ...] = field(repr=False)

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """Class indices uint8 ``[H, W]``.

        Raises:
            TrainError: a shape that cannot be drawn.
        """
        index = {name: number for number, name in enumerate(self.names)}
        empty = next(index[name] for name in EMPTY if name in index)
        labels = Image.new("L", (self.width, self.height), empty)
        for shape in self.shapes:
            value = index[shape.label]
            if shape.mask is not None:
                where = Image.fromarray(shape.mask.pixels)
                labels.paste(value, (shape.mask.left, shape.mask.top), where)
                continue
            drawn = {"shape_type": shape.kind, "label": shape.label, "points": shape.points}
            draw_shape(labels, drawn, value, path)
        return np.array(labels)


def with_background(names: Sequence[str]) -> tuple[str, ...]:
    """Class names with one for pixels without a shape before them, unless they have it."""
    return tuple(names) if any(name in names for name in EMPTY) else (BACKGROUND, *names)


def runs(counts: Sequence[int], area: int, path: Path) -> NDArray[np.bool_]:
    """Run lengths, zeros first, as flat pixels.

    Raises:
        TrainError: they are negative, or do not fill the area.
    """
    lengths = np.asarray(counts, dtype=np.int64)
    if lengths.ndim != 1 or (lengths < 0).any() or int(lengths.sum()) != area:
        raise TrainError(f"{path}: run lengths of a mask do not fill its {area} pixels")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)


def unpack_coco(text: str, path: Path) -> list[int]:
    """COCO's compressed run lengths: numbers in base 32 with a continuation bit, differences to
    the last but one from the third on.

    Raises:
        TrainError: the text ends within a number.
    """
    counts: list[int] = []
    at = 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            if at >= len(text):
                raise TrainError(f"{path}: compressed run lengths of a mask are cut short")
            chunk = ord(text[at]) - 48
            value |= (chunk & 0x1F) << shift
            more = bool(chunk & 0x20)
            at, shift = at + 1, shift + 5
            if not more and chunk & 0x10:
                value |= -1 << shift
        counts.append(value + (counts[-2] if len(counts) > 2 else 0))
    return counts
