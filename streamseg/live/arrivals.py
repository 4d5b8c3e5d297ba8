"""What was received and not decoded yet: a queue that nobody waits for, bounded in time.

A sender is never held up: a full queue gives up its oldest frames, up to a key frame, from which a
decoder can go on. Knows nothing about decoders.
"""

from __future__ import annotations

import threading
from collections import deque

from streamseg.live.connection import Arrival

_MOST_BYTES = 128 << 20


class Arrivals:
    """First in, first out, between one thread that receives and one that decodes.

    Args:
        most_seconds: what is older than that, compared with the newest, goes.
    """

    def __init__(self, most_seconds: float) -> None:
        self._most_seconds = most_seconds
        self._items: deque[Arrival] = deque()
        self._bytes = 0
        self._wants_key = False
        self._changed = threading.Condition()
        self.skipped = 0
        """Frames that went without being decoded."""

    def __len__(self) -> int:
        return len(self._items)

    def put(self, arrival: Arrival) -> None:
        """Add what was received."""
        with self._changed:
            if self._wants_key and not arrival.is_key:
                self.skipped += 1
                return
            self._wants_key = False
            self._items.append(arrival)
            self._bytes += arrival.size
            if self._is_full():
                self._skip_to_key(1)
            self._changed.notify_all()

    def _is_full(self) -> bool:
        times = [item.at for item in (self._items[0], self._items[-1]) if item.packet is not None]
        span = times[-1] - times[0] if times else 0.0
        return span > self._most_seconds or self._bytes > _MOST_BYTES

    def get(self, timeout_seconds: float) -> Arrival | None:
        """The oldest; None if nothing comes in time."""
        with self._changed:
            if not self._items:
                self._changed.wait(timeout_seconds)
            if not self._items:
                return None
            arrival = self._items.popleft()
            self._bytes -= arrival.size
            return arrival

    def wake(self) -> None:
        """Let `get` return."""
        with self._changed:
            self._changed.notify_all()

    def skip_to_newest_key(self, *, or_all: bool) -> bool:
        """Drop what lies before the newest key frame; whether there is one.

        Args:
            or_all: if there is none, drop all, until the next one comes.
        """
        with self._changed:
            keys = [index for index, item in enumerate(self._items) if item.is_key]
            if keys or or_all:
                self._skip_to_key(keys[-1] if keys else len(self._items))
            return bool(keys)

    def _skip_to_key(self, least: int) -> None:
        """Drop `least` items, and then up to a key frame; the ends of connections stay."""
        kept: list[Arrival] = []
        dropped = 0
        while self._items and (dropped < least or not self._items[0].is_key):
            item = self._items.popleft()
            dropped += 1
            if item.packet is None:
                kept.append(item)
                continue
            self._bytes -= item.size
            self.skipped += 1
        self._wants_key = not self._items
        self._items.extendleft(reversed(kept))
