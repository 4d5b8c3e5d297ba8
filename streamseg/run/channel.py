"""A bounded hand-over between two threads. Knows nothing about frames.

Like `queue.Queue`, with the three things a pipeline needs beside it: an end (`close`), a way to
wake everybody when a stage died (`abort`), and, for live sources, dropping the oldest item instead
of making the producer wait.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class Aborted(Exception):  # noqa: N818 - a signal between threads, not an error
    """The pipeline is being torn down; nobody will take or bring another item."""


class Channel(Generic[T]):
    """At most `capacity` items between a producer and a consumer.

    Args:
        capacity: items held at most.
        drop_oldest: when full, `put` hands the oldest item back instead of waiting.
    """

    def __init__(self, capacity: int, *, drop_oldest: bool = False) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, got {capacity}")
        self.capacity = capacity
        self.drop_oldest = drop_oldest
        self._items: deque[T] = deque()
        self._closed = False
        self._aborted = False
        self._changed = threading.Condition()

    def put(self, item: T) -> T | None:
        """Hand over an item; wait for room, or return the oldest item that had to go.

        Raises:
            Aborted: the pipeline is being torn down, or the channel was closed.
        """
        with self._changed:
            dropped = None
            if not self._closed and self.drop_oldest and len(self._items) >= self.capacity:
                dropped = self._items.popleft()
            while len(self._items) >= self.capacity and not (self._aborted or self._closed):
                self._changed.wait()
            if self._aborted or self._closed:
                raise Aborted
            self._items.append(item)
            self._changed.notify_all()
            return dropped

    def get_batch(self, most: int, *, wait_for_all: bool = True) -> list[T]:
        """The next items in order, at most `most`; empty only at the end of the stream.

        With `wait_for_all` False, whatever is there (at least one) is enough: a live stream must
        not wait for a batch to fill up.

        Raises:
            Aborted: the pipeline is being torn down.
        """
        batch: list[T] = []
        with self._changed:
            while len(batch) < most:
                while not self._items and not self._closed and not self._aborted:
                    if batch and not wait_for_all:
                        return batch
                    self._changed.wait()
                if self._aborted:
                    raise Aborted
                if not self._items:
                    return batch
                batch.append(self._items.popleft())
                self._changed.notify_all()
        return batch

    def close(self) -> None:
        """No more items will come; the consumer still gets those that are there."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def abort(self) -> None:
        """Drop everything and wake everybody."""
        with self._changed:
            self._aborted = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[T]:
        while batch := self.get_batch(1):
            yield batch[0]
