"""Paints class colours over the planes of a frame: overlays and masks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.blend import Step, Strips, draw_rows
from streamseg.drawing.edges import Stroke, draw_stroke, edge_strokes, find_edges
from streamseg.drawing.stencil import (
    ClassTable,
    Cover,
    Stencil,
    chroma_cover,
    partial_stencil,
    whole_stencil,
)
from streamseg.drawing.yuv import ColourSpec, Layout, Plane
from streamseg.models.palette import Palette


class ClassPainter:
    """A `streamseg.drawing.painter.Painter` of class colours.

    Args:
        palette: classes and colours.
        covered: ``[K]``: the classes that are drawn.
        alpha: ``[K]``: share of each one's colour.
        rest_alpha: share of black where nothing is drawn.
        looks: ``[256]``: classes by their looks.
        layout: of the planes.
        smooth: whether borders are decided anew.
        strips: what runs the work.
    """

    def __init__(
        self,
        palette: Palette,
        *,
        covered: NDArray[np.bool_],
        alpha: NDArray[np.float64],
        rest_alpha: float,
        looks: NDArray[np.uint8],
        layout: Layout,
        smooth: bool,
        strips: Strips,
    ) -> None:
        self._palette, self._covered, self._alpha = palette, covered, alpha
        self._rest_alpha, self._looks, self._layout = rest_alpha, looks, layout
        self._smooth, self._strips = smooth, strips
        self.tables: list[ClassTable] = []
        """How classes look on each plane."""
        self._cover: Cover | None = None
        self._labels: NDArray[np.uint8] = np.zeros((1, 1), np.uint8)

    def prepare(self, colour: ColourSpec) -> None:
        """Class colours in this matrix, range and depth."""
        rgb = np.zeros((256, 3), np.uint8)
        for index in np.flatnonzero(self._covered):
            rgb[index] = self._palette.colours[index]
        y, cb, cr = colour.from_rgb(rgb)
        if self._layout.grey:
            colours = [y]
        elif self._layout.semi_planar:
            colours = [y, np.stack([cb, cr], axis=-1)]
        else:
            colours = [y, cb, cr]
        alpha = np.full(256, self._rest_alpha)
        count = len(self._palette)
        alpha[:count] = np.where(self._covered, self._alpha, self._rest_alpha)
        self.tables = [ClassTable(colour=c, alpha=alpha, classes=count) for c in colours]

    def begin(
        self, sources: Sequence[Plane], labels_HW: NDArray[np.uint8], at_seconds: float
    ) -> None:
        """Take up a frame."""
        self._labels = labels_HW
        x, y = self._layout.chroma_x, self._layout.chroma_y
        height, width = sources[0].shape
        table = self.tables[0]
        self._cover = None
        if table.uniform_alpha is None and not x == y == 1:
            self._cover = chroma_cover(labels_HW, table, (width // x, height // y), (x, y))

    def step(self, index: int, src: Plane, pane: Plane) -> Step:
        """What paints rows of one plane."""
        size = src.shape[1], src.shape[0]
        stencil, alpha = self._stencil(index, size)
        return partial(draw_rows, flat(src), flat(pane), stencil, alpha)

    def finish(self, sources: Sequence[Plane], panes: Sequence[Plane]) -> None:
        """What is done when all rows are painted: smooth borders."""
        height, width = panes[0].shape
        labels = self._labels
        if not self._smooth or (labels.shape[1] >= width and len(labels) >= height):
            return
        every_chroma = self._cover is not None
        edges = find_edges(np.asarray(cv2.LUT(labels, self._looks)))
        strokes: dict[tuple[int, int], list[Stroke]] = {}
        work = []
        for index, (src, pane) in enumerate(zip(sources, panes, strict=True)):
            size = pane.shape[1], pane.shape[0]
            if size not in strokes:
                strokes[size] = edge_strokes(edges, size, every=index > 0 and every_chroma)
            work += [partial(draw_stroke, src, pane, s, self.tables[index]) for s in strokes[size]]
        self._strips.each(work)

    def _stencil(self, index: int, size: tuple[int, int]) -> tuple[Stencil, float]:
        """What is drawn on a plane, and the share of it, where that is the same everywhere."""
        table = self.tables[index]
        alpha = table.uniform_alpha
        if alpha is not None:
            return whole_stencil(self._labels, table.blended(alpha), size), alpha
        return partial_stencil(self._labels, table, size, self._cover if index else None), 1


def flat(plane: Plane) -> Plane:
    """Cb and Cr beside each other as two columns; a view."""
    return plane.reshape(plane.shape[0], -1) if plane.ndim == 3 else plane
