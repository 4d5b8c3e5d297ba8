"""Shows a build: a bar on a terminal, plain lines elsewhere; on standard error."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from streamseg.runtime.building.request import Watcher

_PLAIN_LINE_EVERY_SECONDS = 5.0


class BuildView:
    """A bar of the phase under way, and sentences above it.

    Args:
        quiet: show nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        self._quiet = quiet
        self._console = Console(stderr=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            console=self._console,
            disable=quiet or not self._console.is_terminal,
            refresh_per_second=5,
            transient=True,
        )
        self._task = self._bar.add_task("starting", total=None)
        self._phase = ""
        self._last_line = 0.0

    @property
    def watcher(self) -> Watcher:
        """What a builder tells."""
        return Watcher(notice=self.notice, progress=self.progress)

    def notice(self, text: str) -> None:
        """Show a sentence."""
        if not self._quiet:
            self._console.print(text, highlight=False, soft_wrap=True, markup=False)

    def progress(self, phase: str, done: int, total: int) -> None:
        """Show how far a phase is."""
        self._bar.update(self._task, description=phase, completed=done, total=total or None)
        if self._console.is_terminal:
            return
        now = time.monotonic()
        if phase != self._phase:
            self.notice(phase)
        elif total <= 1 or now - self._last_line < _PLAIN_LINE_EVERY_SECONDS:
            return
        else:
            self.notice(f"{phase}: {done} of {total}")
        self._phase, self._last_line = phase, now

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
