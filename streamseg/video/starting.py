"""Starts a video encoder, or says in a sentence why it does not start."""

from __future__ import annotations

import sys
from pathlib import Path

import av
from av.video.codeccontext import VideoCodecContext

from streamseg.errors import UsageError
from streamseg.video.codecs import hardware_of
from streamseg.video.priority import ordinary_priority

_NVIDIA_DEVICE = Path("/dev/nvidiactl")
"""Made by the driver, on Linux."""
_NEEDS = {
    "qsv": "an Intel GPU and its driver",
    "amf": "an AMD GPU and its driver",
    "v4l2m2m": "a video device of the kernel (Raspberry Pi and other boards)",
    "vaapi": "a GPU with VA-API",
    "videotoolbox": "a Mac",
}


def start(context: VideoCodecContext, name: Path) -> None:
    """Open an encoder.

    Args:
        context: with all that it is to be told.
        name: of the output, for messages.

    Raises:
        UsageError: it refuses; the message says why, as far as that can be known.
    """
    asked = dict(context.options)
    try:
        with ordinary_priority():
            context.open(strict=False)
    except av.error.FFmpegError as error:
        raise UsageError(f"{name}: {_why(context, asked, error)}") from error
    # FFmpeg ignores options that an encoder does not have, and leaves them here.
    for option in ("preset", "tune"):
        if option in context.options:
            raise UsageError(
                f"{name}: {context.name} has no --{option}; leave out --{option} {asked[option]}"
            )


def _why(context: VideoCodecContext, asked: dict[str, str], error: av.error.FFmpegError) -> str:
    if min(context.width, context.height) < 2:
        return (
            f"a picture of {context.width}x{context.height} pixels is too small for a video; give "
            "a larger one"
        )
    if known := why_not_started(context.name, error):
        return f"{known}; 'streamseg codecs' lists what works here"
    told = {name: value for name, value in asked.items() if name != "chroma_sample_location"}
    given = ", ".join(f"{name} {value}" for name, value in told.items())
    return (
        f"{context.name} refused to start ({error.strerror or error}) with "
        f"{given + ', ' if given else ''}{context.pix_fmt}, {context.width}x{context.height}, "
        f"times in units of {context.time_base} s; check --codec, --preset, --crf and --pix-fmt"
    )


def why_not_started(codec: str, error: av.error.FFmpegError) -> str | None:
    """Why an encoder of other silicon does not start; None where that is not known."""
    silicon = hardware_of(codec)
    if silicon == "nvenc" and _no_nvidia_driver():
        return f"{codec} needs an NVIDIA GPU and its driver, and neither is seen here"
    if silicon in _NEEDS:
        return f"{codec} needs {_NEEDS[silicon]} ({error.strerror or error})"
    return None


def _no_nvidia_driver() -> bool:
    return sys.platform == "linux" and not _NVIDIA_DEVICE.exists()
