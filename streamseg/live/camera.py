"""A camera or a network stream as a source of frames that survives its sender.

    connecting -> live <-> stale
                   ^         |
                   +- lost <-+-> ended

One thread receives (`receiver.py`), the one that iterates decodes; any other may look at `state`,
which needs no frame to change. Frames get wall-clock timestamps (their capture, from 0 at the
first), so that a recording plays as fast as life went, whatever the device claims its rate to be.
Which frames are dropped behind the decoder is the pipeline's business.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from av.video.frame import VideoFrame

from streamseg.closing import ClosedAtExit
from streamseg.errors import SourceError
from streamseg.live.address import Address
from streamseg.live.connection import Connection
from streamseg.live.decoder import Decoded, Decoder
from streamseg.live.nosignal import no_signal
from streamseg.live.receiver import Receiver
from streamseg.live.stamps import TIME_BASE, Stamps
from streamseg.run.camerastats import CameraStats, FrameCounts
from streamseg.run.stats import Histogram, milliseconds
from streamseg.video.fitting import Fitter
from streamseg.video.source import AnyPacket, Item, SourceInfo, describe

State = Literal["connecting", "live", "stale", "lost", "ended"]
"""``stale``: connected, and silent; ``lost``: not connected any more; ``ended``: for good."""

_LEAST_STALE_SECONDS = 1.0
_STALE_STEPS = 3
"""Frames that may be late before a camera is called stale."""
_NO_SIGNAL_EVERY_SECONDS = 1.0
_LOOK_EVERY_SECONDS = 0.1
_MOST_EVENTS = 200


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a camera."""

    at: float
    """As `time.time`."""
    text: str


