"""The runs that one owner has under way, so that it can end them all and wait for them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from streamseg.errors import UsageError


class Running:
    """Counts runs in and out; once closed, no other begins.

    Args:
        name: of the owner, for messages.
        at_end: called once, when it is closed and the last run has ended.
    """

    def __init__(self, name: str, at_end: Callable[[], None]) -> None:
        self._name, self._at_end = name, at_end
        self._changed = threading.Condition()
        self._runs: dict[object, tuple[int, Callable[[], None]]] = {}
        self._closed = self._ended = False

    @property
    def closed(self) -> bool:
        """Whether `close` was called: what is under way is to end."""
        return self._closed

    @contextmanager
    def run(self, end: Callable[[], None] = lambda: None) -> Iterator[None]:
        """What happens inside is a run.

        Args:
            end: called, from another thread perhaps, when the run is to end soon.

        Raises:
            UsageError: the owner is closed.
        """
        key = object()
        with self._changed:
            if self._closed:
                raise UsageError(f"the {self._name} is closed; open another one")
            self._runs[key] = threading.get_ident(), end
        try:
            yield
        finally:
            with self._changed:
                self._runs.pop(key, None)
                self._changed.notify_all()
            self._finish()

    def close(self) -> None:
        """End every run and wait for those of other threads.

        A run of the calling thread cannot be waited for; `at_end` is called when it has ended.
        """
        with self._changed:
            self._closed = True
            under_way = list(self._runs.values())
        for _, end in under_way:
            end()
        own = threading.get_ident()
        with self._changed:
            self._changed.wait_for(lambda: all(ident == own for ident, _ in self._runs.values()))
        self._finish()

    def _finish(self) -> None:
        with self._changed:
            last = self._closed and not self._runs and not self._ended
            self._ended = self._ended or last
        if last:
            self._at_end()
