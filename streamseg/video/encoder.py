"""The video encoder: its options, the pixel formats it takes, its stream in a container."""

from __future__ import annotations

from dataclasses import dataclass, replace

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from streamseg.drawing.yuv import LAYOUTS
from streamseg.errors import UsageError
from streamseg.video.orientation import fitted_matrix
from streamseg.video.source import SourceInfo

PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)
"""Of x264 and x265, which also take their numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOptions:
    """How the output is encoded."""

    codec: str = "libx264"
    """Any video encoder of this FFmpeg: libx264, libx265, libsvtav1, h264_nvenc …"""
    crf: int | None = None
    """Constant rate factor, 0..63, lower is better; None takes the default of this package."""
    preset: str | None = None
    """The encoder's speed preset; None takes veryfast where the encoder has such presets."""
    tune: str | None = None
    """The encoder's tuning, e.g. ``zerolatency`` for x264."""
    threads: int = 0
    """Encoder threads; 0 lets the encoder choose."""

    def __post_init__(self) -> None:
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise UsageError(f"--crf must be 0..63, got {self.crf}")
        # x264 writes a line of its own about a preset that it does not know.
        known = self.codec not in ("libx264", "libx265") or self.preset in (None, *PRESETS)
        if not known and self.preset not in {str(n) for n in range(len(PRESETS))}:
            raise UsageError(
                f"--preset {self.preset}: {self.codec} knows none of that name; "
                f"take one of {', '.join(PRESETS)}"
            )

    def for_live(self) -> EncoderOptions:
        """Tuned so that x264 and x265 hold no frame back, unless something else was asked for."""
        if self.tune is None and self.codec in ("libx264", "libx265"):
            return replace(self, tune="zerolatency")
        return self

    def as_options(self) -> dict[str, str]:
        """The options FFmpeg's encoder gets."""
        options: dict[str, str] = {}
        preset = self.preset
        if self.codec in ("libx264", "libx265"):
            preset = preset or "veryfast"
            options["crf"] = str(20 if self.crf is None else self.crf)
        elif self.crf is not None:
            options["cq" if self.codec.endswith("_nvenc") else "crf"] = str(self.crf)
        if preset is not None:
            options["preset"] = preset
        if self.codec == "libx265":
            options["x265-params"] = "log-level=error"  # it reports every file on stderr
        if self.tune is not None:
            options["tune"] = self.tune
        return options


def encoder_format(codec: str, wanted: str) -> str:
    """The pixel format to encode in: the source's own if the encoder takes it, else yuv420p.

    Raises:
        UsageError: no such encoder, or one without a format that can be drawn on.
    """
    formats = [f.name for f in _find_encoder(codec).video_formats or []]
    if not formats or wanted in formats:
        return wanted
    for candidate in ("yuv420p", "nv12", *formats):
        if candidate in formats and candidate in LAYOUTS and not LAYOUTS[candidate].grey:
            return candidate
    raise UsageError(f"{codec} takes no colour pictures in YUV; try libx264, libx265 or libsvtav1")


def transparent_format(codec: str, muxer: str, wanted: str) -> str | None:
    """The pixel format with transparency that is nearest to another one; None if there is none.

    Args:
        codec: video encoder.
        muxer: FFmpeg's name of the kind of file; MP4 and MOV keep none of VP8's and VP9's.
        wanted: format of the picture.

    Raises:
        UsageError: no such encoder.
    """
    encoder = _find_encoder(codec)
    if encoder.canonical_name in ("vp8", "vp9") and muxer not in ("matroska", "webm"):
        return None
    names = [f.name for f in encoder.video_formats or []]
    known = [name for name in names if name in LAYOUTS and LAYOUTS[name].alpha]
    layout = LAYOUTS[wanted]

    def distance(name: str) -> tuple[bool, int, int]:
        other = LAYOUTS[name]
        chroma = other.chroma_x * other.chroma_y - layout.chroma_x * layout.chroma_y
        return (chroma > 0 or other.bits < layout.bits, abs(other.bits - layout.bits), abs(chroma))

    return min(known, key=distance, default=None)


def _find_encoder(codec: str) -> av.Codec:
    try:
        found = av.Codec(codec, "w")
    except (av.error.FFmpegError, ValueError) as error:
        raise UsageError(
            f"unknown video encoder {codec!r}; try libx264, libx265, libsvtav1 or h264_nvenc"
        ) from error
    if found.type != "video":
        raise UsageError(f"{codec!r} is no video encoder; try libx264, libx265 or libsvtav1")
    return found


def add_video(
    container: OutputContainer,
    info: SourceInfo,
    size: tuple[int, int],
    pixel_format: str,
    options: EncoderOptions,
) -> VideoStream:
    """A stream for the source's rate, time base, colour tags and display matrix.

    Raises:
        UsageError: an unknown encoder, or one that this kind of file cannot hold.
    """
    _find_encoder(options.codec)
    try:
        stream = container.add_stream(
            options.codec, rate=info.rate.limit_denominator(100_000), options=options.as_options()
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise UsageError(
            f"{options.codec} cannot be stored in a {container.format.name} file "
            f"({error}); choose another --codec or output name"
        ) from error
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = size
    stream.pix_fmt = pixel_format
    stream.time_base = info.time_base
    context = stream.codec_context
    context.time_base = info.time_base
    context.thread_count = options.threads
    context.sample_aspect_ratio = info.sample_aspect_ratio
    context.color_range = info.color_range
    context.colorspace = info.colorspace
    context.color_primaries = info.color_primaries
    context.color_trc = info.color_trc
    if info.display_matrix is not None:
        stored = info.width, info.height
        stream.set_display_matrix(fitted_matrix(info.display_matrix, stored, size))
    return stream
