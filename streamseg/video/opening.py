"""What a user wrote as the input: a path that is there, opened, or a sentence that says why not."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import av
from av.container import InputContainer

from streamseg.errors import SourceError, UsageError

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_PATTERN = re.compile(r"%\d*d|[*?]")


def checked_path(src: str | Path) -> Path:
    """What a user wrote, as the path of a file.

    Raises:
        UsageError: nothing of that name is there, and it reads like something that is no file.
    """
    text = str(src)
    path = Path(src)
    try:
        if path.exists():
            return path
    except OSError:  # a name that cannot be looked up: said when it is opened
        return path
    if _ADDRESS.match(text):
        raise UsageError(
            f"{text}: is an address; use 'streamseg webcam --source {text}', or give a file that "
            "was downloaded"
        )
    if text == "-":
        raise UsageError("-: standard input is not read; give a file, or a named pipe (mkfifo)")
    if _PATTERN.search(text):
        raise UsageError(
            f"{text}: no such file, and patterns are not followed; make a video of the pictures "
            f"first, as with 'ffmpeg -i PATTERN video.mkv'"
        )
    return path


def why_no_frame(path: Path) -> str:
    """Why a file that could be opened has no frame, by what it is."""
    if path.is_fifo():
        return (
            "an MP4 cannot be read through a pipe, mostly: send MPEG-TS or Matroska, or write it "
            "to a file first"
        )
    with contextlib.suppress(OSError), path.open("rb") as file:
        head = file.read(21)
        if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20:21] > b"" and head[20] & 2:
            return "FFmpeg decodes no animated WebP; convert it to a video first"
    return "the file is damaged or empty"


def open_file(path: Path) -> InputContainer:
    """A file, opened.

    Raises:
        UsageError: no such file.
        SourceError: nothing that FFmpeg can read.
    """
    try:
        folder, exists = path.is_dir(), path.exists()
    except OSError as error:  # a name too long, a folder that may not be searched
        raise UsageError(f"{path}: cannot be looked up ({error.strerror})") from error
    if folder:
        raise UsageError(f"{path}: is a folder; give a video file")
    if not exists:
        raise UsageError(f"{path}: no such file")
    try:
        # The plain-file protocol: a name such as "concat:..." stays the name of a file.
        return av.open(f"file:{path}", mode="r", metadata_errors="replace")
    except PermissionError as error:
        raise SourceError(f"{path}: may not be read; check its permissions") from error
    except av.error.FFmpegError as error:
        if path.is_fifo():
            raise SourceError(
                f"{path}: what comes through this pipe is not a video that can be read in one go "
                f"({error.strerror or error}); an MP4 cannot, mostly: send MPEG-TS or Matroska, or "
                "write it to a file first"
            ) from error
        if path.stat().st_size == 0:
            raise SourceError(f"{path}: the file is empty") from error
        raise SourceError(
            f"{path}: not a video that FFmpeg can read, or its index is cut off "
            f"({error.strerror or error})"
        ) from error