class Camera(ClosedAtExit):
    """A sender's frames; see `streamseg.video.source.Source`.

    Args:
        address: where it is.
        duration_seconds: end so long after the first frame; None goes on for ever.
        give_up_after_seconds: end when no frame came for so long; 0 ends with the first
            connection, None goes on trying for ever.
        wait: wait here for the first frame, and raise if the first try brings none. False begins
            to try and returns at once: `info` is known from the first frame on.

    Raises:
        SourceError: no such camera, it is busy, the address cannot be reached or sends no video.
    """

    def __init__(
        self,
        address: Address,
        *,
        duration_seconds: float | None = None,
        give_up_after_seconds: float | None = None,
        wait: bool = True,
    ) -> None:
        self.name = address.name
        self.events: deque[Event] = deque(maxlen=_MOST_EVENTS)
        """What happened, the latest last."""
        self.leftover: list[AnyPacket] = []
        self.reconnects = 0
        self.connected_seconds: float | None = None
        """From the beginning to the first connection."""
        self.ended = ""
        """Why there will be no more frames; empty while there may be."""
        self._duration, self._give_up_after = duration_seconds, give_up_after_seconds
        self._began = time.perf_counter()
        self._stamps = Stamps()
        self._info: SourceInfo | None = None
        self._fitter: Fitter | None = None
        self._decoder: Decoder | None = None
        self._skipped = self._unreadable = 0
        """By earlier decoders."""
        self._damaged = self._delivered = self._no_signal = 0
        self._lag = Histogram()
        self._comes_back = address.comes_back
        self._last: VideoFrame | None = None
        self._last_shown = self._began
        self._said: State = "connecting"
        self._closed = threading.Event()
        self._receiver = Receiver(
            address, give_up_after_seconds=give_up_after_seconds, persistent=not wait
        )
        self._receiver.start()
        self._items = self._run()
        self._first: Item | None = self._wait_for_first() if wait else None

    def _wait_for_first(self) -> Item:
        try:
            first = next(self._items, None)
            if first is None:
                raise self._receiver.trouble or SourceError(
                    f"{self.name}: {self.ended} before the first frame"
                )
        except BaseException:
            self.close()
            raise
        return first

    @property
    def info(self) -> SourceInfo:
        """Of the first frame; all others are made like it."""
        assert self._info is not None, "the first frame tells"
        return self._info

    @property
    def state(self) -> State:
        """What it is now; needs no frame to change."""
        if self.ended:
            return "ended"
        if self._info is None:
            return "connecting"
        connection = self._receiver.connected
        if connection is None:
            return "lost"
        step = connection.steps.frame_seconds or 0.0
        patience = max(_LEAST_STALE_SECONDS, _STALE_STEPS * step)
        # What comes in bursts is not stale while the next one is due.
        patience += 2 * connection.pacer.planned(time.perf_counter())
        return "stale" if self.silent_seconds > patience else "live"

    @property
    def silent_seconds(self) -> float:
        """How long no frame has come."""
        return time.perf_counter() - self._receiver.last_arrival

    @property
    def counts(self) -> FrameCounts:
        """What became of every frame so far."""
        receiver, decoder = self._receiver, self._decoder
        skipped, unreadable = self._skipped + receiver.arrivals.skipped, self._unreadable
        if decoder is not None:
            skipped, unreadable = skipped + decoder.skipped, unreadable + decoder.unreadable
        return FrameCounts(
            received=receiver.received,
            lost=receiver.lost,
            skipped=skipped,
            unreadable=unreadable,
            delivered=self._delivered,
            damaged=self._damaged,
            no_signal=self._no_signal,
        )

    def report(self) -> CameraStats:
        """What there is to say of it so far."""
        return CameraStats(
            counts=self.counts,
            reconnects=self.reconnects,
            connected_seconds=self.connected_seconds,
            lag_p50_ms=milliseconds(self._lag.percentile(0.5)),
            lag_p95_ms=milliseconds(self._lag.percentile(0.95)),
            lost=bool(self.ended) and self._comes_back,
        )

    @property
    def warnings(self) -> list[str]:
        """What went wrong, in sentences."""
        counts = self.counts
        said = [] if self._fitter is None else [f"{self.name}: {w}" for w in self._fitter.warnings]
        for number, what in (
            (counts.lost, "never arrived"),
            (counts.damaged, "are damaged, or were predicted from damaged ones"),
            (counts.skipped, "were skipped before decoding, which could not keep up"),
            (counts.unreadable, "could not be decoded"),
        ):
            if number:
                said.append(f"{self.name}: {number} of {counts.received} frames {what}")
        if self.reconnects:
            said.append(f"{self.name}: it was lost and found again {self.reconnects} times")
        if self.ended:
            said.append(f"{self.name}: {self.ended}; the recording is kept")
        return said

    def __iter__(self) -> Iterator[Item]:
        first, self._first = self._first, None
        if first is not None:
            yield first
        yield from self._items

    def close(self) -> None:
        """End; calling twice is fine."""
        self._closed.set()
        self._receiver.close()

    def _run(self) -> Iterator[Item]:
        arrivals = self._receiver.arrivals
        while not self._is_over():
            arrival = arrivals.get(_LOOK_EVERY_SECONDS)
            self._watch()
            if arrival is None:
                yield from self._silence()
                continue
            connection, packet = arrival.connection, arrival.packet
            if packet is None or connection is None:
                yield from self._finish()
                self._note(arrival.ended)
                if arrival.final:
                    self.ended = arrival.ended
                    return
                continue
            decoder = self._decoder or self._connected(connection)
            for decoded in decoder.decode(arrival, packet):
                yield self._deliver(decoded, connection)

    def _finish(self) -> Iterator[Item]:
        """What the decoder of a lost connection still holds."""
        decoder = self._decoder
        if decoder is None:
            return
        for decoded in decoder.finish():
            yield self._deliver(decoded, decoder.connection)
        self._decoder = None
        self._skipped += decoder.skipped
        self._unreadable += decoder.unreadable
        decoder.connection.close()

    def _is_over(self) -> bool:
        running, silent = self._stamps.running_seconds(), self.silent_seconds
        if self._give_up_after and self._last is not None and silent >= self._give_up_after:
            # The receiver may be inside a try that takes longer.
            self.ended = f"no frame arrived for {silent:.0f} s"
        done = self._duration is not None and running >= self._duration
        return done or bool(self.ended) or self._closed.is_set()

    def _connected(self, connection: Connection) -> Decoder:
        self._note("connected")
        if self.connected_seconds is None:
            self.connected_seconds = time.perf_counter() - self._began
        else:
            self.reconnects += 1
        self._decoder = Decoder(connection, self._receiver.arrivals)
        return self._decoder

    def _deliver(self, decoded: Decoded, connection: Connection) -> Item:
        frame = decoded.frame
        aspect = connection.video.sample_aspect_ratio or Fraction(1)
        if self._info is None or self._fitter is None:
            self._info = describe(self.name, frame, connection.video, time_base=TIME_BASE)
            self._fitter = Fitter(frame, aspect)
        now = time.perf_counter()
        delay = connection.pacer.waits(now, decoded.arrived - decoded.captured)
        due = decoded.captured + delay
        if due > now:
            self._closed.wait(due - now)
        self._last, self._last_shown = self._fitter.fitted(frame, aspect), time.perf_counter()
        self._lag.add(max(0.0, self._last_shown - decoded.captured))
        self._delivered += 1
        self._damaged += decoded.is_hurt
        # In a recording, too, a burst plays at its own speed.
        return self._stamps.stamp(self._last, decoded.captured, shown=due)

    def _silence(self) -> Iterator[Item]:
        """While nothing comes: a picture a second that says so."""
        now = time.perf_counter()
        if self._last is None or self._said not in ("stale", "lost"):
            return
        if now - self._last_shown >= _NO_SIGNAL_EVERY_SECONDS:
            self._last_shown = now
            self._no_signal += 1
            yield self._stamps.stamp(no_signal(self._last, self.silent_seconds), now, signal=False)

    def _watch(self) -> None:
        state = self.state
        if state != self._said:
            self._said = state
            self._note(state)

    def _note(self, text: str) -> None:
        self.events.append(Event(time.time(), text))
