"""A recording in files of a length, each complete in itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

from av.video.frame import VideoFrame

from streamseg.closing import AbortedIfFailed
from streamseg.errors import UsageError
from streamseg.video.output import OutputPath
from streamseg.video.source import AnyPacket, SourceInfo
from streamseg.video.writer import VideoWriter

Open = Callable[[OutputPath, SourceInfo], VideoWriter]
"""Makes the writer of one file."""


class RollingWriter(AbortedIfFailed):
    """Writes frames as a `VideoWriter` does, and begins another file when one is long enough.

    Files are named after the moment in which they begin, in UTC: ``door.mp4`` makes
    ``door-20261127T083000Z.mp4`` and so on. Each begins with a key frame, near 0.

    Args:
        open_writer: makes the writer of one file.
        output: whose folder, stem and suffix the files have.
        info: of the source.
        seconds: length of a file.

    Raises:
        UsageError, OutputError: the first file cannot be written.
    """

    def __init__(
        self, open_writer: Open, output: OutputPath, info: SourceInfo, *, seconds: float
    ) -> None:
        if output.is_pipe:
            raise UsageError("-: is one stream; --segment is for files")
        self._open, self._output, self._info, self._seconds = open_writer, output, info, seconds
        self._began: Fraction | None = None
        self._finished: list[VideoWriter] = []
        self._writer = open_writer(self._next_place(), info)

    def _next_place(self) -> OutputPath:
        """A file that is not there yet.

        Raises:
            OutputError: the folder takes no new file.
        """
        final, number = self._output.final, 1
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        place = final.with_name(f"{final.stem}-{stamp}{final.suffix}")
        while place.exists():
            number += 1
            place = final.with_name(f"{final.stem}-{stamp}-{number}{final.suffix}")
        return OutputPath.check(place, overwrite=False).recording()

    def write(self, frame: VideoFrame, packets: Iterable[AnyPacket] = ()) -> None:
        """See `VideoWriter.write`."""
        at = (frame.pts or 0) * (frame.time_base or Fraction(0))
        if self._began is None:
            self._began = at
        elif at - self._began >= self._seconds:
            self.finish()
            self._began = at
            info = replace(self._info, start=at, clock_is_arbitrary=True)
            self._writer = self._open(self._next_place(), info)
        self._writer.write(frame, packets)

    def finish(self, packets: Iterable[AnyPacket] = ()) -> None:
        """See `VideoWriter.finish`."""
        self._writer.finish(packets)
        self._finished.append(self._writer)

    def abort(self) -> None:
        """End the file that is open; all stay."""
        self._writer.abort()

    @property
    def warnings(self) -> list[str]:
        """Of all files, each said once."""
        return list(dict.fromkeys(said for w in self._finished for said in w.warnings))

    @property
    def notes(self) -> list[str]:
        """Of the first file, since all are alike; and which there are."""
        names = [writer.output.final.name for writer in self._finished]
        if not names:
            return []
        which = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        return [
            *self._finished[0].notes,
            f"{self._output.final}: recorded as {len(names)} files, {which}",
        ]
