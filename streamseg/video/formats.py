"""What kinds of file we write, and what each of them can hold. A table; opens nothing."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of video file."""

    name: str
    """As people call it."""
    muxer: str
    """FFmpeg's name."""
    suffixes: tuple[str, ...]
    codec: str = "libx264"
    """Video encoder, where nobody asks for another."""
    deep_codec: str = "libx264"
    """The same, for pictures of more than 8 bits a sample."""
    hdr_codec: str = "libx265"
    """The same, for high dynamic range."""
    holds: tuple[str, ...] = ()
    """Codecs that are found in it again; empty: whatever its muxer takes."""
    lossless_sound: str | None = None
    """Encoder for sound without loss that cannot be copied; None: it holds no sound."""
    lossy_sound: str | None = None
    """Encoder for any other sound that cannot be copied."""
    text_subtitles: str | None = None
    """Encoder of subtitles as text; None: it has none."""
    attachments: bool = False
    """Fonts and other files can be attached; covers are such files too."""
    covers: bool = False
    """A picture stream can be marked as the cover."""
    starts_at_zero: bool = False
    """A late start is an empty stretch that players show."""
    timecode_from_tag: bool = False
    """A timecode track is made from the tag ``timecode``."""
    counts_frames: bool = False
    """Times are numbers of frames at a constant rate."""
    unit: Fraction | None = None
    """Of all its times, seconds, if that is coarse."""
    orders_by_decoding: bool = False
    """It says when frames are decoded, not when they are shown."""


MP4 = Format(
    name="MP4",
    muxer="mp4",
    suffixes=(".mp4", ".m4v"),
    lossless_sound="flac",
    lossy_sound="aac",
    text_subtitles="mov_text",
    covers=True,
    starts_at_zero=True,
    timecode_from_tag=True,
)
MOV = Format(
    name="MOV",
    muxer="mov",
    suffixes=(".mov",),
    lossless_sound="alac",
    lossy_sound="aac",
    text_subtitles="mov_text",
    starts_at_zero=True,
    timecode_from_tag=True,
)
MATROSKA = Format(
    name="Matroska",
    muxer="matroska",
    suffixes=(".mkv",),
    lossless_sound="flac",
    lossy_sound="aac",
    text_subtitles="subrip",
    attachments=True,
)
WEBM = Format(
    name="WebM",
    muxer="webm",
    suffixes=(".webm",),
    codec="libvpx-vp9",
    deep_codec="libsvtav1",
    hdr_codec="libsvtav1",
    lossless_sound="libopus",
    lossy_sound="libopus",
    text_subtitles="webvtt",
)
AVI = Format(
    name="AVI",
    muxer="avi",
    suffixes=(".avi",),
    codec="mpeg4",
    deep_codec="libx264",
    hdr_codec="libx264",
    lossless_sound="pcm_s16le",
    lossy_sound="libmp3lame",
    starts_at_zero=True,
    counts_frames=True,
    orders_by_decoding=True,
)
MPEG_TS = Format(
    name="MPEG-TS",
    muxer="mpegts",
    suffixes=(".ts", ".m2ts", ".mts"),
    holds=(
        *("h264", "hevc", "mpeg1video", "mpeg2video", "mpeg4"),
        *("mp2", "mp3", "aac", "aac_latm", "ac3", "eac3", "dts", "opus", "truehd"),
        *("dvb_subtitle", "dvb_teletext", "klv", "timed_id3", "scte_35"),
    ),
    lossless_sound="aac",
    lossy_sound="aac",
)
GIF = Format(
    name="GIF",
    muxer="gif",
    suffixes=(".gif",),
    codec="gif",
    deep_codec="gif",
    hdr_codec="gif",
    starts_at_zero=True,
    unit=Fraction(1, 100),
)
NUT = Format(
    name="NUT",
    muxer="nut",
    suffixes=(".nut",),
    lossless_sound="flac",
    lossy_sound="aac",
)
FORMATS = (MP4, MOV, MATROSKA, WEBM, AVI, MPEG_TS, GIF, NUT)


def format_of(muxer: str) -> Format:
    """The format of a muxer."""
    return next(f for f in FORMATS if f.muxer == muxer)


SUFFIXES = {suffix: f.muxer for f in FORMATS for suffix in f.suffixes}
"""Suffix of an output file -> FFmpeg's muxer."""
