"""Draws labels onto frames, in the frame's own YUV. Knows nothing about engines or files.

A frame is never taken to RGB and back: what the labels do not cover stays as decoded, and the cost
is a colour look-up at the network's size and one blend per plane, in strips of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from streamseg.drawing.blend import Strips, copy_rows, draw_rows
from streamseg.drawing.edges import Stroke, draw_stroke, edge_strokes, find_edges
from streamseg.drawing.legendplanes import LegendPlanes
from streamseg.drawing.options import DrawOptions
from streamseg.drawing.orientation import AS_STORED, Orientation
from streamseg.drawing.stencil import (
    ClassTable,
    Cover,
    Stencil,
    chroma_cover,
    partial_stencil,
    whole_stencil,
)
from streamseg.drawing.yuv import (
    LAYOUTS,
    ColourSpec,
    Plane,
    even_size,
    new_frame_like,
    planes_of,
    seconds,
    to_supported,
)
from streamseg.errors import UsageError
from streamseg.models.colours import BACKGROUNDS, recoloured
from streamseg.models.palette import Palette

UNDRAWN = 255
"""No class has this index: a palette has 255 at most."""


class Compositor:
    """Blends class colours over frames.

    Args:
        palette: classes and colours.
        source_size: width and height of the frames to come; others are scaled to it.
        pixel_format: format to draw and encode in; the source's own wherever that is possible.
        draw: how; None is an overlay of all classes.
        orientation: how a player turns and mirrors the frames: left, right, and the legend are
            what people see.
        threads: that draw at the same time, at most; see `close`.

    Raises:
        UsageError: an unknown class, or a palette that has none of them.
    """

    def __init__(
        self,
        palette: Palette,
        *,
        source_size: tuple[int, int],
        pixel_format: str = "yuv420p",
        draw: DrawOptions | None = None,
        orientation: Orientation = AS_STORED,
        threads: int = 1,
    ) -> None:
        draw = draw or DrawOptions()
        self.palette = palette = recoloured(palette, draw.palette)
        self.mode = mode = draw.mode
        self.alpha = draw.alpha
        self.covered = covered_classes(palette, draw.classes)
        self.pixel_format = pixel_format
        self._layout = LAYOUTS[pixel_format]
        self._frame_size = source_size
        self.pane_size = even_size(*source_size, self._layout)
        """Width and height of one pane: the source's, less an odd row or column."""
        width, height = self.pane_size
        self._orientation = orientation
        beside, below = orientation.stored_direction(mode == "side-by-side", 0)
        self.size = (width * (1 + abs(beside)), height * (1 + abs(below)))
        """Width and height of the drawn frames."""
        # In panes, from the stored frame's top left; the source is shown at the left.
        self._source_pane = (int(beside < 0), int(below < 0))
        self._drawn_pane = (int(beside > 0), int(below > 0))
        self._reformatter = VideoReformatter()
        self._smooth = draw.edges == "smooth"
        self._looks = np.full(256, UNDRAWN, np.uint8)
        """Classes by their looks: those that are not drawn are one."""
        self._looks[: len(self.covered)][self.covered] = np.flatnonzero(self.covered)
        self._colour: ColourSpec | None = None
        self._tables: list[ClassTable] = []
        self._strips = Strips(threads)
        self.warnings: list[str] = []
        """What could not be drawn as asked, in sentences; grows with the frames."""
        self._legend = (
            LegendPlanes(palette, self.covered, self._class_alpha(), orientation)
            if draw.legend
            else None
        )

    def compose(self, frame: VideoFrame, labels_HW: NDArray[np.uint8]) -> VideoFrame:
        """A new frame with the labels drawn; `frame` is not changed.

        Args:
            frame: as decoded; any size and format.
            labels_HW: classes at any size, stretched over the frame.
        """
        source = to_supported(frame, self.pixel_format, self._frame_size, self._reformatter)
        colour = ColourSpec.of(source)
        if colour != self._colour:
            self._prepare(colour)
        out = new_frame_like(source, *self.size)
        pane_width, pane_height = self.pane_size
        work, panes = [], []
        cover = self._cover(labels_HW)
        for index, (src, dst) in enumerate(zip(planes_of(source), planes_of(out), strict=True)):
            x, y = (self._layout.chroma_x, self._layout.chroma_y) if index else (1, 1)
            width, height = pane_width // x, pane_height // y
            src = src[:height, :width]
            pane = _pane(dst, self._drawn_pane, width, height)
            panes.append(pane)
            stencil, alpha = self._stencil(labels_HW, index, (width, height), cover)
            steps = [partial(draw_rows, _flat(src), _flat(pane), stencil, alpha)]
            if self.mode == "side-by-side":
                beside = _pane(dst, self._source_pane, width, height)
                steps.append(partial(copy_rows, src, beside))
            work.append((src, steps))
        self._strips.run(work)
        if self._smooth and (labels_HW.shape[1] < pane_width or len(labels_HW) < pane_height):
            self._smooth_edges(source, panes, labels_HW, every_chroma=cover is not None)
        if self._legend is not None:
            self._legend.draw(panes, labels_HW, colour, self._layout, seconds(frame))
            if self._legend.no_room and not self.warnings:
                self.warnings.append(
                    f"the picture ({pane_width}x{pane_height}) has no room for a legend that can "
                    "be read; some frames have none"
                )
        return out

    def _smooth_edges(
        self,
        source: VideoFrame,
        panes: Sequence[Plane],
        labels_HW: NDArray[np.uint8],
        *,
        every_chroma: bool,
    ) -> None:
        edges = find_edges(np.asarray(cv2.LUT(labels_HW, self._looks)))
        strokes: dict[tuple[int, int], list[Stroke]] = {}
        work = []
        for index, (src, pane) in enumerate(zip(planes_of(source), panes, strict=True)):
            size = pane.shape[1], pane.shape[0]
            if size not in strokes:
                strokes[size] = edge_strokes(edges, size, every=index > 0 and every_chroma)
            work += [partial(draw_stroke, src, pane, s, self._tables[index]) for s in strokes[size]]
        self._strips.each(work)

    def close(self) -> None:
        """End the threads that draw."""
        self._strips.close()

    def _cover(self, labels_HW: NDArray[np.uint8]) -> Cover | None:
        """Where the chroma planes are drawn on; None where that is everywhere, or as for luma."""
        x, y = self._layout.chroma_x, self._layout.chroma_y
        table, (width, height) = self._tables[0], self.pane_size
        if table.uniform_alpha is not None or x == y == 1:
            return None
        return chroma_cover(labels_HW, table, (width // x, height // y), (x, y))

    def _stencil(
        self, labels_HW: NDArray[np.uint8], index: int, size: tuple[int, int], cover: Cover | None
    ) -> tuple[Stencil, float]:
        """What is drawn on a plane, and the share of it, where that is the same everywhere."""
        table = self._tables[index]
        alpha = table.uniform_alpha
        if alpha is not None:
            return whole_stencil(labels_HW, table.blended(alpha), size), alpha
        return partial_stencil(labels_HW, table, size, cover if index else None), 1

    def _class_alpha(self) -> NDArray[np.float64]:
        """``[K]``: share of each class's colour."""
        alpha = 1.0 if self.mode == "mask" else self.alpha
        return np.where(self.covered, alpha, 0.0)

    def _prepare(self, colour: ColourSpec) -> None:
        """Class colours in this matrix, range and depth."""
        self._colour = colour
        rgb = np.zeros((256, 3), np.uint8)
        for index in np.flatnonzero(self.covered):
            rgb[index] = self.palette.colours[index]
        y, cb, cr = colour.from_rgb(rgb)
        if self._layout.grey:
            colours = [y]
        elif self._layout.semi_planar:
            colours = [y, np.stack([cb, cr], axis=-1)]
        else:
            colours = [y, cb, cr]
        # What is not drawn is black in a mask.
        alpha = np.full(256, 1.0 if self.mode == "mask" else 0.0)
        if self.mode != "mask":
            alpha[: len(self.palette)] = self._class_alpha()
        count = len(self.palette)
        self._tables = [ClassTable(colour=c, alpha=alpha, classes=count) for c in colours]


def covered_classes(palette: Palette, classes: Sequence[str] | None) -> NDArray[np.bool_]:
    """Which classes are drawn, bool ``[K]``: those asked for, else all that are some thing.

    Raises:
        UsageError: an unknown name (the message lists the known ones), or none at all.
    """
    if classes is None:
        things = np.array([name.casefold() not in BACKGROUNDS for name in palette.names], np.bool_)
        return things if things.any() else ~things
    covered = np.zeros(len(palette), np.bool_)
    if isinstance(classes, str):
        raise UsageError(f"classes is {classes!r}; give a list of names, as [{palette.names[0]!r}]")
    for name in classes:
        if name not in palette.names:
            raise UsageError(f"unknown class {name!r}; known: {', '.join(palette.names)}")
        covered[palette.names.index(name)] = True
    if not covered.any():
        raise UsageError(f"no class to draw; known: {', '.join(palette.names)}")
    return covered


def _pane(plane: Plane, at: tuple[int, int], width: int, height: int) -> Plane:
    left, top = at[0] * width, at[1] * height
    return plane[top : top + height, left : left + width]


def _flat(plane: Plane) -> Plane:
    """Cb and Cr beside each other as two columns; a view."""
    return plane.reshape(plane.shape[0], -1) if plane.ndim == 3 else plane
