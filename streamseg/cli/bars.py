"""What goes on, on standard error: bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from streamseg.cli.output import printable

if TYPE_CHECKING:
    from streamseg.run.job import RunProgress
    from streamseg.runtime.building.request import Watcher

_RUN_LINE_EVERY_SECONDS = 10.0
_BUILD_LINE_EVERY_SECONDS = 5.0


class Bar:
    """A bar, and sentences above it; shown from the start of a ``with`` to its end.

    Args:
        columns: of the bar.
        quiet: show nothing.
        transient: the bar goes at the end.
    """

    def __init__(self, *columns: ProgressColumn, quiet: bool, transient: bool) -> None:
        self.quiet = quiet
        self._console = Console(stderr=True)
        self.on_terminal = self._console.is_terminal
        self._bar = Progress(
            *columns,
            console=self._console,
            disable=quiet or not self.on_terminal,
            refresh_per_second=5,
            transient=transient,
        )
        self._last_line = time.monotonic()

    def notice(self, text: str) -> None:
        """Show a sentence at once, above the bar."""
        if not self.quiet:
            self._console.print(printable(text), highlight=False, soft_wrap=True, markup=False)

    def _line_is_due(self, every_seconds: float) -> bool:
        """Whether it is time for a plain line, where no bar is shown."""
        now = time.monotonic()
        if self.on_terminal or now - self._last_line < every_seconds:
            return False
        self._last_line = now
        return True

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


class RunBar(Bar):
    """Of a run: a bar on a terminal, a plain line every ten seconds elsewhere.

    Args:
        live: show latency and dropped frames (a camera) instead of a share and the time left.
        quiet: show nothing.
    """

    def __init__(self, *, live: bool = False, quiet: bool = False) -> None:
        columns: list[ProgressColumn] = [TextColumn("{task.fields[text]}", markup=False)]
        if not live:
            columns.insert(0, BarColumn())
        super().__init__(*columns, quiet=quiet, transient=live)
        self.live = live
        self._task = self._bar.add_task("", total=None, text="opening")
        self._title = ""

    def begin(self, title: str = "") -> None:
        """Go back to the start, for the next of several files."""
        self._title = f"{title}  " if title else ""
        self._bar.reset(self._task, total=None, text=f"{self._title}opening")

    def __call__(self, progress: RunProgress) -> None:
        """Show the state of the run."""
        text = self._title + (live_line(progress) if self.live else file_line(progress))
        self._bar.update(
            self._task, completed=progress.frames, total=progress.frames_expected, text=text
        )
        if self._line_is_due(_RUN_LINE_EVERY_SECONDS):
            self.notice(text)

    def building(self, phase: str, done: int, total: int) -> None:
        """Show how far the build of an engine is."""
        self._bar.update(
            self._task, total=total, completed=done, text=f"building the engine: {phase}"
        )

    @property
    def watcher(self) -> Watcher:
        """What is told of engines."""
        from streamseg.cli.interrupts import forgive
        from streamseg.runtime.building.request import Watcher

        return Watcher(
            notice=self.notice,
            progress=self.building,
            interactive=self.on_terminal and not self.quiet,
            goes_on=forgive,
        )


class BuildBar(Bar):
    """Of a build: the phase under way, and how far it is.

    Args:
        quiet: show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        super().__init__(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            quiet=quiet,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._phase = ""

    def progress(self, phase: str, done: int, total: int) -> None:
        """Show how far a phase is."""
        self._bar.update(self._task, description=phase, completed=done, total=total or None)
        if phase != self._phase:
            self._phase = phase
            if not self.on_terminal:
                self.notice(phase)
                self._last_line = time.monotonic()
        elif total > 1 and self._line_is_due(_BUILD_LINE_EVERY_SECONDS):
            self.notice(f"{phase}: {done} of {total}")

    @property
    def watcher(self) -> Watcher:
        """What a builder tells."""
        from streamseg.runtime.building.request import Watcher

        return Watcher(notice=self.notice, progress=self.progress)


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
    """Frames, fps, latency and drops of a camera, of the last ten seconds and of all."""
    text = f"{clock_text(progress.seconds)}  {progress.frames} frames"
    if progress.state not in ("", "live"):
        text = f"{text}  {progress.state.upper()}"
    fps = progress.frames / max(progress.seconds, 1e-9)
    recent = progress.recent
    if recent is not None:
        text += f"  {recent.fps:.1f} fps ({fps:.1f} in all)"
        if recent.latency_p50_ms is not None and recent.latency_p95_ms is not None:
            text += (
                f"  latency p50 {recent.latency_p50_ms:.0f} ms p95 {recent.latency_p95_ms:.0f} ms"
            )
    if progress.latency_p95_ms is not None:
        text += f" ({progress.latency_p95_ms:.0f} in all)"
    return text + f"  dropped {progress.dropped}"


def clock_text(seconds: float) -> str:
    """``1:02:03`` or ``2:03``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
