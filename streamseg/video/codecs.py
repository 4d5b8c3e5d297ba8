"""Video encoders by name: what they are called, and how each is asked for a quality and a speed.

Knows nothing about files. What is not in these tables is left to FFmpeg, with bits by size.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction

import av

from streamseg.errors import UsageError

ALIASES = {
    "avc": "libx264",
    "x264": "libx264",
    "h265": "libx265",
    "x265": "libx265",
    "svtav1": "libsvtav1",
    "prores": "prores_ks",
}
"""What people write; h264, hevc, av1 and vp9 FFmpeg knows itself."""

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

HARDWARE = ("nvenc", "qsv", "amf", "v4l2m2m", "vaapi", "videotoolbox", "mf", "vulkan", "rkmpp")
"""What the names of encoders that run on other silicon end in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dial:
    """How an encoder is asked for a quality."""

    option: str = "crf"
    default: int | None = None
    """What we ask for if nobody says; None leaves it to the encoder."""
    most: int = 51
    """Of the scale, which begins at 0."""
    preset: str | None = None
    """What we ask for if nobody says."""
    presets: tuple[str, ...] = ()
    """All that it knows; empty: not known here."""
    also: Mapping[str, str] = field(default_factory=dict)
    capped: bool = False
    """It keeps below a bit rate that must be given too: a bit a pixel is out of its way."""


_NUMBERS = tuple(str(n) for n in range(-1, 14))
_X264 = Dial(default=20, preset="veryfast", presets=PRESETS)
_DIALS = {
    "libx264": _X264,
    "libx264rgb": _X264,
    # It reports every file on standard error.
    "libx265": Dial(
        default=20, preset="veryfast", presets=PRESETS, also={"x265-params": "log-level=error"}
    ),
    "libsvtav1": Dial(most=63, presets=_NUMBERS),
    "libaom-av1": Dial(default=30, most=63, also={"b": "0", "cpu-used": "6", "row-mt": "1"}),
    "libvpx-vp9": Dial(default=31, most=63, also={"b": "0", "cpu-used": "4", "row-mt": "1"}),
    "libvpx": Dial(default=10, most=63, also={"cpu-used": "4"}, capped=True),
}
_HARDWARE_DIALS = {
    "nvenc": Dial(option="cq", default=23, also={"rc": "vbr", "b": "0"}),
    "qsv": Dial(option="global_quality", default=23),
    "amf": Dial(option="qp_i", default=22, also={"rc": "cqp"}),
}
_SCALE = Dial(option="qmin", default=20)
"""Encoders with MPEG's scale of quantisers, 1 to 31."""
_WITH_SCALE = (
    *("mpeg1video", "mpeg2video", "mpeg4", "msmpeg4", "msmpeg4v2", "wmv1", "wmv2"),
    *("flv", "h263", "h263p", "mjpeg"),
)
_MPEG_RATES = tuple(
    Fraction(*rate)
    for rate in (
        (24000, 1001),
        (24, 1),
        (25, 1),
        (30000, 1001),
        (30, 1),
        (50, 1),
        (60000, 1001),
        (60, 1),
    )
)
"""All that MPEG-1 and MPEG-2 know."""
_MOST_TICKS = 65535
"""Per second, in MPEG-4 Part 2."""
_BITS_PER_PIXEL = 0.2
_FASTEST = Fraction(60)


def find_encoder(codec: str) -> av.Codec:
    """The encoder of a name.

    Raises:
        UsageError: none of that name, or none of video.
    """
    try:
        found = av.Codec(ALIASES.get(codec, codec), "w")
    except (av.error.FFmpegError, ValueError) as error:
        raise UsageError(
            f"unknown video encoder {codec!r}; 'streamseg codecs' lists those that work here"
        ) from error
    if found.type != "video":
        raise UsageError(f"{codec!r} is no video encoder; 'streamseg codecs' lists those that are")
    return found


def hardware_of(codec: str) -> str | None:
    """What silicon an encoder runs on (``nvenc``, ``qsv`` …); None for the processor."""
    end = codec.rpartition("_")[2]
    return end if end in HARDWARE and end != codec else None


