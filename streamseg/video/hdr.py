"""What is written about a picture beside its samples: how it was graded, where chroma lies."""

from __future__ import annotations

import contextlib
import io
import struct
from dataclasses import dataclass
from fractions import Fraction

import av
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamseg.video.sidedata import side_data_of

_DYNAMIC = {
    Type.DYNAMIC_HDR_PLUS: "HDR10+",
    Type.DOVI_RPU_BUFFER: "Dolby Vision",
    Type.DOVI_METADATA: "Dolby Vision",
    Type.DYNAMIC_HDR_VIVID: "HDR Vivid",
}
_MASTERING = struct.Struct("=22i")
"""AVMasteringDisplayMetadata (libavutil/mastering_display_metadata.h): red, green, blue and white,
x and y each, least and most luminance, as fractions; and whether these are there."""
_LIGHT = struct.Struct("=2I")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grading:
    """How a picture of high dynamic range was made."""

    mastering: tuple[Fraction, ...] = ()
    """x and y of red, green, blue and white; least and most luminance in cd/m²; or nothing."""
    light: tuple[int, int] | None = None
    """Light of the brightest sample, and of the brightest frame's average, cd/m²."""
    dynamic: tuple[str, ...] = ()
    """Kinds of metadata that change from frame to frame."""

    def as_options(self, codec: str) -> dict[str, str]:
        """What an encoder is told of it; nothing where it knows no such thing."""
        if codec == "libx265":
            words = {"master-display": self._display(50_000, 10_000), "max-cll": self._levels()}
            return _params("x265-params", words)
        if codec == "libx264":
            words = {"mastering-display": self._display(50_000, 10_000), "cll": self._levels()}
            return _params("x264-params", words)
        if codec == "libsvtav1":
            words = {"mastering-display": self._display(1, 1), "content-light": self._levels()}
            return _params("svtav1-params", words)
        return {}

    def _display(self, unit: int, light_unit: int) -> str:
        if not self.mastering:
            return ""
        places = [_number(value * unit, unit) for value in self.mastering[:8]]
        least, most = (_number(value * light_unit, light_unit) for value in self.mastering[8:])
        red, green, blue, white = (",".join(places[i : i + 2]) for i in (0, 2, 4, 6))
        return f"G({green})B({blue})R({red})WP({white})L({most},{least})"

    def _levels(self) -> str:
        return "" if self.light is None else f"{self.light[0]},{self.light[1]}"


NOT_GRADED = Grading()


def _number(value: Fraction, unit: int) -> str:
    return str(round(value)) if unit > 1 else f"{float(value):.6g}"


def _params(option: str, words: dict[str, str]) -> dict[str, str]:
    said = ":".join(f"{key}={value}" for key, value in words.items() if value)
    return {option: said} if said else {}


def grading_of(frame: VideoFrame) -> Grading:
    """What a frame says of how it was made."""
    mastering: tuple[Fraction, ...] = ()
    light = None
    sides = side_data_of(frame)
    if (found := sides.get(Type.MASTERING_DISPLAY_METADATA)) is not None:
        numbers = _MASTERING.unpack(bytes(found)[: _MASTERING.size])
        pairs = [Fraction(numbers[i], numbers[i + 1] or 1) for i in range(0, 20, 2)]
        mastering = tuple(pairs) if numbers[20] and numbers[21] else ()
    if (found := sides.get(Type.CONTENT_LIGHT_LEVEL)) is not None:
        most, average = _LIGHT.unpack(bytes(found)[: _LIGHT.size])
        light = most, average
    dynamic = dict.fromkeys(name for kind, name in _DYNAMIC.items() if kind in sides)
    return Grading(mastering=mastering, light=light, dynamic=tuple(dynamic))


_SITES = {(1, 2): "left", (2, 2): "center", (1, 1): "topleft", (2, 1): "top"}
"""Matroska's ChromaSitingHorz and ChromaSitingVert, and FFmpeg's names."""


def chroma_site(stream: VideoStream) -> str | None:
    """Where chroma samples lie among those of luma, as FFmpeg calls it; None if that is not known.

    PyAV does not say, but FFmpeg writes it into the header of a Matroska file.
    """
    header = io.BytesIO()
    with contextlib.suppress(av.error.FFmpegError, ValueError):
        with av.open(header, "w", format="matroska") as scratch:
            scratch.add_stream_from_template(stream, opaque=True)
            scratch.start_encoding()
        data = header.getvalue()
        across, down = data.find(b"\x55\xb7\x81"), data.find(b"\x55\xb8\x81")
        if across >= 0 and down >= 0:
            return _SITES.get((data[across + 3], data[down + 3]))
    return None
