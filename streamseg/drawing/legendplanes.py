"""Lays a legend over the planes of frames, where a player shows the top left corner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.legend import Legend, Presence, draw_legend, lay_over
from streamseg.drawing.orientation import Orientation
from streamseg.drawing.yuv import ColourSpec, Layout, Plane, rgb_to_planes
from streamseg.models.palette import Palette


@dataclass(frozen=True, slots=True)
class _Panel:
    """A legend, or none, as it lies in the frames."""

    made_for: tuple[object, ...]
    planes: Sequence[Plane] = ()
    weights: Sequence[NDArray[np.float32]] = ()
    margin: int = 0


class LegendPlanes:
    """Draws the legend of a video, frame after frame.

    Args:
        palette: names and colours.
        drawn: ``[K]``: the classes that are drawn.
        alpha: ``[K]``: share of their colours.
        orientation: how a player turns the frames.
    """

    def __init__(
        self,
        palette: Palette,
        drawn: NDArray[np.bool_],
        alpha: NDArray[np.float64],
        orientation: Orientation,
    ) -> None:
        self._palette, self._alpha, self._orientation = palette, alpha, orientation
        self._presence = Presence(drawn)
        self._panel = _Panel(made_for=())
        self.no_room = False
        """Whether a frame had no room for the classes that were there."""

    def forget(self) -> None:
        """Take the next frame for the first."""
        self._presence.forget()

    def draw(
        self,
        panes: Sequence[Plane],
        labels_HW: NDArray[np.uint8],
        colour: ColourSpec,
        layout: Layout,
        at_seconds: float,
    ) -> None:
        """Lay the legend over one frame.

        Args:
            panes: its planes, written to.
            labels_HW: its classes.
            colour: in which its samples are to be read.
            layout: of its planes.
            at_seconds: when it is shown.
        """
        listed = self._presence.see(labels_HW, at_seconds)
        size = panes[0].shape[1], panes[0].shape[0]
        wanted = (listed.tobytes(), colour, size)
        if self._panel.made_for != wanted:
            self._panel = self._make(wanted, listed, colour, layout, size)
        margin = self._panel.margin
        for index, (panel, weight) in enumerate(
            zip(self._panel.planes, self._panel.weights, strict=True)
        ):
            x, y = (layout.chroma_x, layout.chroma_y) if index else (1, 1)
            lay_over(self._corner(panes[index], panel, margin // x, margin // y), panel, weight)

    def _corner(self, pane: Plane, panel: Plane, across: int, down: int) -> Plane:
        """The part of a pane that a player shows at the top left."""
        height, width = panel.shape[:2]
        right, below = self._orientation.stored_direction(-1, -1)
        top = down if below < 0 else pane.shape[0] - height - down
        left = across if right < 0 else pane.shape[1] - width - across
        return pane[top : top + height, left : left + width]

    def _make(
        self,
        made_for: tuple[object, ...],
        listed: NDArray[np.bool_],
        colour: ColourSpec,
        layout: Layout,
        size: tuple[int, int],
    ) -> _Panel:
        width, height = self._orientation.shown_size(*size)
        legend = draw_legend(self._palette, listed, width=width, height=height, alpha=self._alpha)
        if legend is None:
            self.no_room = self.no_room or bool(listed.any())
            return _Panel(made_for)
        rgb = np.ascontiguousarray(self._orientation.stored(legend.rgb))
        planes = rgb_to_planes(rgb, colour, layout)
        return _Panel(made_for, planes, self._weights(legend, planes), legend.margin)

    def _weights(self, legend: Legend, planes: Sequence[Plane]) -> list[NDArray[np.float32]]:
        weight = np.ascontiguousarray(self._orientation.stored(legend.weight))
        return [
            np.asarray(
                cv2.resize(weight, plane.shape[1::-1], interpolation=cv2.INTER_AREA), np.float32
            )
            for plane in planes
        ]
