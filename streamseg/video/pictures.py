"""Pictures as a video: a folder, a pattern such as ``shots/*.png``, or numbers as ``%04d.jpg``."""

from __future__ import annotations

import glob
import re
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame

from streamseg.closing import ClosedAtExit
from streamseg.errors import SourceError, UsageError
from streamseg.video.fitting import Fitter
from streamseg.video.opening import is_pattern
from streamseg.video.orientation import display_matrix
from streamseg.video.source import AnyPacket, Item, SourceInfo

SUFFIXES = (
    ".png",
    ".jpg",
    ".jpeg",
    ".webp",
    ".bmp",
    ".tif",
    ".tiff",
    ".jp2",
    ".exr",
    ".dpx",
    ".ppm",
)
_USUAL_RATE = Fraction(25)
_NUMBER = re.compile(r"%(0\d+)?d|%(\d+)d")
_MOST_NAMED = 3


def picture_files(src: str | Path) -> list[Path] | None:
    """The pictures that a name stands for, in order; None if it stands for no pictures.

    Numbers within names count as numbers: ``9.png`` comes before ``10.png``.

    Raises:
        UsageError: a folder or a pattern without pictures.
    """
    path = Path(src)
    try:
        if path.is_dir():
            return _checked(f"{src}: is a folder", path.iterdir())
        if path.exists():
            return None
    except OSError:
        return None
    if not is_pattern(str(src)):
        return None
    if number := _NUMBER.search(path.name):
        before, after = path.name[: number.start()], path.name[number.end() :]
        name = re.compile(f"{re.escape(before)}\\d+{re.escape(after)}")
        folder = path.parent if path.parent.is_dir() else Path()
        found = [p for p in folder.iterdir() if name.fullmatch(p.name)]
    else:
        found = [Path(name) for name in glob.glob(str(src), recursive=True)]  # noqa: PTH207 (absolute)
    return _checked(f"{src}: no such file, and as a pattern", found)


def _checked(what: str, files: Iterator[Path] | Sequence[Path]) -> list[Path]:
    pictures = [p for p in files if p.suffix.lower() in SUFFIXES and p.name[0] != "."]
    if not pictures:
        raise UsageError(
            f"{what} without pictures ({' '.join(SUFFIXES)}); give a video file, or several with "
            "--out-dir"
        )
    return sorted(pictures, key=_by_number)


def _by_number(path: Path) -> list[tuple[int, str]]:
    parts = re.split(r"(\d+)", str(path))
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts]


class PictureSource(ClosedAtExit):
    """Pictures, one after the other at a constant rate; see `streamseg.video.source.Source`.

    Pictures that cannot be read leave their time empty and are told in `warnings`; those of another
    size than the first are fitted into it.

    Args:
        name: as a user wrote it, for messages.
        files: in order.
        fps: a second; None takes 25.
        threads: that decode at the same time.

    Raises:
        SourceError: not one can be read.
    """

    def __init__(
        self, name: str, files: Sequence[Path], *, fps: Fraction | None = None, threads: int = 1
    ) -> None:
        self._name, self._files = name, files
        self._rate = fps or _USUAL_RATE
        self._threads = max(1, threads)
        self._pool = ThreadPoolExecutor(self._threads, "streamseg-pictures")
        self._unread: list[str] = []
        self.leftover: list[AnyPacket] = []
        self.warnings: list[str] = []
        self._items = self._read()
        self._first = next(self._items, None)
        if self._first is None:
            self.close()
            raise SourceError(f"{name}: not one of {len(files)} pictures can be read")
        self.info = self._described(self._first.frame)

    def _described(self, frame: VideoFrame) -> SourceInfo:
        return SourceInfo(
            name=self._name,
            width=frame.width,
            height=frame.height,
            pixel_format=frame.format.name,
            rate=self._rate,
            time_base=1 / self._rate,
            sample_aspect_ratio=Fraction(1),
            frames_from_header=len(self._files),
            display_matrix=display_matrix(frame),
            color_range=int(frame.color_range),
            colorspace=int(frame.colorspace),
            color_primaries=int(frame.color_primaries),
            color_trc=int(frame.color_trc),
        )

    def __iter__(self) -> Iterator[Item]:
        """Every picture that can be read; after the last, `warnings` are set."""
        assert self._first is not None, "a source is iterated once"
        first, self._first = self._first, None
        yield first
        yield from self._items

    def _read(self) -> Iterator[Item]:
        fitter: Fitter | None = None
        square, count = Fraction(1), 0
        for number, frame in enumerate(self._decoded()):
            if frame is None:
                continue
            frame.pts, frame.time_base, frame.duration = number, 1 / self._rate, 1
            fitter = fitter or Fitter(frame, square)
            yield Item(count, fitter.fitted(frame, square))
            count += 1
        if fitter is not None:
            self.warnings += [f"{self._name}: {said}" for said in fitter.warnings]
        if self._unread:
            named = ", ".join(self._unread[:_MOST_NAMED])
            more = " …" if len(self._unread) > _MOST_NAMED else ""
            self.warnings.append(
                f"{self._name}: {len(self._unread)} of {len(self._files)} pictures cannot be read, "
                f"and their time is left empty: {named}{more}"
            )

    def _decoded(self) -> Iterator[VideoFrame | None]:
        """In order, some ahead of time."""
        waiting: deque[Future[VideoFrame | None]] = deque()
        for path in self._files:
            waiting.append(self._pool.submit(self._decode, path))
            if len(waiting) > self._threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _decode(self, path: Path) -> VideoFrame | None:
        try:
            with av.open(f"file:{path}") as container:
                return next(container.decode(video=0))
        except (av.error.FFmpegError, OSError, StopIteration, IndexError, ValueError):
            self._unread.append(path.name)
            return None

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=True, cancel_futures=True)
