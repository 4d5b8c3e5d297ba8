"""Frames as an encoder takes them: in its pixel format, with its palette, at its clock's ticks."""

from __future__ import annotations

from fractions import Fraction

from av.filter import Graph
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from streamseg.drawing.yuv import to_supported
from streamseg.video.interlace import FieldMarker
from streamseg.video.source import FieldOrder

_PALETTE = "pal8"
_MOVED_SECONDS = Fraction(1, 1000)
"""Less is how files round times anyway."""


class Adapter:
    """Makes frames fit an encoder.

    Args:
        encoder: opened.
        field_order: of interlaced frames, for an encoder that keeps them so.
    """

    def __init__(self, encoder: VideoCodecContext, field_order: FieldOrder | None = None) -> None:
        self._marker = FieldMarker(field_order) if field_order else None
        self._encoder = encoder
        self._size = encoder.width, encoder.height
        self._reformatter = VideoReformatter()
        self._palette: Graph | None = None
        self._last: int | None = None
        self._moved = Fraction(0)
        self._frames_moved = 0

    def adapted(self, frame: VideoFrame) -> VideoFrame:
        """The frame itself where it fits; else another.

        Args:
            frame: drawn, with a time; it may be changed.
        """
        wanted = self._encoder.pix_fmt or frame.format.name
        if frame.format.name != wanted:
            made = (
                self._with_palette(frame)
                if wanted == _PALETTE
                else to_supported(frame, wanted, self._size, self._reformatter)
            )
            made.pts, made.time_base = frame.pts, frame.time_base
            made.duration = frame.duration
            frame = made
        self._to_a_tick(frame)
        return self._marker.marked(frame) if self._marker else frame

    def pass_over(self, frame: VideoFrame) -> None:
        """Count a frame that was encoded before; it may be changed."""
        self._to_a_tick(frame)

    def _with_palette(self, frame: VideoFrame) -> VideoFrame:
        """In the 256 colours that suit it best, dithered."""
        if self._palette is None:
            self._palette = Graph()
            self._palette.link_nodes(
                source := self._palette.add_buffer(
                    width=frame.width,
                    height=frame.height,
                    format=frame.format,
                    time_base=frame.time_base or Fraction(1, 25),
                ),
                split := self._palette.add("split"),
            )
            generate = self._palette.add("palettegen", "stats_mode=single:reserve_transparent=0")
            use = self._palette.add("paletteuse", "new=1:dither=bayer:bayer_scale=3")
            sink = self._palette.add("buffersink")
            split.link_to(use, 0, 0)
            split.link_to(generate, 1, 0)
            generate.link_to(use, 0, 1)
            use.link_to(sink, 0, 0)
            self._palette.configure()
            del source
        self._palette.push(frame)
        return self._palette.vpull()

    def _to_a_tick(self, frame: VideoFrame) -> None:
        """Put the frame's time on the encoder's clock, behind the frame before it."""
        unit, base = self._encoder.time_base, frame.time_base
        if unit is None or base is None or frame.pts is None or unit == base:
            return
        exact = frame.pts * base
        tick = round(exact / unit)
        if self._last is not None and tick <= self._last:
            tick = self._last + 1
        self._last = tick
        off = abs(tick * unit - exact)
        if off > _MOVED_SECONDS:
            self._frames_moved += 1
            self._moved = max(self._moved, off)
        lasts = round((frame.duration or 0) * base / unit)
        frame.pts, frame.time_base, frame.duration = tick, unit, lasts

    @property
    def warnings(self) -> list[str]:
        """What there is to say of it, without the file's name."""
        if not self._frames_moved:
            return []
        unit = self._encoder.time_base or Fraction(0)
        return [
            f"its times are counted in units of {float(unit * 1000):.4g} ms: "
            f"{self._frames_moved} frames were moved, by {float(self._moved * 1000):.3g} ms at most"
        ]
