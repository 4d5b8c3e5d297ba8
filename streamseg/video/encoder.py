"""The video encoder: its options, the pixel formats it takes, its stream in a container."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from streamseg.drawing.yuv import FULL, IDENTITY, LAYOUTS, rgb_target
from streamseg.errors import UsageError
from streamseg.video.codecs import by_format, find_encoder, quality_options, time_unit
from streamseg.video.formats import Format
from streamseg.video.interlace import FIELD_ORDERS, options_for
from streamseg.video.orientation import fitted_matrix
from streamseg.video.pixelformats import is_known, nearest, traits
from streamseg.video.source import SourceInfo

AUTO = "auto"
_FOR_BROWSERS = "yuv420p"
_FOR_PLAYERS = ("h264", "hevc", "vp9", "av1")
"""What people give to others: few players show RGB in these."""
_FULL_RANGE = ("mjpeg", "ljpeg")
"""Encoders that take limited range only as a breach of their standard."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOptions:
    """How the output is encoded."""

    codec: str = AUTO
    """Any video encoder of this FFmpeg (libx264, hevc, libsvtav1, h264_nvenc …); ``auto`` goes by
    the kind of file and the picture."""
    crf: int | None = None
    """Quality, 0..63, lower is better; None takes the default of this package."""
    preset: str | None = None
    """The encoder's speed preset; None takes veryfast where the encoder has such presets."""
    tune: str | None = None
    """The encoder's tuning, e.g. ``zerolatency`` for x264."""
    pixel_format: str | None = None
    """What is encoded, as FFmpeg calls it (yuv420p, yuv422p10le …); None: nearest to the source."""
    compatible: bool = False
    """Play everywhere: 8 bits, 4:2:0, H.264 in profile High where the file can hold that."""
    container: str | None = None
    """Kind of file on standard output: matroska, mp4, mpegts, nut …; None is Matroska."""
    threads: int = 0
    """Encoder threads; 0 lets the encoder choose."""

    def __post_init__(self) -> None:
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise UsageError(f"--crf must be 0..63, got {self.crf}")
        if self.compatible and self.pixel_format not in (None, _FOR_BROWSERS):
            raise UsageError(
                f"--compatible means {_FOR_BROWSERS}; leave out --pix-fmt {self.pixel_format}"
            )

    def for_live(self) -> EncoderOptions:
        """Tuned so that x264 and x265 hold no frame back, unless something else was asked for."""
        if self.tune is None and self.codec in ("libx264", "libx265"):
            return replace(self, tune="zerolatency")
        return self

    def chosen(self, output: Format, info: SourceInfo) -> EncoderOptions:
        """With the encoder's own name, for a kind of file and a source.

        Raises:
            UsageError: no such encoder.
        """
        codec = self.codec
        if codec == AUTO:
            deep = traits(info.pixel_format).bits > 8 and not self.compatible
            codec = output.deep_codec if deep else output.codec
            if info.is_hdr and deep:
                codec = output.hdr_codec
        return replace(self, codec=find_encoder(codec).name)

    def as_options(self, size: tuple[int, int], info: SourceInfo, output: Format) -> dict[str, str]:
        """The options FFmpeg's encoder gets; `chosen` must have named it.

        Raises:
            UsageError: it has no such quality or preset.
        """
        options = quality_options(self.codec, self.crf, self.preset, size=size, rate=info.rate)
        if self.tune is not None:
            options["tune"] = self.tune
        if self.compatible and self.codec == "libx264":
            options["profile"] = "high"
        if output.orders_by_decoding and self.codec in ("libx264", "libx265", "mpeg4"):
            options["bf"] = "0"
        return options


def encoder_format(options: EncoderOptions, wanted: str, output: Format) -> str:
    """The pixel format to encode in: the nearest to the source's own that encoder and file hold.

    Args:
        options: `EncoderOptions.chosen`.
        wanted: the source's format.
        output: kind of file.

    Raises:
        UsageError: no such encoder, or one that does not take what is asked for.
    """
    codec = find_encoder(options.codec)
    # Encoders of other silicon also take frames that lie in its memory, and have no samples here.
    formats = [f.name for f in codec.video_formats or [] if f.components]
    asked = _FOR_BROWSERS if options.compatible else options.pixel_format
    if asked is not None:
        if not is_known(asked):
            raise UsageError(f"--pix-fmt {asked}: FFmpeg knows no pixel format of that name")
        if formats and asked not in formats:
            raise UsageError(f"--pix-fmt {asked}: {codec.name} takes {', '.join(formats)}")
        return asked
    if codec.canonical_name in _FOR_PLAYERS:
        formats = [f for f in formats if not traits(f).rgb] or formats
    if codec.name in _FULL_RANGE:
        formats = [f for f in formats if "yuvj" in f]
    if not holds_alpha(codec, output):
        formats = [f for f in formats if not traits(f).alpha or codec.name == "gif"]
    # Classes are told apart by their colours on a grey picture too.
    seen = traits(wanted)
    if seen.grey:
        wanted = "yuv420p" if seen.bits <= 8 else f"yuv420p{min(16, seen.bits)}le"
    if not formats:
        return drawn_format(wanted)
    found = nearest(wanted, formats)
    if found is None:
        raise UsageError(f"{codec.name} takes no colour pictures; 'streamseg codecs' lists others")
    return found


