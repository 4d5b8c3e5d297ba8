"""Which video encoders work here: each is opened, for lists say only what was compiled."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import Any

import av
import av.logging
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from streamseg.errors import UsageError
from streamseg.video.adapting import Adapter
from streamseg.video.codecs import by_format, find_encoder, hardware_of, quality_options
from streamseg.video.encoder import EncoderOptions, encoder_format
from streamseg.video.formats import FORMATS, MATROSKA
from streamseg.video.priority import ordinary_priority
from streamseg.video.starting import why_not_started

_SIZES = ((640, 480), (352, 288), (720, 576), (512, 512), (1920, 1080))
"""Some encoders take few: the usual one first, then those of H.263, DV, and others."""
_RATE = Fraction(25)
_NO_VIDEO = frozenset(["wrapped_avframe", "vnull", "xface", "a64multi", "a64multi5"])
"""What counts as a video encoder in FFmpeg and writes none that a file holds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """A video encoder of this FFmpeg."""

    name: str
    codec: str
    """What it writes: h264, hevc, av1 …"""
    description: str
    hardware: str | None
    """What silicon it runs on: nvenc, qsv …; None for the processor."""
    works: bool
    """It started here, just now."""
    why_not: str | None
    pixel_formats: tuple[str, ...]
    files: tuple[str, ...]
    """Suffixes of the files that can hold it."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def try_encoders() -> list[Encoder]:
    """Every video encoder, tried; those that a file can hold."""
    names = {av.Codec(name, "w").name for name in _names()}
    level = av.logging.get_level()
    av.logging.set_level(av.logging.PANIC)  # some encoders say at length why they do not start
    try:
        found = [_tried(name) for name in sorted(names - _NO_VIDEO)]
    finally:
        av.logging.set_level(level)
    return [encoder for encoder in found if encoder.files]


def _names() -> list[str]:
    names = []
    for name in av.codecs_available:
        try:
            if av.Codec(name, "w").type == "video":
                names.append(name)
        except (av.error.FFmpegError, ValueError):  # a decoder
            continue
    return names


def _tried(name: str) -> Encoder:
    codec = find_encoder(name)
    why_not: str | None = None
    for size in _SIZES:
        why_not = _why_not(name, size)
        if why_not is None:
            break
    return Encoder(
        name=name,
        codec=codec.canonical_name,
        description=codec.long_name,
        hardware=hardware_of(name),
        works=why_not is None,
        why_not=why_not,
        pixel_formats=tuple(f.name for f in codec.video_formats or []),
        files=tuple(_files(codec)),
    )


def _why_not(name: str, size: tuple[int, int]) -> str | None:
    try:
        pixel_format = encoder_format(EncoderOptions(codec=name), "yuv420p", MATROSKA)
        context = av.CodecContext.create(name, "w")
        assert isinstance(context, VideoCodecContext)
        context.width, context.height = size
        context.pix_fmt = pixel_format
        context.framerate, context.time_base = _RATE, 1 / _RATE
        context.options = {
            **quality_options(name, None, None, size=size, rate=_RATE),
            **by_format(name, pixel_format),
        }
        with ordinary_priority():
            context.open()
        _encode(context)
    except UsageError as error:
        return str(error)
    except av.error.FFmpegError as error:
        return why_not_started(name, error) or error.strerror or str(error)
    except (ValueError, MemoryError) as error:
        return str(error)
    return None


def _encode(context: VideoCodecContext) -> None:
    """Some start and fail at the first frame."""
    for pts in range(2):
        frame = VideoFrame(context.width, context.height, "yuv420p")
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.pts, frame.time_base = pts, 1 / _RATE
        context.encode(Adapter(context).adapted(frame))
    context.encode(None)


def _files(codec: av.Codec) -> list[str]:
    suffixes = []
    for kind in FORMATS:
        if kind.holds and codec.canonical_name not in kind.holds:
            continue
        with av.open(io.BytesIO(), "w", format=kind.muxer) as container:
            if codec.canonical_name in container.supported_codecs or _is_added(
                container, codec.name
            ):
                suffixes.append(kind.suffixes[0])
    return suffixes


def _is_added(container: Any, name: str) -> bool:
    try:
        container.add_stream(name, rate=25)
    except (av.error.FFmpegError, ValueError):
        return False
    return True
