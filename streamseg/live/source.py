"""Frames as they happen: a camera, a network stream, or a file played in real time.

Frames get wall-clock timestamps (their arrival, from 0 at the first), so that a recording plays as
fast as life went, whatever the device claims its rate to be. Dropping frames is the pipeline's
business: this source hands over every frame it receives.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame

from streamseg.closing import ClosedAtExit
from streamseg.errors import SourceError
from streamseg.live import address
from streamseg.live.address import open_address, resolve
from streamseg.video.file import FileSource
from streamseg.video.source import (
    AnyPacket,
    ContainerReader,
    Item,
    Source,
    describe,
    interruptible,
)
from streamseg.video.tracks import pick_video

TIME_BASE = Fraction(1, 90_000)
"""Of the timestamps given here: fine enough for any camera, and MPEG's own."""


class LiveSource(ContainerReader):
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
        super().__init__()
        interruptible(self._start)

    def _start(self) -> None:
        source = self.address.name
        self._container = open_address(self.address)
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
            return f"no frame arrived for {address.READ_TIMEOUT_SECONDS:.0f} s"
        if self._trouble is not None:
            return f"the stream broke off ({getattr(self._trouble, 'strerror', self._trouble)})"
        return "the stream ended"


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


_LEAST_STEP = round(Fraction(1, 1000) / TIME_BASE)
"""A millisecond: Matroska counts no finer, and frames of a burst would get the same time there."""


class ArrivalClock:
    """Gives frames their arrival as timestamp, from 0, a millisecond apart at least."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._last_pts = -_LEAST_STEP
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
        pts = max(self._last_pts + _LEAST_STEP, round(self.seconds / TIME_BASE))
        frame.pts, frame.time_base = pts, TIME_BASE
        frame.duration = 0  # was in the source's own unit; until the next one comes, nobody knows
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
