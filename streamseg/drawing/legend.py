"""Draws the legend: a small panel of class names and colours, in RGB."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.models.palette import Palette

_FONT = cv2.FONT_HERSHEY_SIMPLEX
_GROUND, _INK = (24, 24, 24), (240, 240, 240)
_SMALLEST_SIDE = 8


def fits_legend(width: int, height: int) -> bool:
    """Whether at least one row of a legend can be drawn on a picture of so many pixels."""
    return min(width, height) >= _SMALLEST_SIDE


def blend_legend(corner: NDArray[Any], panel: NDArray[Any]) -> None:
    """Blend a panel, or one plane of it, over the corner of a picture that it covers."""
    np.copyto(corner, np.asarray(cv2.addWeighted(corner, 0.15, panel, 0.85, 0)))


def draw_legend(
    palette: Palette, covered: NDArray[np.bool_], *, max_height: int, max_width: int
) -> NDArray[np.uint8]:
    """RGB uint8 ``[h, w, 3]``, even sides, no larger than asked; one row per covered class.

    Rows are about a thirtieth of `max_height`, so that the panel reads alike at every resolution.
    """
    entries = [(palette.names[i], palette.colours[i]) for i in np.flatnonzero(covered)]
    row = max(8, min(max_height // 30, (max_height - 8) // max(1, len(entries))))
    scale, thick = row / 34, max(1, row // 20)
    text_width = max(cv2.getTextSize(name, _FONT, scale, thick)[0][0] for name, _ in entries)
    width = min(_even(text_width + 3 * row), max_width // 4 * 4)
    height = min(_even(row * len(entries) + row // 2), max_height // 4 * 4)
    panel = np.full((height, width, 3), _GROUND, np.uint8)
    for index, (name, colour) in enumerate(entries):
        top = row // 4 + index * row
        cv2.rectangle(
            panel, (row // 2, top + row // 6), (row * 3 // 2, top + row - row // 6), colour, -1
        )
        at = (2 * row, top + round(row * 0.72))
        cv2.putText(panel, name, at, _FONT, scale, _INK, thick, cv2.LINE_AA)
    return panel


def _even(value: int) -> int:
    """The next multiple of 4: a whole number of chroma samples in every format."""
    return -(-value // 4) * 4
