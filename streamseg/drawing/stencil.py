"""What labels become on one plane of a frame, row by row. Knows nothing about frames and files.

Enlarging a label map repeats every row of it several times. A stencil therefore holds each row
once, at the plane's full width, and which of them every row of the plane is: a strip of rows is
then a copy out of the cache, and looking up colours costs next to nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.stretch import stretch
from streamseg.drawing.yuv import Plane


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassTable:
    """How each of 256 classes looks on one plane."""

    colour: Plane
    """``[256]``, or ``[256, 2]`` where Cb and Cr lie in one plane."""
    alpha: NDArray[np.float64]
    """``[256]``, share of the colour, 0..1; 0 leaves the source as it is."""
    classes: int
    """How many of the 256 there are."""

    @property
    def uniform_alpha(self) -> float | None:
        """The alpha of all classes, if they have one."""
        first = float(self.alpha[0])
        return first if bool((self.alpha[: self.classes] == first).all()) else None

    def blended(self, alpha: float) -> Plane:
        """The colours as `blend.draw_rows` takes them where all are blended with one alpha."""
        return self.colour // 2 + self.colour % 2 if alpha == 0.5 else self.colour

    def keep(self) -> Plane:
        """Share of the source that stays, ``[256]``: the largest value of a sample is all of it."""
        top = np.iinfo(self.colour.dtype).max
        return np.round((1 - self.alpha) * top).astype(self.colour.dtype)

    def added(self) -> Plane:
        """What is added to the share of the source that stays, like `colour`."""
        alpha = self.alpha if self.colour.ndim == 1 else self.alpha[:, None]
        return np.round(alpha * self.colour).astype(self.colour.dtype)


@dataclass(frozen=True, slots=True)
class Stencil:
    """What is drawn on one plane."""

    colour: Plane
    """``[R, W]``: the colour to blend with, or, where there is `keep`, what is added."""
    keep: Plane | None
    """``[R, W]``, see `ClassTable.keep`; None where every pixel is blended alike."""
    row_of: NDArray[np.intp]
    """``[H]``: which of the R rows each row of the plane is."""

    def columns(self, rows: NDArray[np.intp]) -> tuple[int, int]:
        """Left and right end of what is drawn in some of the R rows; both 0 if that is nothing."""
        if self.keep is None:
            return 0, self.colour.shape[1]
        least = np.minimum.reduce(self.keep[rows[0] : rows[-1] + 1], axis=0)
        drawn = np.flatnonzero(least != np.iinfo(least.dtype).max)
        return (int(drawn[0]), int(drawn[-1]) + 1) if drawn.size else (0, 0)


def whole_stencil(labels_HW: NDArray[np.uint8], table: Plane, size: tuple[int, int]) -> Stencil:
    """Every pixel of a plane gets its class's colour.

    Args:
        labels_HW: classes, at the network's size.
        table: ``[256]`` or ``[256, 2]``.
        size: width and height of the plane; two samples beside each other count as one.
    """
    width, height = size
    rows = stretch(look_up(labels_HW, table), width, labels_HW.shape[0])
    return Stencil(_flat(rows), None, nearest(labels_HW.shape[0], height))


@dataclass(frozen=True, slots=True)
class Cover:
    """Which samples of a chroma plane are drawn on: those all of whose pixels are."""

    labels_of: NDArray[np.intp]
    """``[R]``: the row of labels that each of R rows gets its colour from."""
    drawn: Plane
    """``[R, W]``: all bits set where it is drawn on, else none."""
    row_of: NDArray[np.intp]
    """``[H]``: which of the R rows each row of the plane is."""


def chroma_cover(
    labels_HW: NDArray[np.uint8], table: ClassTable, size: tuple[int, int], chroma: tuple[int, int]
) -> Cover:
    """Where a chroma plane is drawn on.

    Args:
        labels_HW: classes, at the network's size.
        table: how they look; only which are drawn at all is read.
        size: width and height of the plane.
        chroma: pixels per sample, across and down.
    """
    (width, height), (across, down) = size, chroma
    rows, columns = labels_HW.shape
    # Which rows of labels a chroma row's pixels come from: few combinations differ.
    pixel_rows = nearest(rows, height * down).reshape(height, down)
    combined = np.column_stack([nearest(rows, height), pixel_rows])
    changes = np.flatnonzero(np.any(np.diff(combined, axis=0, prepend=-1), axis=1))
    groups = combined[changes]
    row_of = np.repeat(np.arange(len(changes)), np.diff(changes, append=height))
    top = np.iinfo(table.colour.dtype).max
    drawn = look_up(labels_HW, np.where(table.alpha > 0, top, 0).astype(table.colour.dtype))
    pixel_columns = nearest(columns, width * across).reshape(width, across)
    drawn = _all(drawn.take(pixel_columns[:, i], axis=1, mode="clip") for i in range(across))
    drawn = _all(drawn.take(groups[:, 1 + i], axis=0, mode="clip") for i in range(down))
    return Cover(groups[:, 0], drawn, row_of)


def partial_stencil(
    labels_HW: NDArray[np.uint8],
    table: ClassTable,
    size: tuple[int, int],
    cover: Cover | None = None,
) -> Stencil:
    """Some pixels stay as they are, or classes are blended differently.

    Args:
        labels_HW: classes, at the network's size.
        table: how they look.
        size: width and height of the plane.
        cover: where a chroma plane is drawn on; None where a sample is a pixel.
    """
    width, rows = size[0], labels_HW.shape[0]
    added = stretch(look_up(labels_HW, table.added()), width, rows)
    keep = stretch(look_up(labels_HW, table.keep()), width, rows)
    if cover is None:
        return Stencil(_flat(added), keep, nearest(rows, size[1]))
    keep = keep.take(cover.labels_of, axis=0, mode="clip")
    np.bitwise_or(keep, ~cover.drawn, out=keep)
    added = added.take(cover.labels_of, axis=0, mode="clip")
    if added.ndim == 3:
        keep = np.repeat(keep, 2, axis=1)
        drawn = np.repeat(cover.drawn, 2, axis=1)
    else:
        drawn = cover.drawn
    added = _flat(added)
    np.bitwise_and(added, drawn, out=added)
    return Stencil(added, keep, cover.row_of)


def nearest(count: int, enlarged: int) -> NDArray[np.intp]:
    """Which of `count` samples each of `enlarged` is, as `stretch` chooses."""
    one_row = np.arange(count, dtype=np.uint16)[None]
    return np.asarray(stretch(one_row, enlarged, 1)[0], np.intp)


def look_up(labels_HW: NDArray[np.uint8], table: Plane) -> Plane:
    """Each label's entry in a table ``[256]`` or ``[256, 2]``."""
    if table.ndim == 1:
        return np.asarray(cv2.LUT(labels_HW, table))
    both = cv2.LUT(cv2.merge([labels_HW, labels_HW]), table[None])
    return np.asarray(both)


def _all(parts: Iterable[Plane]) -> Plane:
    """Bits that are set in all of them."""
    return reduce(np.bitwise_and, parts)


def _flat(rows: Plane) -> Plane:
    """Two samples beside each other as two columns."""
    return rows.reshape(rows.shape[0], -1)
