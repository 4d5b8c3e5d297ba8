"""What a user wrote as the input, opened, or a sentence that says why not.

Files, standard input and finite addresses; pictures are `pictures.py`.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer

from streamseg.errors import SourceError, UsageError
from streamseg.video.hwaccel import Decoding

STDIN = "-"
_STDIN_URL = "pipe:0"
_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+)://", re.IGNORECASE)
_FINITE = ("http", "https")
"""What files are offered by; other addresses are of streams without an end."""
_PATTERN = re.compile(r"%\d*d|[*?]")
_NETWORK_SECONDS = 20.0
"""Without an answer, or without a byte, until an address is given up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class InputOptions:
    """How an input is read.

    Raises:
        UsageError: a rate that cannot be.
    """

    fps: Fraction | None = None
    """Pictures a second, where the input is pictures; None takes 25."""
    hwaccel: str | None = None
    """Decode on other silicon: ``auto``, or ``cuda``, ``qsv``, ``vaapi``, ``videotoolbox`` …;
    None decodes on the processor."""
    deinterlace: bool = False
    """Make whole frames of interlaced ones, one of each."""

    def __post_init__(self) -> None:
        if self.fps is not None and not 0 < self.fps <= 1000:
            raise UsageError(f"--fps must be above 0 and at most 1000, got {float(self.fps):g}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a video is."""

    name: str
    """As the user wrote it, for messages."""
    url: str
    """As FFmpeg wants it."""
    path: Path | None = None
    """Of a file; None: standard input or an address."""

    @property
    def is_address(self) -> bool:
        """Whether it comes from a server."""
        return self.path is None and self.url != _STDIN_URL

    @property
    def can_skip(self) -> bool:
        """Whether it can be read from the middle."""
        return self.path is not None and self.path.is_file()


def place_of(src: str | Path) -> Place:
    """What a user wrote, as a place.

    Raises:
        UsageError: nothing of that name is there, and it reads like something that is no file.
    """
    text = str(src)
    path = Path(src)
    # The plain-file protocol: a name such as "concat:..." stays the name of a file.
    place = Place(name=text, url=f"file:{path}", path=path)
    try:
        if path.exists():
            return place
    except OSError:  # a name that cannot be looked up: said when it is opened
        return place
    if text == STDIN:
        return Place(name="standard input", url=_STDIN_URL)
    if address := _ADDRESS.match(text):
        if address[1].lower() in _FINITE:
            return Place(name=text, url=text)
        raise UsageError(
            f"{text}: is the address of a stream; use 'streamseg webcam --source {text}', or give "
            "a file that was downloaded"
        )
    return place


def is_pattern(text: str) -> bool:
    """Whether a name stands for several files."""
    return bool(_PATTERN.search(text)) and not _ADDRESS.match(text)


def why_no_frame(place: Place) -> str:
    """Why a file that could be opened has no frame, by what it is."""
    path = place.path
    if place.is_address:
        return "its server may not let a file be read from the middle; download it first"
    if path is None or path.is_fifo():
        return (
            "an MP4 cannot be read through a pipe, mostly: send MPEG-TS or Matroska, or write it "
            "to a file first"
        )
    with contextlib.suppress(OSError), path.open("rb") as file:
        head = file.read(21)
        if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20:21] > b"" and head[20] & 2:
            return "FFmpeg decodes no animated WebP; convert it to a video first"
    return "the file is damaged or empty"


def open_place(place: Place, hwaccel: str | None = None) -> tuple[InputContainer, str]:
    """A video, opened; and what there is to say of how it is decoded.

    Raises:
        UsageError: no such file.
        SourceError: nothing that FFmpeg can read.
    """
    if place.path is not None:
        _check_file(place.path)
    options, timeout = {}, None
    if place.is_address:
        options = {"reconnect": "1", "reconnect_on_network_error": "1", "reconnect_delay_max": "5"}
        timeout = _NETWORK_SECONDS
    decoding = Decoding(hwaccel)
    try:
        container = decoding.open(
            place.url, options=options, timeout=timeout, metadata_errors="replace"
        )
    except PermissionError as error:
        raise SourceError(f"{place.name}: may not be read; check its permissions") from error
    except av.error.FFmpegError as error:
        raise SourceError(f"{place.name}: {_why_not(place, error)}") from error
    return container, decoding.said


def _check_file(path: Path) -> None:
    try:
        folder, exists = path.is_dir(), path.exists()
    except OSError as error:  # a name too long, a folder that may not be searched
        raise UsageError(f"{path}: cannot be looked up ({error.strerror})") from error
    if folder:
        raise UsageError(f"{path}: is a folder; give a video file")
    if not exists:
        raise UsageError(f"{path}: no such file")


def _reads(demuxer: str) -> bool:
    try:
        av.ContainerFormat(demuxer, "r")
    except ValueError:
        return False
    return True


def _why_not(place: Place, error: av.error.FFmpegError) -> str:
    detail = error.strerror or error
    if Path(place.name.partition("?")[0]).suffix.lower() == ".mpd" and not _reads("dash"):
        return (
            "a DASH manifest, and this FFmpeg is built without its reader; give the film's HLS "
            "playlist (.m3u8), or a file of it"
        )
    if place.is_address:
        return f"cannot be fetched, or is no video that FFmpeg can read ({detail})"
    if place.path is None or place.path.is_fifo():
        return (
            f"what comes through this pipe is not a video that can be read in one go ({detail}); "
            "an MP4 cannot, mostly: send MPEG-TS or Matroska, or write it to a file first"
        )
    if place.path.stat().st_size == 0:
        return "the file is empty"
    return f"not a video that FFmpeg can read, or its index is cut off ({detail})"
