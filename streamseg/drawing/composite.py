"""Draws labels onto frames, in the frame's own YUV. Knows nothing about engines or files.

A frame is never taken to RGB and back: what the labels do not cover stays as decoded, and the cost
is a colour look-up at the network's size and one blend per plane, in strips of rows. What is
painted is a `streamseg.drawing.painter.Painter`'s; panes, lines and the legend are put together
here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from streamseg.drawing.background import Backdrop, BackgroundPainter, plain_backdrop
from streamseg.drawing.blend import Strips, copy_rows
from streamseg.drawing.classes import (
    UNDRAWN,
    class_alphas,
    classes_by_looks,
    covered_classes,
    kept_classes,
    seen_classes,
)
from streamseg.drawing.classpainter import ClassPainter
from streamseg.drawing.contours import draw_contours
from streamseg.drawing.legendplanes import LegendPlanes
from streamseg.drawing.options import DrawOptions
from streamseg.drawing.orientation import AS_STORED, Orientation
from streamseg.drawing.painter import Painter
from streamseg.drawing.wipe import Wipe
from streamseg.drawing.yuv import (
    LAYOUTS,
    ColourSpec,
    Plane,
    even_size,
    has_alpha,
    new_frame_like,
    planes_of,
    seconds,
    to_supported,
    without_alpha,
)
from streamseg.models.colours import recoloured
from streamseg.models.palette import Palette


class Compositor:
    """Draws classes over frames.

    Args:
        palette: classes and colours.
        source_size: width and height of the frames to come; others are scaled to it.
        pixel_format: format to draw and encode in; the source's own wherever that is possible. One
            with transparency for a cut-out; elsewhere that is the source's own.
        draw: how; None is an overlay of all classes.
        orientation: how a player turns and mirrors the frames: left, right, and the legend are
            what people see.
        backdrop: what is seen behind what is kept, closed with the compositor; None takes the
            colour that `draw` names.
        threads: that draw at the same time, at most; see `close`.

    Raises:
        UsageError: an unknown class, a palette that has none of them, or no class that is kept.
    """

    def __init__(
        self,
        palette: Palette,
        *,
        source_size: tuple[int, int],
        pixel_format: str = "yuv420p",
        draw: DrawOptions | None = None,
        orientation: Orientation = AS_STORED,
        backdrop: Backdrop | None = None,
        threads: int = 1,
    ) -> None:
        draw = draw or DrawOptions()
        self.palette = palette = recoloured(palette, draw.palette)
        self._draw = draw
        self.covered = covered_classes(palette, draw.classes)
        self.pixel_format = pixel_format
        self._layout = LAYOUTS[pixel_format]
        self._frame_size = source_size
        self.pane_size = even_size(*source_size, self._layout)
        """Width and height of one pane: the source's, less an odd row or column."""
        width, height = self.pane_size
        beside, below = orientation.stored_direction(draw.mode == "side-by-side", 0)
        self.size = (width * (1 + abs(beside)), height * (1 + abs(below)))
        """Width and height of the drawn frames."""
        # In panes, from the stored frame's top left; the source is shown at the left.
        self._source_pane = (int(beside < 0), int(below < 0))
        self._drawn_pane = (int(beside > 0), int(below > 0))
        self._wipe = None
        if draw.mode == "wipe":
            self._wipe = Wipe(orientation, self._layout, draw.wipe_seconds)
        self._reformatter = VideoReformatter()
        self._colour: ColourSpec | None = None
        self._strips, self._backdrop = Strips(threads), backdrop
        self.warnings: list[str] = []
        """What could not be drawn as asked, in sentences; grows with the frames."""
        # A mask shows black where nothing is drawn.
        plain = draw.mode == "mask"
        alpha = class_alphas(palette, self.covered, draw)
        self._looks = classes_by_looks(self.covered)
        self._classes = ClassPainter(
            palette,
            covered=self.covered,
            alpha=alpha,
            rest_alpha=1.0 if plain else 0.0,
            looks=self._looks,
            layout=self._layout,
            smooth=draw.edges == "smooth",
            strips=self._strips,
        )
        self._painter: Painter = self._classes
        self._cutting: BackgroundPainter | None = None
        if draw.changes_background:
            transparent = draw.mode == "cutout" and self._layout.alpha
            if draw.mode != "blur":
                self._backdrop = backdrop or plain_backdrop(draw, transparent=transparent)
            self._cutting = self._painter = BackgroundPainter(
                kept_classes(palette, draw),
                layout=self._layout,
                size=self.pane_size,
                orientation=orientation,
                smooth=draw.edges == "smooth",
                backdrop=self._backdrop,
                transparent=transparent,
            )
        seen = seen_classes(alpha, self.covered, draw)
        self._legend = LegendPlanes(palette, seen, alpha, orientation) if draw.legend else None

    def compose(self, frame: VideoFrame, labels_HW: NDArray[np.uint8]) -> VideoFrame:
        """A new frame with the labels drawn; `frame` is not changed.

        Args:
            frame: as decoded; any size and format.
            labels_HW: classes at any size, stretched over the frame.
        """
        source = self._supported(frame)
        colour = ColourSpec.of(source)
        if colour != self._colour:
            self._colour = colour
            self._classes.prepare(colour)
            self._painter.prepare(colour)
        out = new_frame_like(source, *self.size, self.pixel_format)
        given, made = planes_of(source), planes_of(out)
        count = len(made) - self._layout.alpha
        pane_width, pane_height = self.pane_size
        sources, panes, work = [], [], []
        for index, (src, dst) in enumerate(zip(given[:count], made[:count], strict=True)):
            x, y = (self._layout.chroma_x, self._layout.chroma_y) if index else (1, 1)
            width, height = pane_width // x, pane_height // y
            sources.append(src[:height, :width])
            panes.append(_pane(dst, self._drawn_pane, width, height))
        at = seconds(frame)
        self._painter.begin(sources, labels_HW, at)
        for index, (src, pane, dst) in enumerate(zip(sources, panes, made, strict=False)):
            steps = [self._painter.step(index, src, pane)]
            if self._draw.mode == "side-by-side":
                beside = _pane(dst, self._source_pane, pane.shape[1], pane.shape[0])
                steps.append(partial(copy_rows, src, beside))
            work.append((src, steps))
        self._strips.run(work)
        self._painter.finish(sources, panes)
        if self._layout.alpha:
            self._transparency(given[count:], made[count])
        if self._draw.contours:
            drawn = self._looks != UNDRAWN
            smooth = self._draw.edges == "smooth"
            tables = self._classes.tables
            draw_contours(panes, labels_HW, tables, self._looks, drawn, smooth=smooth)
        if self._wipe is not None:
            self._wipe.draw(sources, panes, colour, at)
        self._draw_legend(panes, labels_HW, colour, at)
        return out

    def pass_over(self, frame: VideoFrame) -> None:
        """Let the time of a frame pass that was drawn before: a wipe and a backdrop go on."""
        at = seconds(frame)
        if self._wipe is not None:
            self._wipe.begin(at)
        if self._backdrop is not None:
            self._backdrop.rgb_at(at)

    def forget(self) -> None:
        """Take the next picture for the first: the legend lists what is there, and nothing else."""
        if self._legend is not None:
            self._legend.forget()

    def _supported(self, frame: VideoFrame) -> VideoFrame:
        wanted = self.pixel_format
        if self._layout.alpha and not has_alpha(frame.format):
            wanted = without_alpha(wanted)
        return to_supported(frame, wanted, self._frame_size, self._reformatter)

    def _transparency(self, given: Sequence[Plane], made: Plane) -> None:
        width, height = self.pane_size
        places = {self._source_pane, self._drawn_pane}
        for place in places:
            pane = _pane(made, place, width, height)
            pane[:] = given[0][:height, :width] if given else 2**self._layout.bits - 1
        if self._draw.mode == "cutout" and self._cutting is not None:
            seen = made.copy()
            self._cutting.transparency(seen)
            np.minimum(made, seen, out=made)

    def _draw_legend(
        self, panes: Sequence[Plane], labels_HW: NDArray[np.uint8], colour: ColourSpec, at: float
    ) -> None:
        if self._legend is None:
            return
        self._legend.draw(panes, labels_HW, colour, self._layout, at)
        if self._legend.no_room and not self.warnings:
            width, height = self.pane_size
            self.warnings.append(
                f"the picture ({width}x{height}) has no room for a legend that can "
                "be read; some frames have none"
            )

    def close(self) -> None:
        """End the threads that draw, and close the backdrop."""
        self._strips.close()
        if self._backdrop is not None:
            self._backdrop.close()


def _pane(plane: Plane, at: tuple[int, int], width: int, height: int) -> Plane:
    left, top = at[0] * width, at[1] * height
    return plane[top : top + height, left : left + width]
