"""Shows a run: a progress bar or plain lines while it goes on, a table and JSON at its end.

Everything for people goes to standard error while it runs and to standard output at the end;
JSON goes where it is asked for. Knows nothing about how the numbers come about.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, TextColumn
from rich.table import Table

from streamseg.errors import OutputError, UsageError
from streamseg.run.stats import Stats

if TYPE_CHECKING:
    from streamseg.run.job import RunProgress

_PLAIN_LINE_EVERY_SECONDS = 10.0


class ProgressView:
    """A live line: a bar on a terminal, a plain line every ten seconds elsewhere.

    Args:
        live: show latency and dropped frames (a camera) instead of a share and the time left.
        quiet: show nothing.
    """

    def __init__(self, *, live: bool = False, quiet: bool = False) -> None:
        self.live = live
        self.quiet = quiet
        self._console = Console(stderr=True)
        self._last_line = time.monotonic()
        columns: list[ProgressColumn] = [TextColumn("{task.fields[text]}")]
        if not live:
            columns.insert(0, BarColumn())
        self._bar = Progress(
            *columns,
            console=self._console,
            disable=quiet or not self._console.is_terminal,
            refresh_per_second=5,
            transient=live,
        )
        self._task = self._bar.add_task("", total=None, text="opening")

    def __call__(self, progress: RunProgress) -> None:
        """Show the state of the run."""
        text = live_line(progress) if self.live else file_line(progress)
        self._bar.update(
            self._task, completed=progress.frames, total=progress.frames_expected, text=text
        )
        now = time.monotonic()
        if (
            not self.quiet
            and not self._console.is_terminal
            and now - self._last_line >= _PLAIN_LINE_EVERY_SECONDS
        ):
            self._last_line = now
            self._console.print(text, highlight=False, soft_wrap=True)

    def notice(self, text: str) -> None:
        """Show a sentence at once, above the bar."""
        if not self.quiet:
            self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def building(self, phase: str, done: int, total: int) -> None:
        """Show how far the build of an engine is."""
        self._bar.update(
            self._task, total=total, completed=done, text=f"building the engine: {phase}"
        )

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.stop()


def file_line(progress: RunProgress) -> str:
    """Frames, fps, real-time factor and time left of a file."""
    fps = progress.frames / max(progress.seconds, 1e-9)
    factor = progress.media_seconds / max(progress.seconds, 1e-9)
    text = f"{progress.frames}"
    if progress.frames_expected:
        text += f"/{progress.frames_expected}"
    text += f" frames  {fps:.1f} fps  {factor:.2f}x real time"
    if progress.frames_expected and progress.frames:
        left = max(0.0, (progress.frames_expected - progress.frames) / fps)
        text += f"  {clock_text(left)} left"
    return text


def live_line(progress: RunProgress) -> str:
    """Frames, fps, latency and drops of a camera."""
    fps = progress.frames / max(progress.seconds, 1e-9)
    text = f"{clock_text(progress.seconds)}  {progress.frames} frames  {fps:.1f} fps"
    if progress.latency_p50_ms is not None and progress.latency_p95_ms is not None:
        text += (
            f"  latency p50 {progress.latency_p50_ms:.0f} ms p95 {progress.latency_p95_ms:.0f} ms"
        )
    return text + f"  dropped {progress.dropped}"


def clock_text(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def summary_rows(stats: Stats) -> list[tuple[str, str]]:
    """What the final table says above the stages."""
    frames = str(stats.frames)
    if stats.frames_expected and stats.frames_expected != stats.frames:
        frames += f" of {stats.frames_expected}"
    width, height = stats.size
    rows = [
        ("output", stats.output or "none"),
        ("frames", frames),
        ("wall time", f"{stats.wall_seconds:.2f} s"),
        ("speed", f"{stats.fps:.1f} fps, {stats.real_time_factor:.2f}x real time"),
        (
            "engine",
            f"{stats.engine}, {stats.precision}, {stats.threads} threads, batch {stats.batch}",
        ),
        ("model", f"{stats.model} at {width}x{height}"),
        ("bottleneck", stats.bottleneck),
    ]
    if stats.engine_reason:
        rows.insert(5, ("chosen", stats.engine_reason))
    if stats.first_frame_seconds is not None:
        rows.insert(3, ("first frame", f"after {stats.first_frame_seconds:.2f} s"))
    if stats.latency_p50_ms is not None and stats.latency_p95_ms is not None:
        rows.append(
            ("latency", f"p50 {stats.latency_p50_ms:.0f} ms, p95 {stats.latency_p95_ms:.0f} ms")
        )
        rows.append(("dropped", f"{stats.dropped} frames"))
    return rows


def stage_rows(stats: Stats) -> list[tuple[str, str, str, str, str]]:
    """Stage, frames, p50, p95 and utilisation of each stage, as text."""
    return [
        (
            stage.name,
            str(stage.items),
            "-" if stage.p50_ms is None else f"{stage.p50_ms:.2f}",
            "-" if stage.p95_ms is None else f"{stage.p95_ms:.2f}",
            f"{100 * stage.utilisation:.0f} %",
        )
        for stage in stats.stages
    ]


_STAGE_HEADS = ("stage", "frames", "p50 ms", "p95 ms", "busy")


def print_stats(stats: Stats) -> None:
    """The final tables on standard output; aligned plain lines where it is no terminal."""
    if sys.stdout is None:  # closed by whoever started this: nobody wants to read it
        return
    console = Console()
    if console.is_terminal:
        table = Table(show_header=False, box=None, padding=(0, 2, 0, 0))
        for name, value in summary_rows(stats):
            table.add_row(f"[bold]{name}[/]", value)
        stages = Table(box=None, padding=(0, 2, 0, 0))
        for index, head in enumerate(_STAGE_HEADS):
            stages.add_column(head, justify="left" if index == 0 else "right")
        for row in stage_rows(stats):
            style = "bold yellow" if row[0] == stats.bottleneck else ""
            stages.add_row(*row, style=style)
        console.print(table)
        console.print(stages)
        return
    lines = [f"{name}: {value}" for name, value in summary_rows(stats)]
    lines += [
        f"stage {name}: {items} frames, p50 {p50} ms, p95 {p95} ms, busy {busy}"
        for name, items, p50, p95, busy in stage_rows(stats)
    ]
    _print("\n".join(lines) + "\n")


def _print(text: str) -> None:
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"standard output: cannot be written to ({error.strerror}); the video is complete"
        ) from error


def check_json_target(target: str | None, *videos: str | None) -> None:
    """Refuse, before any work, a place where the statistics cannot go.

    Raises:
        UsageError: a missing folder, a folder, or one of the videos.
    """
    if target is None or target == "-":
        return
    path = Path(target)
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; give --json a file name")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist; create it first")
    for video in videos:
        if video is not None and path.resolve() == Path(video).resolve():
            raise UsageError(f"{path}: is the video; give --json another file name")


def write_json(stats: Stats, target: str) -> None:
    """The same numbers as JSON, into a file or, for ``-``, onto standard output.

    Raises:
        OutputError: the file cannot be written.
    """
    write_json_values(stats.as_dict(), target)


def write_json_values(values: Mapping[str, Any], target: str) -> None:
    """Plain values as JSON, as `write_json`.

    Raises:
        OutputError: the file cannot be written.
    """
    text = json.dumps(values, indent=2) + "\n"
    if target == "-":
        if sys.stdout is not None:
            _print(text)
        return
    try:
        Path(target).write_text(text)
    except OSError as error:
        raise OutputError(
            f"{target}: the statistics cannot be written there ({error.strerror})"
        ) from error