def drawn_format(encoded: str) -> str:
    """The pixel format to draw in for one to encode in: itself, or one that holds all of it."""
    colour = [name for name, layout in LAYOUTS.items() if not layout.grey]
    return nearest(encoded, colour) or "yuv420p"


def transparent_format(options: EncoderOptions, wanted: str, output: Format) -> str | None:
    """As `encoder_format`, with transparency; None if encoder or file hold none.

    Raises:
        UsageError: no such encoder.
    """
    codec = find_encoder(options.codec)
    if not holds_alpha(codec, output):
        return None
    names = [f.name for f in codec.video_formats or []]
    return nearest(wanted, [n for n in names if n in LAYOUTS and LAYOUTS[n].alpha])


def holds_alpha(codec: av.Codec, output: Format) -> bool:
    """Whether transparency is there again when the file is read."""
    if codec.canonical_name in ("vp8", "vp9"):
        return output.muxer in ("matroska", "webm")
    return codec.canonical_name not in ("hevc", "gif", "av1")


def add_video(
    container: OutputContainer,
    info: SourceInfo,
    size: tuple[int, int],
    pixel_format: str,
    options: EncoderOptions,
    output: Format,
) -> VideoStream:
    """A stream for the source's rate, time base, colour tags, fields and display matrix.

    Raises:
        UsageError: an unknown encoder, or one that this kind of file cannot hold.
    """
    codec = find_encoder(options.codec)
    if output.holds and codec.canonical_name not in output.holds:
        raise UsageError(
            f"{options.codec} cannot be found again in a {output.name} file; choose another "
            "--codec or output name"
        )
    unit, rate = _clock(options.codec, info, output)
    told = options.as_options(size, info, output) | by_format(options.codec, pixel_format)
    shape = traits(pixel_format)
    if info.chroma_site is not None and (shape.across, shape.down) == (2, 2):
        told["chroma_sample_location"] = info.chroma_site
    for option, said in info.grading.as_options(options.codec).items():
        told[option] = f"{told[option]}:{said}" if option in told else said
    if info.field_order is not None:
        told |= options_for(options.codec, info.field_order)
    try:
        stream = container.add_stream(options.codec, rate=rate, options=told)
    except (av.error.FFmpegError, ValueError) as error:
        raise UsageError(
            f"{options.codec} cannot be stored in a {container.format.name} file "
            f"({error}); choose another --codec or output name"
        ) from error
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = size
    stream.pix_fmt = pixel_format
    stream.time_base = unit
    context = stream.codec_context
    context.time_base = unit
    context.thread_count = options.threads
    context.sample_aspect_ratio = info.sample_aspect_ratio
    context.colorspace, context.color_range = _tags(info, size, pixel_format)
    context.color_primaries = info.color_primaries
    context.color_trc = info.color_trc
    if info.field_order is not None:
        context.field_order = FIELD_ORDERS[info.field_order]
    if codec.canonical_name == "hevc" and output.starts_at_zero:
        context.codec_tag = "hvc1"  # QuickTime, Safari and iOS play no other
    if info.display_matrix is not None:
        stored = info.width, info.height
        stream.set_display_matrix(fitted_matrix(info.display_matrix, stored, size))
    return stream


def _tags(info: SourceInfo, size: tuple[int, int], pixel_format: str) -> tuple[int, int]:
    """Matrix and range of what is encoded."""
    if traits(pixel_format).rgb:
        return IDENTITY, FULL
    if traits(info.pixel_format).rgb and not traits(pixel_format).grey:
        target = rgb_target(*size)
        return target.av_colorspace, target.av_range
    return info.colorspace, FULL if pixel_format.startswith("yuvj") else info.color_range


def _clock(codec: str, info: SourceInfo, output: Format) -> tuple[Fraction, Fraction]:
    """The unit of an encoder's times, seconds, and its rate."""
    rate = info.rate.limit_denominator(100_000)
    if output.unit is not None:
        return output.unit, rate
    grid = max(rate, (info.grid_rate or rate).limit_denominator(100_000))
    unit = time_unit(codec, 1 / grid if output.counts_frames else info.time_base, grid)
    counts = output.counts_frames or codec in ("mpeg1video", "mpeg2video")
    return unit, 1 / unit if counts else rate
