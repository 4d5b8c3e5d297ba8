"""Receives from a sender, in a thread that does nothing else, and connects again when it is gone.

Knows nothing about decoding: what comes is queued for whoever does.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator

import av

from streamseg.errors import StreamsegError
from streamseg.live.address import Address
from streamseg.live.arrivals import Arrivals
from streamseg.live.connection import Arrival, Connection
from streamseg.live.secrets import without_secrets

_BACKOFF = ((1.0, 5), (5.0, 5), (10.0, 10))
"""Seconds between tries, and how often; then `_LONGEST_WAIT`. As go2rtc does."""
_LONGEST_WAIT = 60.0
_JITTER = 0.2
"""Share of a wait: a wall of cameras must not knock at a server all at once."""
_QUEUE_SECONDS = 40.0


class Receiver:
    """One sender, for as long as it takes.

    Args:
        address: where it is.
        give_up_after_seconds: without a picture, after which no more tries are made; 0 never tries
            again, None always does.
        persistent: go on trying also if the first connection fails.
    """

    def __init__(
        self,
        address: Address,
        *,
        give_up_after_seconds: float | None = None,
        persistent: bool = False,
    ) -> None:
        self._address = address
        self._give_up_after = give_up_after_seconds
        self._persistent = persistent
        self._closed = threading.Event()
        self._thread: threading.Thread | None = None
        self.arrivals = Arrivals(_QUEUE_SECONDS)
        self.received = self.lost = 0
        """Frames that came, and that are missing among them."""
        self.connections = 0
        self.connected: Connection | None = None
        """What frames come through now; None while there is none."""
        self.trouble: StreamsegError | None = None
        """Why the latest try failed."""
        self.last_arrival = time.perf_counter()
        """When the latest frame came, or this began."""

    def start(self) -> None:
        """Begin; returns at once."""
        self._thread = threading.Thread(target=self._run, name="streamseg-receive", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End; the thread follows, at the latest when its read does."""
        self._closed.set()
        self.arrivals.wake()
        connection = self.connected
        if connection is not None:
            connection.close()

    def _run(self) -> None:
        waits = _waits()
        while not self._closed.is_set():
            before = self.received
            connection, ended = self._receive()
            if self.received > before:
                waits = _waits()
            final = self._gives_up() or (self.connections == 0 and not self._persistent)
            self.arrivals.put(Arrival(connection, None, ended=ended, final=final))
            if final:
                return
            self._closed.wait(next(waits))

    def _gives_up(self) -> bool:
        silent = time.perf_counter() - self.last_arrival
        return not self._address.comes_back or (
            self._give_up_after is not None and silent >= self._give_up_after
        )

    def _receive(self) -> tuple[Connection | None, str]:
        """Connect and receive to the end; what through, and why it ended."""
        try:
            connection = Connection(self._address)
        except StreamsegError as error:
            self.trouble = error
            return None, str(error)
        self.trouble = None
        self.connections += 1
        self.connected = connection
        try:
            with connection.reading:
                for arrival in connection.packets():
                    if self._closed.is_set():
                        break
                    self.received += 1
                    self.lost += arrival.missing
                    self.last_arrival = time.perf_counter()
                    self.arrivals.put(arrival)
        except (av.error.ExitError, TimeoutError):
            return connection, f"no frame arrived for {self._address.timeout_seconds:.0f} s"
        except (av.error.FFmpegError, OSError) as error:
            detail = str(getattr(error, "strerror", None) or error)
            detail = without_secrets(detail, self._address.url)
            return connection, f"the stream broke off ({detail})"
        finally:
            self.connected = None
        return connection, "the stream ended"


def _waits() -> Iterator[float]:
    """Seconds before each further try."""
    for seconds, times in _BACKOFF:
        for _ in range(times):
            yield seconds * random.uniform(1 - _JITTER, 1 + _JITTER)
    while True:
        yield _LONGEST_WAIT * random.uniform(1 - _JITTER, 1 + _JITTER)
