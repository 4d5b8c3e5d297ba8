"""Runs that go on where another one ended: what must be equal, and what is passed over.

An output is made of segments of ten seconds. Each begins with an encoder of its own, and what
remembers earlier frames (held labels, steady labels, the legend) forgets them there; so it does
not matter which run made a segment. A run that goes on decodes what is done, without looking at it:
that is exact for every kind of file, and takes a small part of the time that segmenting took.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from streamseg.drawing.composite import Compositor
from streamseg.errors import StoppedError, StreamsegError, UsageError
from streamseg.models.modelfile import find_model
from streamseg.runtime.cache.enginekey import file_sha256
from streamseg.video.journal import Journal, resume_folder
from streamseg.video.output import STDOUT, OutputPath
from streamseg.video.pictures import picture_files
from streamseg.video.source import Item, Source, SourceInfo
from streamseg.video.writer import VideoWriter

_SEGMENT_SECONDS = 10
_TELL_EVERY_SECONDS = 0.1


def check_resumable(src: str | Path, output: OutputPath | None, *, beside: bool) -> None:
    """Refuse what another run could not go on with.

    Args:
        src: of the run.
        output: of the run.
        beside: whether labels or measures are written too.

    Raises:
        UsageError: it could not.
    """
    if str(src) == STDOUT:
        raise UsageError("-: standard input cannot be read again; --resume is for files")
    if output is None or output.is_pipe:
        raise UsageError("--resume is for an OUT that is a file")
    if beside:
        raise UsageError(
            "--resume keeps the video alone; leave out --labels, --label-pngs, --measure and "
            "--when ('streamseg video IN --labels FILE.mkv' writes them without a drawing)"
        )


def open_journal(
    output: OutputPath,
    source: SourceInfo,
    *,
    src: str | Path,
    model: str | Path,
    engine: Sequence[str],
    asked: Mapping[str, object],
) -> Journal:
    """The journal of an output, with segments of ten seconds.

    Args:
        output: where it goes.
        source: what the source says of itself.
        src: the video; it is known by size and time of change.
        model: name or file; it is known by its bytes.
        engine: what runs it, in words.
        asked: what else decides the pictures; a dataclass or plain values each.

    Raises:
        UsageError, OutputError: as `Journal`.
    """
    facts: dict[str, object] = {
        "source": _identity(src),
        "model": file_sha256(find_model(model)),
        "engine": list(engine),
        "kind of file": output.muxer,
    }
    for name, value in asked.items():
        facts[name] = asdict(value) if is_dataclass(value) else value  # type: ignore[arg-type]
    frames = max(1, round(_SEGMENT_SECONDS * source.rate))
    return Journal(resume_folder(output.final), facts, segment_frames=frames)


@contextmanager
def kept_for_later(journal: Journal | None) -> Iterator[None]:
    """Have an error, or a second interrupt, say what is kept."""
    try:
        yield
    except KeyboardInterrupt:
        if journal is not None:
            raise KeyboardInterrupt(kept(journal)) from None
        raise
    except StreamsegError as error:
        if journal is not None and journal.frames:
            error.args = (f"{error}; {kept(journal)}", *error.args[1:])
        raise


def kept(journal: Journal) -> str:
    """What is kept, in words."""
    if not journal.frames:
        return f"nothing is kept: the first {journal.segment_frames} frames were not complete"
    return f"{journal.folder} keeps {journal.frames} frames, and the same command goes on"


def leftover(final: Path) -> list[str]:
    """What a run that does not go on says of an earlier one's folder."""
    folder = resume_folder(final)
    if not folder.is_dir():
        return []
    return [f"{folder} is of an earlier run, which --resume would go on with; it is left as it is"]


def _identity(src: str | Path) -> list[Any]:
    files = picture_files(src) or [Path(src)]
    known: list[Any] = []
    for file in files:
        try:
            state = file.stat()
        except OSError:  # an address
            known.append(str(src))
        else:
            known.append([file.name, state.st_size, state.st_mtime_ns])
    return known


def items_behind(
    source: Source,
    journal: Journal,
    writer: VideoWriter,
    compositor: Compositor,
    *,
    stopped: Callable[[], bool],
    tell: Callable[[int], None],
) -> Iterator[Item]:
    """Pass over what the journal has, then give the items behind it.

    Args:
        source: opened, and not iterated yet.
        journal: of the output.
        writer: gets what the journal has.
        compositor: has time pass.
        stopped: asked meanwhile; True ends it.
        tell: called some ten times a second with the number of frames passed over.

    Raises:
        StoppedError: `stopped` said so.
        OutputError: as the writer raises.
    """
    items, told = iter(source), time.perf_counter()
    done = journal.frames
    for number in range(done):
        item = next(items, None)
        if item is None:
            return iter(())
        compositor.pass_over(item.frame)
        writer.pass_over(item.frame, item.packets)
        if time.perf_counter() - told > _TELL_EVERY_SECONDS:
            told = time.perf_counter()
            tell(number + 1)
            if stopped():
                raise StoppedError(f"{source.info.name}: stopped")
    return _marked(items, done, journal.segment_frames)


def _marked(items: Iterator[Item], first: int, length: int) -> Iterator[Item]:
    for number, item in enumerate(items, first):
        item.anew = number % length == 0
        yield item
