"""The legend: a small panel of class names and colours. Knows nothing about frames and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.models.palette import Palette

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GROUND, _INK = (24, 24, 24), (240, 240, 240)
_GROUND_WEIGHT = 0.85
_GREY = 128
"""What a class is shown over, of which some shows through."""

_ROWS_OF_A_PICTURE = 24
_SMALLEST_ROW = 12
"""Pixels: letters of seven, the least that can be read."""
_MOST_OF_WIDTH, _MOST_OF_HEIGHT = 0.6, 0.5
"""How much of a picture a legend may cover."""

_APPEARS, _LEAVES = 0.001, 0.0005
"""The share of a picture from which on a class is listed, and below which it no longer is."""
_APPEARS_SECONDS, _LEAVES_SECONDS = 0.25, 3.0
"""For how long."""


@dataclass(frozen=True, slots=True)
class Legend:
    """A panel, to be laid over a corner of a picture with a margin."""

    rgb: NDArray[np.uint8]
    """``[h, w, 3]``; sides are multiples of 4, whole chroma samples in every format."""
    weight: NDArray[np.float32]
    """``[h, w]``: 1 where it hides what lies under it (the classes' colours), 0 where it is not."""
    margin: int
    """To the picture's sides, a multiple of 4."""


def lay_over(corner: NDArray[Any], panel: NDArray[Any], weight: NDArray[np.float32]) -> None:
    """Lay a panel, or one plane of it, over the part of a picture that it covers.

    Args:
        corner: ``[h, w]`` or ``[h, w, C]``, written to.
        panel: of the same shape.
        weight: ``[h, w]``; where it is 0 nothing changes.
    """
    wide = weight[..., None] if corner.ndim == 3 else weight
    corner[:] = np.rint(corner * (1 - wide) + panel * wide)


def draw_legend(
    palette: Palette,
    listed: NDArray[np.bool_],
    *,
    width: int,
    height: int,
    alpha: NDArray[np.float64],
) -> Legend | None:
    """A legend for a picture: in a column, several, or a strip, whichever covers little of it.

    Args:
        palette: names and colours.
        listed: ``[K]``: the classes to list.
        width: of the picture, pixels; rows are a 24th of the smaller side.
        height: of the picture.
        alpha: ``[K]``: share of each class's colour in the picture; it is listed as it looks there.

    Returns:
        None if there is nothing to list, or no room for letters that can be read.
    """
    entries = [int(index) for index in np.flatnonzero(listed)]
    if not entries:
        return None
    row = max(_SMALLEST_ROW, min(width, height) // _ROWS_OF_A_PICTURE)
    while row >= _SMALLEST_ROW:
        columns = _columns_that_fit(palette, entries, row, width, height)
        if columns is not None:
            return _draw(palette, entries, row, columns, alpha)
        row = row * 4 // 5 if row > _SMALLEST_ROW * 5 // 4 else row - 1
    return None


def _text_width(names: list[str], row: int) -> int:
    scale, thick = row / 34, max(1, row // 20)
    return max(int(cv2.getTextSize(name, _FONT, scale, thick)[0][0]) for name in names)


def _panel_size(palette: Palette, entries: list[int], row: int, columns: int) -> tuple[int, int]:
    """Width of a column and height of the panel."""
    names = [palette.names[index] for index in entries]
    rows = -(-len(entries) // columns)
    return _times_4(_text_width(names, row) + row * 5 // 2), _times_4(row * rows + row // 2)


def _columns_that_fit(
    palette: Palette, entries: list[int], row: int, width: int, height: int
) -> int | None:
    margin = 2 * _margin(row)
    for columns in range(1, len(entries) + 1):
        if columns > 1 and -(-len(entries) // columns) == -(-len(entries) // (columns - 1)):
            continue  # no row less
        across, panel_height = _panel_size(palette, entries, row, columns)
        panel_width = across * columns + row // 2
        # A strip may be as wide as the picture: it covers little.
        widest = 1.0 if panel_height <= 2 * row else _MOST_OF_WIDTH
        if (
            panel_width + margin <= width * widest
            and panel_height + margin <= height * _MOST_OF_HEIGHT
        ):
            return columns
    return None


def _draw(
    palette: Palette, entries: list[int], row: int, columns: int, alpha: NDArray[np.float64]
) -> Legend:
    across, height = _panel_size(palette, entries, row, columns)
    width = _times_4(across * columns + row // 2)
    panel = np.full((height, width, 3), _GROUND, np.uint8)
    weight = _rounded(width, height, row // 3)
    rows = -(-len(entries) // columns)
    for position, index in enumerate(entries):
        left = row // 4 + position // rows * across
        top = row // 4 + position % rows * row
        colour = np.asarray(palette.colours[index]) * alpha[index] + _GREY * (1 - alpha[index])
        # On whole chroma samples, or its rim would take on what lies around it.
        swatch = np.s_[
            _times_4(top + row // 8) : (top + row - row // 8) // 4 * 4,
            _times_4(left + row // 4) : (left + row * 5 // 4) // 4 * 4,
        ]
        panel[swatch] = np.rint(colour)
        weight[swatch] = 1
        at = (left + row * 7 // 4, top + round(row * 0.72))
        scale, thick = row / 34, max(1, row // 20)
        cv2.putText(panel, palette.names[index], at, _FONT, scale, _INK, thick, cv2.LINE_AA)
    return Legend(panel, weight, _margin(row))


def _rounded(width: int, height: int, radius: int) -> NDArray[np.float32]:
    """``[height, width]``: the ground's weight, 0 outside of round corners."""
    shape = np.zeros((height, width), np.uint8)  # lines are smooth in 8 bits only
    right, bottom = width - 1, height - 1
    cv2.rectangle(shape, (radius, 0), (right - radius, bottom), 255, -1)
    cv2.rectangle(shape, (0, radius), (right, bottom - radius), 255, -1)
    for x in (radius, right - radius):
        for y in (radius, bottom - radius):
            cv2.circle(shape, (x, y), radius, 255, -1, cv2.LINE_AA)
    return np.asarray(shape * (_GROUND_WEIGHT / 255), np.float32)


def _margin(row: int) -> int:
    return _times_4(row // 2)


def _times_4(value: int) -> int:
    """The next multiple of 4: a whole number of chroma samples in every format."""
    return -(-value // 4) * 4


class Presence:
    """Which classes a legend lists: those that are there, without flicker.

    Args:
        drawn: ``[K]``: the classes that may be listed.
    """

    def __init__(self, drawn: NDArray[np.bool_]) -> None:
        self._drawn = drawn
        self.listed: NDArray[np.bool_] = np.zeros(len(drawn), np.bool_)
        self._since: NDArray[np.float64] | None = None
        """When each class was last as it is listed: there, or not there."""

    def forget(self) -> None:
        """Take the next picture for the first."""
        self._since = None

    def see(self, labels_HW: NDArray[np.uint8], seconds: float) -> NDArray[np.bool_]:
        """Look at one more picture, shown at a time; which classes are now listed, ``[K]``."""
        counts = np.bincount(labels_HW.ravel(), minlength=256)[: len(self._drawn)]
        shares = counts / labels_HW.size
        if self._since is None:
            self._since = np.full(len(self._drawn), seconds)
            self.listed = self._drawn & (shares >= _APPEARS)
        as_listed = np.where(self.listed, shares >= _LEAVES, shares < _APPEARS)
        # A time that runs back (files joined) starts over.
        self._since[as_listed | (self._since > seconds)] = seconds
        lasted = seconds - self._since
        changes = lasted >= np.where(self.listed, _LEAVES_SECONDS, _APPEARS_SECONDS)
        self.listed = np.where(changes, ~self.listed, self.listed) & self._drawn
        self._since[changes] = seconds
        return self.listed
