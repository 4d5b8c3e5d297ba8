"""What kinds of file we write, and what each of them can hold. A table; opens nothing."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """A kind of video file."""

    name: str
    """As people call it."""
    muxer: str
    """FFmpeg's name."""
    suffixes: tuple[str, ...]
    lossless_sound: str
    """Encoder for sound without loss that cannot be copied."""
    lossy_sound: str
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
FORMATS = (MP4, MOV, MATROSKA)


def format_of(muxer: str) -> Format:
    """The format of a muxer."""
    return next(f for f in FORMATS if f.muxer == muxer)


SUFFIXES = {suffix: f.muxer for f in FORMATS for suffix in f.suffixes}
"""Suffix of an output file -> FFmpeg's muxer."""
