"""A part of a video: from one time to another, every so many frames, at most so many."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import chain
from pathlib import Path

from streamseg.closing import ClosedAtExit
from streamseg.errors import SourceError, UsageError
from streamseg.video.file import FileSource
from streamseg.video.interlace import Deinterlaced
from streamseg.video.opening import InputOptions
from streamseg.video.pictures import PictureSource, picture_files
from streamseg.video.source import AnyPacket, Item, Source, SourceInfo, interruptible

_HALF_A_MILLISECOND = Fraction(1, 2000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which frames of a video are read.

    Raises:
        UsageError: times or numbers that leave no frame.
    """

    start_seconds: float = 0.0
    """Since the video's beginning."""
    end_seconds: float | None = None
    """Frames shown from here on are not read; None goes on to the end."""
    stride: int = 1
    """Every so many-th frame; times stay as they are."""
    max_frames: int | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.start_seconds) and self.start_seconds >= 0):
            raise UsageError(f"--start must be 0 s or later, got {self.start_seconds}")
        if self.end_seconds is not None and not self.end_seconds > self.start_seconds:
            raise UsageError(
                f"--end ({self.end_seconds} s) must lie behind --start ({self.start_seconds} s)"
            )
        for name, value in (("--stride", self.stride), ("--max-frames", self.max_frames)):
            if value is not None and value < 1:
                raise UsageError(f"{name} must be 1 or more, got {value}")

    def __bool__(self) -> bool:
        return self != Part()

    def __str__(self) -> str:
        end = "the end" if self.end_seconds is None else f"{self.end_seconds:g} s"
        return f"{self.start_seconds:g} s and {end}"


class PartOf(ClosedAtExit):
    """A part of a video file; see `streamseg.video.source.Source`.

    Sound and the other streams come along from the part's first frame to its end; outputs begin
    near 0. `Item.index` counts the part's frames.

    Args:
        video: opened, with `Part.start_seconds` to skip to; closing it is this source's.
        part: which frames.

    Raises:
        SourceError: it has no frame there.
    """

    def __init__(self, video: Source, part: Part) -> None:
        self._video, self._part = video, part
        self._start = video.info.first_shown + _exact(part.start_seconds)
        self._end: Fraction | None = None
        if part.end_seconds is not None:
            self._end = video.info.first_shown + _exact(part.end_seconds)
        self._complete = False
        self._waiting: list[AnyPacket] = []
        self.warnings: list[str] = []
        self._frames = iter(video)
        self._inside = self._between()
        interruptible(self._read_first)
        if self._first is None:
            self.close()
            raise SourceError(
                f"{video.info.name}: has no frame between {part}; nothing was written"
            )
        self._start = _shown(self._first)
        self.info = self._described(video.info)

    def _read_first(self) -> None:
        self._first = next(self._inside, None)

    def _described(self, info: SourceInfo) -> SourceInfo:
        part, tracks = self._part, info.tracks
        expected = None
        if info.frames_expected is not None:
            length = float(info.frames_expected / info.rate)
            end = min(length, part.end_seconds or length)
            expected = max(0, round((end - part.start_seconds) * info.rate / part.stride))
            expected = min(expected, part.max_frames or expected)
        if tracks is not None:
            tracks = replace(
                tracks, chapters=[c for c in tracks.chapters if self._overlaps(c["start"], c)]
            )
        moved = part.start_seconds > 0
        return replace(
            info,
            rate=info.rate / part.stride,
            frames_from_header=expected,
            duration_seconds_from_header=None,
            start=self._start if moved else info.start,
            clock_is_arbitrary=moved or info.clock_is_arbitrary,
            tracks=tracks,
        )

    def _overlaps(self, start: int, chapter: object) -> bool:
        base = Fraction(chapter["time_base"] or 0)  # type: ignore[index]
        ends = chapter["end"] * base  # type: ignore[index]
        return ends > self._start and (self._end is None or start * base < self._end)

    @property
    def leftover(self) -> list[AnyPacket]:
        """Packets of other streams behind the last frame, as far as they belong to the part."""
        rest = self._video.leftover if self._complete else []
        return self._within([*self._waiting, *rest])

    def __iter__(self) -> Iterator[Item]:
        part, kept = self._part, 0
        assert self._first is not None, "a source is iterated once"
        first, self._first = self._first, None
        for number, item in enumerate(chain([first], self._inside)):
            self._waiting += item.packets
            if number % part.stride:
                continue
            item.packets, self._waiting = self._within(self._waiting), []
            item.index, kept = kept, kept + 1
            yield item
            if kept == part.max_frames:
                break
        else:
            self._complete = self._end is None
        self._stop_reading()
        if self._complete:
            self.warnings += self._video.warnings

    def _between(self) -> Iterator[Item]:
        for item in self._frames:
            if self._end is not None and _shown(item) >= self._end:
                return
            if _shown(item) >= self._start:
                yield item
            else:
                self._waiting += item.packets

    def _stop_reading(self) -> None:
        with contextlib.suppress(ValueError):  # another thread is inside: the file sees to that
            if isinstance(self._frames, Generator):
                self._frames.close()

    def _within(self, packets: Sequence[AnyPacket]) -> list[AnyPacket]:
        return [packet for packet in packets if self._is_within(packet)]

    def _is_within(self, packet: AnyPacket) -> bool:
        time = packet.dts if packet.pts is None else packet.pts
        if time is None or packet.time_base is None:
            return True
        at = time * packet.time_base
        return at >= self._start and (self._end is None or at < self._end)

    def close(self) -> None:
        """Close the file."""
        self._stop_reading()
        self._video.close()


def _shown(item: Item) -> Fraction:
    return (item.frame.pts or 0) * (item.frame.time_base or Fraction(0))


def _exact(seconds: float) -> Fraction:
    """As a user wrote it, less half a millisecond: some files round their times to those."""
    return Fraction(str(seconds)) - _HALF_A_MILLISECOND if seconds else Fraction(0)


def open_part(
    path: str | Path,
    part: Part | None,
    *,
    threads: int = 0,
    all_streams: bool = True,
    options: InputOptions | None = None,
) -> Source:
    """A video file, or pictures that make one, or a part of it; see `FileSource`.

    Raises:
        UsageError: no such file or pictures, or a rate for what has its own.
        SourceError: not one frame can be read.
    """
    part, options = part or Part(), options or InputOptions()
    video: Source
    if (files := picture_files(path)) is not None:
        video = PictureSource(str(path), files, fps=options.fps, threads=threads or 1)
    elif options.fps is not None:
        raise UsageError(f"{path}: has a rate of its own; --fps is for pictures")
    else:
        video = FileSource(
            path,
            threads=threads,
            all_streams=all_streams,
            skip_seconds=part.start_seconds,
            options=options,
        )
        if options.deinterlace:
            video = Deinterlaced(video)
    return PartOf(video, part) if part else video
