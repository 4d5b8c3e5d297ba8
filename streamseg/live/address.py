"""What a live source is called: cameras, devices, pipes and network addresses."""

from __future__ import annotations

import glob
import os
import re
import stat
import sys
from dataclasses import dataclass, field
from pathlib import Path

import av

from streamseg.errors import UsageError
from streamseg.live.options import CameraOptions
from streamseg.live.secrets import redacted

_NETWORK = re.compile(r"^(rtsps?|https?|tcp|tls|udp|rtp|srt|rtmp[a-z]*)://", re.IGNORECASE)
_SERVED_ONCE = re.compile(r"^(tcp|srt|https?)://", re.IGNORECASE)
_LISTENING = re.compile(r"[?&]listen(=1)?(?=&|$)")
_ENVIRONMENT = "env:"
_PIPE = "-"
_DESCRIBED_SOON = {"analyzeduration": "1000000", "probesize": "1000000", "fpsprobesize": "0"}
"""A live stream is described by its first second, FFmpeg's default waits for five; and it need not
be watched for twenty frames to estimate a rate, which takes a slow camera minutes."""
_UDP = {"overrun_nonfatal": "1", "fifo_size": "100000", "buffer_size": str(4 << 20)}
"""A socket's buffer that ran over costs frames, not the stream."""
_CAMERA_FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


@dataclass(frozen=True, slots=True)
class Address:
    """How to open a live source."""

    name: str
    """As the user wrote it, without secrets."""
    url: str = field(repr=False)
    format: str | None = None
    """FFmpeg's input format; None lets it find out."""
    options: dict[str, str] = field(default_factory=dict)
    is_camera: bool = False
    comes_back: bool = True
    """Whether it makes sense to open it again when it has ended."""
    timeout_seconds: float = 10.0
    """Silence after which a connection is given up."""

    @property
    def waits_for_sender(self) -> bool:
        """Whether a sender connects to us."""
        return self.options.get("listen") == "1" or _LISTENING.search(self.url) is not None


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


def from_environment(source: str) -> str:
    """What ``env:NAME`` stands for; anything else is itself.

    Raises:
        UsageError: there is no such variable.
    """
    if not source.startswith(_ENVIRONMENT):
        return source
    variable = source.removeprefix(_ENVIRONMENT)
    value = os.environ.get(variable, "")
    if not value:
        raise UsageError(f"{source}: no environment variable {variable} holds an address; set it")
    return value


def resolve(source: str, options: CameraOptions | None = None) -> Address:
    """Turn ``0``, ``/dev/video0``, a device name, an address, ``-`` … into what FFmpeg opens.

    Raises:
        UsageError: none of these.
    """
    options = options or CameraOptions()
    source = from_environment(source)
    timeout = options.timeout_seconds
    if _NETWORK.match(source):
        return _network(source, timeout)
    if source == _PIPE:
        return Address("standard input", "pipe:0", None, dict(_DESCRIBED_SOON), comes_back=False)
    path = Path(source)
    if path.suffix.lower() == ".sdp" and path.is_file():
        allowed = {"protocol_whitelist": "file,udp,rtp,crypto,data", **_DESCRIBED_SOON}
        return Address(source, f"file:{source}", "sdp", allowed, timeout_seconds=timeout)
    if _is_fifo(path):
        return Address(
            source, f"file:{source}", None, dict(_DESCRIBED_SOON), timeout_seconds=timeout
        )
    return _camera(source, options)


def _network(source: str, timeout_seconds: float) -> Address:
    options = dict(_DESCRIBED_SOON)
    scheme = source.partition(":")[0].lower()
    silence = str(round(timeout_seconds * 1e6))
    url = source
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = "tcp"  # UDP loses packets silently through firewalls
        options["timeout"] = silence
    elif scheme == "udp":
        options |= {**_UDP, "timeout": silence}
    elif scheme.startswith("rtmp") and _LISTENING.search(source):
        # FFmpeg would take it for a part of the stream's name.
        url, options["listen"] = _LISTENING.sub("", source), "1"
    elif not _LISTENING.search(source):
        options["rw_timeout"] = silence
    if ".m3u8" in source.lower():
        options["live_start_index"] = "-1"  # FFmpeg would begin three segments back
    return Address(redacted(source), url, None, options, timeout_seconds=timeout_seconds)


def _camera(source: str, options: CameraOptions) -> Address:
    kind, asked = camera_format(), options.as_device_options()

    def device(url: str, kind: str = kind) -> Address:
        return Address(
            source, url, kind, asked, is_camera=True, timeout_seconds=options.timeout_seconds
        )

    if source.isdigit():
        if kind == "v4l2":
            return device(f"/dev/video{source}")
        if kind == "avfoundation":
            asked = {"framerate": "30", "pixel_format": "nv12", **asked}
            return device(f"{source}:none")
        cameras = find_cameras()
        if int(source) >= len(cameras):
            raise UsageError(f"camera {source}: not found; {found(cameras)}")
        return device(f"video={cameras[int(source)]}")
    if source.startswith("/dev/"):
        return device(source, "v4l2")
    if kind == "dshow" and source in find_cameras():
        return device(f"video={source}")
    if Path(source).is_file():
        raise UsageError(f"{source}: is a file; add --realtime to play it as a camera")
    raise UsageError(
        f"{redacted(source)}: neither a camera nor an address; give a number, a device such as "
        f"/dev/video0, rtsp://, rtmp://, http://, tcp://, udp://, an .sdp file, a named pipe, or - "
        f"for standard input; {found(find_cameras())}"
    )


def _is_fifo(path: Path) -> bool:
    try:
        return stat.S_ISFIFO(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def is_served_once(source: str) -> bool:
    """Whether the sender may be gone once its listener hangs up, as ``ffmpeg … ?listen=1`` is.

    These make a sender wait while nobody reads, or cannot be opened twice.
    """
    source = from_environment(source)
    return (
        _SERVED_ONCE.match(source) is not None
        or source == _PIPE
        or _is_fifo(Path(source))
        or _LISTENING.search(source) is not None
    )


def found(cameras: list[str]) -> str:
    """What to say of the cameras of this machine."""
    return f"found: {', '.join(cameras)}" if cameras else "no camera was found on this machine"
