"""Several files through one opened segmenter: each fails by itself, all are in the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

from streamseg.cli.interrupts import INTERRUPTED
from streamseg.cli.output import print_text, say, write_json
from streamseg.errors import OutputError, StreamsegError, UsageError
from streamseg.video.formats import SUFFIXES

if TYPE_CHECKING:
    from streamseg.cli.bars import RunBar
    from streamseg.run.stats import Stats
    from streamseg.segmenter import Segmenter


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one file."""

    source: str
    output: Path
    stats: Stats | None = None
    """None if it failed, or was not begun."""
    error: str | None = None
    """Why it failed; None if it did not, or was not begun."""
    before: bool = False
    """An earlier run had finished it."""

    @property
    def state(self) -> str:
        """In a word: done, done before, stopped, failed or not begun."""
        if self.before:
            return "done before"
        if self.stats is None:
            return "failed" if self.error else "not begun"
        return "stopped" if self.stats.interrupted else "done"

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        values = {} if self.stats is None else self.stats.as_dict()
        plain = {"source": self.source, "output": str(self.output)} if self.stats is None else {}
        return {"state": self.state, "error": self.error, **plain, **values}


def outputs_in(folder: Path, sources: Sequence[str], name: Callable[[Path], str]) -> list[Path]:
    """Where each source's result goes; the folder is made if it is not there.

    Raises:
        UsageError: two sources would be written to one file.
        OutputError: the folder cannot be made.
    """
    places = [folder / name(Path(source)) for source in sources]
    seen: dict[str, str] = {}
    for source, place in zip(sources, places, strict=True):
        # Also where a file system takes a.MP4 and A.mp4 for one file.
        before = seen.setdefault(place.name.casefold(), source)
        if before != source or sources.count(source) > 1:
            raise UsageError(
                f"{before} and {source} would both become {place}; rename one, or use two folders"
            )
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError(f"{folder}: is a file; give --out-dir a folder") from error
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made ({error.strerror})") from error
    return places


def video_name(source: Path) -> str:
    """The source's own name, as MP4 where its kind of file cannot be written."""
    return source.name if source.suffix.lower() in SUFFIXES else f"{source.stem}.mp4"


def segment_all(
    segmenter: Segmenter,
    sources: Sequence[str],
    folder: Path,
    options: dict[str, Any],
    bar: RunBar,
) -> list[Result]:
    """Segment each source into a folder; Ctrl-C ends the one under way and begins no other.

    With `resume` among the options, outputs that are there were finished by an earlier run.

    Raises:
        UsageError, OutputError: as `outputs_in`; nothing was begun.
    """
    results: list[Result] = []
    places = outputs_in(folder, sources, video_name)
    for number, (source, place) in enumerate(zip(sources, places, strict=True), 1):
        if options.get("resume") and not options.get("overwrite") and place.exists():
            results.append(Result(source, place, before=True))
            continue
        bar.begin(f"{number}/{len(sources)} {Path(source).name}")
        try:
            stats = segmenter.video(source, place, on_progress=bar, **options)
        except StreamsegError as error:
            bar.notice(f"error: {error}")
            results.append(Result(source, place, error=str(error)))
            continue
        except KeyboardInterrupt:
            break
        results.append(Result(source, place, stats))
        for note in stats.notes:
            bar.notice(f"note: {source}: {note}")
        for warning in stats.warnings:
            bar.notice(f"warning: {source}: {warning}")
        if stats.interrupted:
            break
    left = list(zip(sources, places, strict=True))[len(results) :]
    return results + [Result(source, place) for source, place in left]


def report_all(results: Sequence[Result], json_target: str | None, *, quiet: bool) -> int:
    """Show a table and write JSON of all files.

    Returns:
        The exit code: 0, 1 if one failed, 130 if it was stopped.
    """
    failed = [result for result in results if result.state == "failed"]
    if json_target is not None:
        files = [result.as_dict() for result in results]
        write_json({"files": files, "failed": len(failed)}, json_target)
    if not quiet and json_target != "-":
        print_table(results)
    if any(result.state in ("stopped", "not begun") for result in results):
        say(f"stopped: {sum(r.state.startswith('done') for r in results)} files are done")
        return INTERRUPTED
    return 1 if failed else 0


def table_rows(results: Sequence[Result]) -> list[tuple[str, str, str, str, str, str]]:
    """File, state, frames, fps, seconds, and output or reason, as text."""
    rows = []
    for result in results:
        stats = result.stats
        rows.append(
            (
                result.source,
                result.state,
                "-" if stats is None else str(stats.frames),
                "-" if stats is None else f"{stats.fps:.1f}",
                "-" if stats is None else f"{stats.wall_seconds:.1f}",
                result.error or str(result.output),
            )
        )
    return rows


def print_table(results: Sequence[Result]) -> None:
    """A row a file on standard output; aligned plain lines where it is no terminal."""
    console = Console()
    heads = ("file", "state", "frames", "fps", "seconds", "output")
    if not console.is_terminal:
        lines = [
            f"{file}: {state}, {frames} frames, {fps} fps, {seconds} s: {rest}"
            for file, state, frames, fps, seconds, rest in table_rows(results)
        ]
        print_text("\n".join(lines) + "\n")
        return
    table = Table(box=None, padding=(0, 2, 0, 0))
    for index, head in enumerate(heads):
        table.add_column(head, justify="right" if index in (2, 3, 4) else "left")
    for row in table_rows(results):
        table.add_row(*row, style="" if row[1].startswith("done") else "bold yellow")
    console.print(table, markup=False)
