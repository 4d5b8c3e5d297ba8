"""What a live source is called: camera numbers, devices and network addresses, found and opened."""

from __future__ import annotations

import glob
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer

from streamseg.errors import SourceError, UsageError

OPEN_TIMEOUT_SECONDS = 10.0
READ_TIMEOUT_SECONDS = 10.0

_NETWORK = re.compile(r"^(rtsps?|https?|tcp|udp|rtp|srt|rtmps?)://", re.IGNORECASE)
_SERVED_ONCE = re.compile(r"^(tcp|srt|https?)://", re.IGNORECASE)
_LOW_DELAY = {"fflags": "nobuffer", "analyzeduration": "1000000", "probesize": "1000000"}
"""A live stream is described by its first second; FFmpeg's default waits for five."""
_CAMERA_FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


@dataclass(frozen=True, slots=True)
class Address:
    """How to open a live source."""

    name: str
    """As the user wrote it."""
    url: str
    format: str | None
    """FFmpeg's input format; None lets it find out."""
    options: dict[str, str]
    is_camera: bool


def camera_format() -> str:
    """FFmpeg's camera input of this operating system."""
    return _CAMERA_FORMATS.get(sys.platform, "v4l2")


def find_cameras() -> list[str]:
    """Names of the cameras of this machine, as ``--source`` takes them; empty if none is seen."""
    names: list[str] = sorted(glob.glob("/dev/video*"))  # noqa: PTH207 - a device tree, not files
    enumerate_devices = getattr(av, "enumerate_input_devices", None)  # PyAV 18
    if names or enumerate_devices is None:
        return names
    try:
        devices = enumerate_devices(camera_format())
    except (av.error.FFmpegError, ValueError, NotImplementedError):
        return []  # this FFmpeg cannot list devices: nothing was found
    return [d.name for d in devices if "video" in d.media_types or not d.media_types]


def resolve(source: str) -> Address:
    """Turn ``0``, ``/dev/video0``, a device name or an address into what FFmpeg opens.

    Raises:
        UsageError: none of these.
    """
    if _NETWORK.match(source):
        options = dict(_LOW_DELAY)
        if source.lower().startswith("rtsp"):
            options["rtsp_transport"] = "tcp"  # UDP loses packets silently through firewalls
        return Address(source, source, None, options, is_camera=False)
    kind = camera_format()
    if source.isdigit():
        if kind == "v4l2":
            return Address(source, f"/dev/video{source}", kind, {}, is_camera=True)
        if kind == "avfoundation":
            options = {"framerate": "30", "pixel_format": "nv12"}
            return Address(source, f"{source}:none", kind, options, is_camera=True)
        cameras = find_cameras()
        if int(source) >= len(cameras):
            raise UsageError(f"camera {source}: not found; {_found(cameras)}")
        return Address(source, f"video={cameras[int(source)]}", kind, {}, is_camera=True)
    if source.startswith("/dev/"):
        return Address(source, source, "v4l2", {}, is_camera=True)
    if kind == "dshow" and source in find_cameras():
        return Address(source, f"video={source}", kind, {}, is_camera=True)
    if Path(source).is_file():
        raise UsageError(f"{source}: is a file; add --realtime to play it as a camera")
    raise UsageError(
        f"{source}: neither a camera nor an address; give a number, a device such as /dev/video0, "
        f"or rtsp://, http://, tcp://, udp://, srt://; {_found(find_cameras())}"
    )


def is_served_once(source: str) -> bool:
    """Whether the sender may be gone once its listener hangs up, as ``ffmpeg … ?listen=1`` is.

    These protocols make a sender wait while nobody reads.
    """
    return _SERVED_ONCE.match(source) is not None


def open_address(address: Address) -> InputContainer:
    """Open the device or stream.

    Raises:
        SourceError: not there, busy, not allowed, or no answer in time.
    """
    name = f"camera {address.name}" if address.is_camera else address.name
    try:
        return av.open(
            address.url,
            mode="r",
            format=address.format,
            options=address.options,
            timeout=(OPEN_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS),
            metadata_errors="replace",
        )
    except FileNotFoundError as error:
        raise SourceError(
            f"{name}: not found; {_found(find_cameras()) if address.is_camera else 'check it'}"
        ) from error
    except PermissionError as error:
        raise SourceError(
            f"{name}: may not be opened; on Linux add yourself to the group 'video', elsewhere "
            "allow the terminal to use the camera"
        ) from error
    except av.error.ExitError as error:
        raise SourceError(
            f"{name}: no answer within {OPEN_TIMEOUT_SECONDS:.0f} s; check the address, and that "
            "the sender is running"
        ) from error
    except (av.error.FFmpegError, OSError, ValueError) as error:
        detail = getattr(error, "strerror", None) or error
        if address.is_camera:
            hint = "another program may be using it" if "busy" in str(error).lower() else "check it"
            raise SourceError(
                f"{name}: cannot be opened ({detail}): {hint}; {_found(find_cameras())}"
            ) from error
        raise SourceError(
            f"{name}: cannot be reached ({detail}); check the address, and that the sender is "
            "running"
        ) from error


def _found(cameras: list[str]) -> str:
    return f"found: {', '.join(cameras)}" if cameras else "no camera was found on this machine"
