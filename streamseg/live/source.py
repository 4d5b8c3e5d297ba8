"""Live sources by what a user calls them: a camera, a stream, or a file played in real time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from streamseg.closing import ClosedAtExit
from streamseg.live.address import resolve
from streamseg.live.camera import Camera, State
from streamseg.live.options import CameraOptions
from streamseg.live.stamps import TIME_BASE, Stamps
from streamseg.run.camerastats import CameraStats, FrameCounts
from streamseg.video.file import FileSource
from streamseg.video.source import AnyPacket, Item, describe


class RealtimeFile(ClosedAtExit):
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
        self._file = FileSource(path, all_streams=False)
        self._duration = duration_seconds
        self._sleep = sleep
        first = self._file.first_frame
        self.info = describe(str(path), first, self._file.stream, time_base=TIME_BASE)
        self.leftover: list[AnyPacket] = []
        self._delivered = 0
        self.state: State = "live"
        """Always; see `Camera`."""

    def report(self) -> CameraStats:
        """What there is to say of it so far: nothing is lost of a file."""
        return CameraStats(counts=FrameCounts(received=self._delivered, delivered=self._delivered))

    @property
    def warnings(self) -> list[str]:
        """What of the file could not be read."""
        return self._file.warnings

    def __iter__(self) -> Iterator[Item]:
        stamps = Stamps()
        start: float | None = None
        for item in self._file:
            due = float((item.frame.pts or 0) * (item.frame.time_base or 0))
            start = due if start is None else start
            wait = due - start - stamps.running_seconds()
            if wait > 0:
                self._sleep(wait)
            if self._duration is not None and stamps.running_seconds() >= self._duration:
                return
            self._delivered += 1
            yield stamps.stamp(item.frame, time.perf_counter())

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_live(
    source: str,
    *,
    realtime: bool = False,
    duration_seconds: float | None = None,
    options: CameraOptions | None = None,
) -> Camera | RealtimeFile:
    """A live source, or with `realtime` a file that plays like one.

    Raises:
        UsageError, SourceError: as `Camera` and `RealtimeFile`.
    """
    if realtime:
        return RealtimeFile(Path(source), duration_seconds=duration_seconds)
    options = options or CameraOptions()
    return Camera(
        resolve(source, options),
        duration_seconds=duration_seconds,
        give_up_after_seconds=options.give_up_after_seconds,
    )
