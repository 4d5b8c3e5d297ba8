"""How a camera or a stream is opened and kept: the options that travel together."""

from __future__ import annotations

import re
from dataclasses import dataclass

from streamseg.errors import UsageError

_SIZE = re.compile(r"[1-9]\d*x[1-9]\d*")


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraOptions:
    """What is asked of a camera, and how long it is waited for."""

    size: str | None = None
    """Of its picture, ``1280x720``; None takes what it gives. Devices only, with the next two."""
    fps: float | None = None
    """Frames per second."""
    pixel_format: str | None = None
    """``mjpeg`` (what USB cameras need for more than 640x480), ``yuyv422``, ``nv12`` …"""
    timeout_seconds: float = 10.0
    """Silence after which a connection is given up."""
    give_up_after_seconds: float | None = None
    """Silence after which a camera is given up; None connects again for ever, 0 never does."""

    def __post_init__(self) -> None:
        if self.size is not None and not _SIZE.fullmatch(self.size):
            raise UsageError(f"--camera-size must be WIDTHxHEIGHT, got {self.size!r}")
        if self.fps is not None and not self.fps > 0:
            raise UsageError(f"--fps must be above 0, got {self.fps}")
        if not self.timeout_seconds > 0:
            raise UsageError(f"--timeout must be above 0 seconds, got {self.timeout_seconds}")
        if self.give_up_after_seconds is not None and not self.give_up_after_seconds >= 0:
            raise UsageError(
                f"--give-up-after must be 0 seconds or more, got {self.give_up_after_seconds}"
            )

    def as_device_options(self) -> dict[str, str]:
        """The options FFmpeg's camera inputs get."""
        options: dict[str, str] = {}
        if self.size is not None:
            options["video_size"] = self.size
        if self.fps is not None:
            options["framerate"] = f"{self.fps:g}"
        if self.pixel_format is not None:
            options["pixel_format"] = self.pixel_format
        return options
