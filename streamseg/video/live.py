"""Frames as they happen: a camera, a network stream, or a file played in real time.

Frames get wall-clock timestamps (their arrival, from 0 at the first), so that a recording plays as
fast as life went, whatever the device claims its rate to be. Dropping frames is the pipeline's
business: this source hands over every frame it receives.
"""

from __future__ import annotations

import glob
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from streamseg.errors import SourceError, UsageError
from streamseg.video.file import FileSource, pick_video
from streamseg.video.source import AnyPacket, Item, Source, describe

TIME_BASE = Fraction(1, 90_000)
"""Of the timestamps given here: fine enough for any camera, and MPEG's own."""
OPEN_TIMEOUT_SECONDS = 10.0
READ_TIMEOUT_SECONDS = 10.0

_NETWORK = re.compile(r"^(rtsps?|https?|tcp|udp|rtp|srt|rtmps?)://", re.IGNORECASE)
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
    if Path(source).exists():
        raise UsageError(f"{source}: is a file; add --realtime to play it as a camera")
    raise UsageError(
        f"{source}: neither a camera nor an address; give a number, a device such as /dev/video0, "
        f"or rtsp://, http://, tcp://, udp://, srt://; {_found(find_cameras())}"
    )


class LiveSource:
    """A camera or a network stream; see `streamseg.video.source.Source`.

    The end of a network stream, or ten seconds without a frame, ends the iteration with a warning.

    Args:
        source: see `resolve`.
        duration_seconds: end after this long; None goes on for ever.

    Raises:
        UsageError: `source` names nothing.
        SourceError: no such camera, it is busy, the address cannot be reached or sends no video.
    """

    def __init__(self, source: str, *, duration_seconds: float | None = None) -> None:
        self.address = resolve(source)
        self.leftover: list[AnyPacket] = []
        self.warnings: list[str] = []
        self._duration = duration_seconds
        self._reading = threading.Lock()
        interruptible(self._start)

    def _start(self) -> None:
        source = self.address.name
        self._container = _open(self.address)
        try:
            self._video = pick_video(source, self._container)
            # Frame threads would hold back a frame per thread.
            self._video.thread_type = "SLICE"
            self._frames = self._decode()
            first = next(self._frames, None)
            if first is None:
                raise SourceError(f"{source}: {self._why_ended()} before the first frame")
            self._first: VideoFrame | None = first
            self.info = describe(source, first, self._video, time_base=TIME_BASE)
        except BaseException:
            self._container.close()
            raise

    def __iter__(self) -> Iterator[Item]:
        with self._reading:
            assert self._first is not None, "a source is iterated once"
            first, self._first = self._first, None
            clock = ArrivalClock()
            yield clock.stamp(first)
            for frame in self._frames:
                item = clock.stamp(frame)
                if self._duration is not None and clock.seconds >= self._duration:
                    return
                yield item
            self.warnings.append(f"{self.info.name}: {self._why_ended()}; the recording is kept")

    def _decode(self) -> Iterator[VideoFrame]:
        self._trouble: Exception | None = None
        try:
            for packet in self._container.demux(self._video):
                try:
                    yield from self._video.decode(packet)
                except av.error.InvalidDataError:
                    continue  # joined in the middle, or a packet lost: the next key frame mends it
        except (av.error.FFmpegError, OSError) as error:
            self._trouble = error

    def _why_ended(self) -> str:
        if isinstance(self._trouble, av.error.ExitError):
            return f"no frame arrived for {READ_TIMEOUT_SECONDS:.0f} s"
        if self._trouble is not None:
            return f"the stream broke off ({getattr(self._trouble, 'strerror', self._trouble)})"
        return "the stream ended"

    def close(self) -> None:
        """Close the device, unless a thread still waits inside it (it ends with the process)."""
        if self._reading.acquire(timeout=0.5):
            try:
                self._container.close()
            finally:
                self._reading.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def interruptible(work: Callable[[], None]) -> None:
    """Do `work` in a thread: Ctrl-C must not wait for a sender that stays silent."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # raised below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="streamseg-open", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    if errors:
        raise errors[0]


class RealtimeFile:
    """A video file as if it were a camera: each frame comes when its time has come.

    Args:
        path: the file.
        duration_seconds: end after this long; None plays to the end.
        sleep: waits that many seconds; tests pass their own.

    Raises:
        UsageError, SourceError: as `FileSource`.
    """

    def __init__(
        self,
        path: Path,
        *,
        duration_seconds: float | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._file = FileSource(path, copy_audio=False)
        self._duration = duration_seconds
        self._sleep = sleep
        first = self._file.first_frame
        self.info = describe(str(path), first, self._file.stream, time_base=TIME_BASE)
        self.leftover: list[AnyPacket] = []

    @property
    def warnings(self) -> list[str]:
        """What of the file could not be read."""
        return self._file.warnings

    def __iter__(self) -> Iterator[Item]:
        clock = ArrivalClock()
        start: float | None = None
        for item in self._file:
            due = float((item.frame.pts or 0) * (item.frame.time_base or 0))
            start = due if start is None else start
            wait = due - start - clock.now()
            if wait > 0:
                self._sleep(wait)
            if self._duration is not None and clock.now() >= self._duration:
                return
            yield clock.stamp(item.frame)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class ArrivalClock:
    """Gives frames their arrival as timestamp, rising, from 0 at the first."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._last_pts = -1
        self._count = 0
        self.seconds = 0.0
        """Arrival of the latest frame."""

    def now(self) -> float:
        """Seconds since the clock was made."""
        return time.perf_counter() - self._start

    def stamp(self, frame: VideoFrame) -> Item:
        """An item whose frame carries its arrival."""
        captured = time.perf_counter()
        if self._count == 0:
            self._start = captured
        self.seconds = captured - self._start
        pts = max(self._last_pts + 1, round(self.seconds / TIME_BASE))
        frame.pts, frame.time_base = pts, TIME_BASE
        self._last_pts = pts
        self._count += 1
        return Item(self._count - 1, frame, captured=captured)


def open_live(
    source: str, *, realtime: bool = False, duration_seconds: float | None = None
) -> Source:
    """A live source, or with `realtime` a file that plays like one.

    Raises:
        UsageError, SourceError: as the two classes.
    """
    if realtime:
        return RealtimeFile(Path(source), duration_seconds=duration_seconds)
    return LiveSource(source, duration_seconds=duration_seconds)


def _open(address: Address) -> InputContainer:
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
