"""What is said of engines before and while a run goes on, for its statistics."""

from __future__ import annotations

from dataclasses import replace

from streamseg.run.stats import Stats
from streamseg.runtime.building.request import Watcher
from streamseg.runtime.choosing.maker import Chosen


class Notices:
    """Keeps what a run's watcher is told of engines, for its statistics.

    Args:
        watcher: told as well, at once.
    """

    def __init__(self, watcher: Watcher | None = None) -> None:
        self._inner = watcher or Watcher()
        self._kept: list[str] = []
        self.watcher = replace(self._inner, notice=self._notice)

    def _notice(self, text: str) -> None:
        self._kept.append(text)
        self._inner.notice(text)

    def add_to(self, stats: Stats, chosen: Chosen) -> Stats:
        """The statistics with which engine ran, why, and what was said."""
        return replace(
            stats,
            precision=chosen.precision,
            engine_reason=chosen.reason,
            engine_notices=tuple(self._kept),
        )
