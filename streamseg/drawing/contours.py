"""Lines along the borders of classes, in their full colours. Knows nothing about frames."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.matte import class_map
from streamseg.drawing.stencil import ClassTable
from streamseg.drawing.yuv import Plane

_LINES_OF_A_PICTURE = 360
"""How often a line's width on one side of a border fits into a picture's height."""


def draw_contours(
    panes: Sequence[Plane],
    labels_HW: NDArray[np.uint8],
    tables: Sequence[ClassTable],
    looks: NDArray[np.uint8],
    drawn: NDArray[np.bool_],
    *,
    smooth: bool = True,
) -> None:
    """Draw a line at each side of every border whose class is drawn.

    Args:
        panes: the planes of a picture, written to: full size first, then chroma.
        labels_HW: classes, at any size.
        tables: their colours on each plane.
        looks: ``[256]``: classes by their looks; borders between equal ones are none.
        drawn: ``[256]``, by looks: whether a class is drawn.
        smooth: whether borders are decided anew, as `matte` does.
    """
    height, width = panes[0].shape[:2]
    seen = class_map(np.asarray(cv2.LUT(labels_HW, looks)), (width, height), smooth=smooth)
    thick = max(1, round(height / _LINES_OF_A_PICTURE))
    square = np.ones((2 * thick + 1, 2 * thick + 1), np.uint8)
    low = cv2.erode(seen, square, borderType=cv2.BORDER_REPLICATE)
    high = cv2.dilate(seen, square, borderType=cv2.BORDER_REPLICATE)
    line: Plane = np.asarray(cv2.compare(low, high, cv2.CMP_NE), np.uint8)
    if thick > 1:  # its inner end; a line of one pixel would fade
        line = np.asarray(cv2.blur(line, (3, 3)))
    shown = np.where(drawn, 255, 0).astype(np.uint8)
    for pane, table in zip(panes, tables, strict=True):
        size = pane.shape[1], pane.shape[0]
        classes: Plane = seen
        weight = line
        if size != (width, height):
            classes = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_NEAREST_EXACT))
            weight = np.asarray(cv2.resize(line, size, interpolation=cv2.INTER_AREA))
        weight = np.bitwise_and(weight, np.asarray(cv2.LUT(classes, shown)))
        y, x = np.nonzero(weight)
        share = weight[y, x].astype(np.float32) / 255
        if pane.ndim == 3:
            share = share[:, None]
        before = pane[y, x].astype(np.float32)
        pane[y, x] = np.rint(before + (table.colour[classes[y, x]] - before) * share)
