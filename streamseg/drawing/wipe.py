"""A wipe: the picture as it is left of a line, as it is drawn right of it."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from streamseg.drawing.orientation import Orientation
from streamseg.drawing.yuv import ColourSpec, Layout, Plane

_LINES_OF_A_PICTURE = 300
"""How often the line's width fits into a picture's shorter side."""


class Wipe:
    """Draws a wipe.

    Args:
        orientation: how a player turns the frames: left is what people see.
        layout: of their planes.
        seconds: in which the line goes to the right and back; 0 leaves it in the middle.
    """

    def __init__(self, orientation: Orientation, layout: Layout, seconds: float) -> None:
        self._orientation, self._layout, self._seconds = orientation, layout, seconds
        self._began: float | None = None

    def draw(
        self,
        sources: Sequence[Plane],
        panes: Sequence[Plane],
        colour: ColourSpec,
        at_seconds: float,
    ) -> None:
        """Put the source's left part, and the line, into planes that are drawn on."""
        white = colour.from_rgb(np.full(3, 255, np.uint8))
        inks = [white[0]] if self._layout.grey else [white[0], np.array(white[1:])]
        share = self._share(at_seconds)
        step = max(self._layout.chroma_x, self._layout.chroma_y)
        right, _ = self._orientation.stored_direction(1, 0)
        across = panes[0].shape[1 if right else 0]
        line = max(step, round(min(panes[0].shape) / _LINES_OF_A_PICTURE / step) * step)
        edge = round(share * (across - line) / step) * step
        for index, (src, pane) in enumerate(zip(sources, panes, strict=True)):
            factor = 1
            if index:
                factor = self._layout.chroma_x if right else self._layout.chroma_y
            left = self._columns(pane, 0, edge // factor)
            left[:] = self._columns(src, 0, edge // factor)
            ink = inks[min(index, 1)]
            if index and pane.ndim == 2:
                ink = ink[index - 1]
            self._columns(pane, edge // factor, line // factor)[:] = ink

    def begin(self, at_seconds: float) -> None:
        """The line starts at the left with the first picture, whenever that is."""
        self._began = at_seconds if self._began is None else self._began

    def _share(self, at_seconds: float) -> float:
        if not self._seconds:
            return 0.5
        self.begin(at_seconds)
        assert self._began is not None, "it has just begun"
        turn = (at_seconds - self._began) / self._seconds
        return 0.5 - 0.5 * math.cos(2 * math.pi * turn)

    def _columns(self, plane: Plane, first: int, count: int) -> Plane:
        """So many columns, as people see them; a view."""
        return self._orientation.upright(plane)[:, first : first + count]
