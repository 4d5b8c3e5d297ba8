"""Mattes: how much of every sample belongs to some classes. Knows nothing about frames."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.edges import draw_stroke, edge_strokes, find_edges
from streamseg.drawing.stencil import ClassTable
from streamseg.drawing.stretch import stretch

_IN_OR_OUT = ClassTable(
    colour=np.array([0, 255] + [0] * 254, np.uint8), alpha=np.ones(256), classes=2
)


def matte(
    kept_HW: NDArray[np.uint8], size: tuple[int, int], *, smooth: bool = True
) -> NDArray[np.uint8]:
    """``[h, w]``: 255 where a sample is kept, 0 where it is not, between them on a rim.

    Args:
        kept_HW: 1 where labels are kept, else 0.
        size: width and height.
        smooth: lines with a rim of a sample, instead of the labels' stairs.
    """
    width, height = size
    rows, columns = kept_HW.shape
    drawn = stretch(kept_HW * np.uint8(255), width, height)
    if smooth and (columns < width or rows < height):
        drawn = np.array(drawn)
        source = np.zeros_like(drawn)
        for stroke in edge_strokes(find_edges(kept_HW), size):
            draw_stroke(source, drawn, stroke, _IN_OR_OUT)
    return drawn


def class_map(
    labels_HW: NDArray[np.uint8], size: tuple[int, int], *, smooth: bool = True
) -> NDArray[np.uint8]:
    """Labels ``[h, w]`` at another size, each border where `matte` would draw it."""
    width, height = size
    rows, columns = labels_HW.shape
    drawn = stretch(labels_HW, width, height)
    if smooth and (columns < width or rows < height):
        drawn = np.array(drawn)
        for stroke in edge_strokes(find_edges(labels_HW), size):
            most = np.argmax(np.stack(list(stroke.shares)), axis=0)
            drawn[stroke.y, stroke.x] = np.take_along_axis(stroke.classes, most[None], axis=0)[0]
    return drawn


def grown(matte_HW: NDArray[np.uint8], by: int) -> NDArray[np.uint8]:
    """A matte with `by` more samples to all sides."""
    square = np.ones((2 * by + 1, 2 * by + 1), np.uint8)
    return np.asarray(cv2.dilate(matte_HW, square, borderType=cv2.BORDER_REPLICATE), np.uint8)