def _dial_of(codec: str) -> Dial | None:
    if codec in _WITH_SCALE:
        return _SCALE
    return _DIALS.get(codec) or _HARDWARE_DIALS.get(hardware_of(codec) or "")


def quality_options(
    codec: str, crf: int | None, preset: str | None, *, size: tuple[int, int], rate: Fraction
) -> dict[str, str]:
    """What an encoder is told of quality and speed.

    Args:
        codec: its own name, as `find_encoder` has it.
        crf: as a user gave it.
        preset: as a user gave it.
        size: width and height.
        rate: frames per second.

    Raises:
        UsageError: it has no such quality or preset.
    """
    dial = _dial_of(codec)
    pixels = size[0] * size[1] * float(min(rate, _FASTEST))
    options = {} if preset is None else {"preset": preset}
    if dial is None:
        if crf is not None:
            raise UsageError(f"--crf {crf}: {_why_no_crf(codec)}")
        kind, bits = av.Codec(codec, "w"), str(round(pixels * _BITS_PER_PIXEL))
        return options if kind.intra_only or not kind.lossy else {**options, "b": bits}
    if crf is not None and crf > dial.most:
        raise UsageError(f"--crf {crf}: {codec} takes 0..{dial.most}")
    _check_preset(codec, preset, dial)
    if preset is None and dial.preset is not None:
        options["preset"] = dial.preset
    options |= dial.also
    options |= {"b": str(round(pixels))} if dial.capped else {}
    quality = dial.default if crf is None else crf
    if quality is None:
        return options
    if dial is _SCALE:
        # x264's quantisers are logarithmic, these are not; as FFmpeg converts between the two.
        scaled = str(min(31, max(2, round(0.85 * 2 ** ((quality - 12) / 6)))))
        return {**options, "qmin": scaled, "qmax": scaled}
    options[dial.option] = str(quality)
    if dial.option == "qp_i":
        options["qp_p"] = str(quality)
    return options


def _check_preset(codec: str, preset: str | None, dial: Dial) -> None:
    """Refuse a preset that is not known: some encoders write a line of their own about it."""
    known = dial.presets
    if preset is None or not known or preset in known:
        return
    if known is PRESETS and preset in {str(n) for n in range(len(PRESETS))}:
        return
    names = f"{known[0]}..{known[-1]}" if known is _NUMBERS else f"one of {', '.join(known)}"
    raise UsageError(f"--preset {preset}: {codec} knows none of that name; take {names}")


def _why_no_crf(codec: str) -> str:
    kind = av.Codec(codec, "w")
    if kind.lossless and not kind.lossy:
        return f"{codec} is lossless and takes none"
    if kind.intra_only:
        return f"the quality of {codec} comes from its profile; leave --crf out"
    return f"{codec} takes none; leave it out, or use libx264, libx265, libsvtav1 or libvpx-vp9"


def time_unit(codec: str, time_base: Fraction, rate: Fraction) -> Fraction:
    """The unit of an encoder's times, seconds: the source's, if the encoder can count in it.

    Args:
        codec: its own name.
        time_base: of the source.
        rate: frames per second.
    """
    if codec in ("mpeg1video", "mpeg2video"):
        higher = [r for r in _MPEG_RATES if r >= rate] or [_MPEG_RATES[-1]]
        multiples = [r for r in higher if (r / rate).denominator == 1]
        return 1 / min(multiples or higher)
    if codec == "mpeg4" and time_base.denominator > _MOST_TICKS:
        per_second = rate.limit_denominator(1001).numerator
        return Fraction(1, per_second * max(1, _MOST_TICKS // per_second))
    return time_base


def by_format(codec: str, pixel_format: str) -> dict[str, str]:
    """What an encoder must be told for a pixel format."""
    if codec != "dnxhd":
        return {}
    # Without a profile it wants one of a few sizes, rates and bit rates.
    deep = {"yuv422p": "dnxhr_hq", "yuv422p10le": "dnxhr_hqx"}
    return {"profile": deep.get(pixel_format, "dnxhr_444")}
