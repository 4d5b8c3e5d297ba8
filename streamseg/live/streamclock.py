"""When frames were captured, as far as their arrival and the stream's own times tell.

Three clocks meet here, all in seconds: the stream's (its timestamps), ours (`time.perf_counter`),
and the demuxer's hold-back: one that must see the next frame to know that this one is complete
keeps it until then. A frame is in our hands some time after it was captured, for it was on its way
and waited in buffers. What all frames of a stream share of this cannot be seen from here; what one
has more than the quickest of the last seconds can. So a frame was captured, to us, at its own time
plus the smallest difference of the two clocks. Knows nothing about packets and decoders.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

_WINDOW_SECONDS = 5.0
"""Half of how far back the smallest difference is looked for: clocks drift by 0.1 ms meanwhile."""
_JUMP_SECONDS = 10.0
"""A difference that changes so much at once is another clock: a sender that began again."""
_LONGEST_BUFFER_SECONDS = 30.0
_BURST_SECONDS = 0.3
_BURSTS = 3
"""So many in `_MEMORY_SECONDS` are how a stream comes, not an accident of the network."""
_MEMORY_SECONDS = 30.0


class Extreme:
    """The smallest or the largest value of the last seconds, in two buckets.

    Args:
        choose: `min` or `max`.
        window_seconds: length of a bucket: values are forgotten after one to two of them.
    """

    def __init__(
        self, choose: Callable[[float, float], float], window_seconds: float = _WINDOW_SECONDS
    ) -> None:
        self._choose, self._window = choose, window_seconds
        self._buckets: deque[float] = deque(maxlen=2)
        self._began = 0.0

    def add(self, now: float, value: float) -> None:
        """Take a value into account."""
        if not self._buckets or now - self._began > self._window:
            self._buckets.append(value)
            self._began = now
        else:
            self._buckets[-1] = self._choose(self._buckets[-1], value)

    @property
    def value(self) -> float | None:
        """The extreme; None before the first value."""
        if not self._buckets:
            return None
        return self._choose(self._buckets[0], self._buckets[-1])


class StreamClock:
    """Of one connection; called from the thread that receives and the one that decodes.

    Args:
        held_back: frames that the demuxer keeps until it hands one over.
        own_time: whether the stream's timestamps are its sender's; False where the demuxer makes
            them up from a rate.
    """

    def __init__(self, *, held_back: int, own_time: bool) -> None:
        self._handed_over: deque[float] = deque(maxlen=held_back + 1)
        self._own_time = own_time
        self._lock = threading.Lock()
        self._offset = Extreme(min)

    def arrived(self, now: float, own: float | None) -> float:
        """When a frame began to arrive that the demuxer hands over now.

        Args:
            now: our time.
            own: its timestamp, seconds; None if it has none.
        """
        with self._lock:
            # When the demuxer handed over the frame before, this one had begun to arrive.
            self._handed_over.append(now)
            arrival = self._handed_over[0]
            if own is not None and self._own_time:
                known = self._offset.value
                if known is not None and abs(arrival - own - known) > _JUMP_SECONDS:
                    self._offset = Extreme(min)
                self._offset.add(now, arrival - own)
            return arrival

    def captured(self, arrival: float, own: float | None) -> float:
        """When it was captured, in our time: not later than `arrival`."""
        with self._lock:
            offset = self._offset.value
        if own is None or offset is None or not self._own_time:
            return arrival
        at = own + offset
        return at if arrival - _JUMP_SECONDS <= at <= arrival else arrival


class Pacer:
    """How long frames wait so that a stream that comes in bursts is shown at its own speed.

    Args:
        bursts: whether the stream is known to come so (HLS); others are found out.
    """

    def __init__(self, *, bursts: bool = False) -> None:
        self._known = bursts
        self._seen: deque[float] = deque(maxlen=_BURSTS)
        self._late = False
        self._most = Extreme(max, _MEMORY_SECONDS)

    def arrived(self, now: float, jitter_seconds: float) -> None:
        """Take into account how much later than the quickest a frame arrived."""
        late = jitter_seconds > _BURST_SECONDS
        if late and not self._late:
            self._seen.append(now)
        self._late = late
        self.waits(now, jitter_seconds)

    def paces(self, now: float) -> bool:
        """Whether frames wait for their time at all."""
        bursts = len(self._seen) == _BURSTS and now - self._seen[0] < _MEMORY_SECONDS
        return self._known or bursts

    def waits(self, now: float, jitter_seconds: float) -> float:
        """How long after its capture a frame is to be shown, seconds; 0 shows it at once.

        Args:
            now: our time.
            jitter_seconds: see `arrived`, as it is known now.
        """
        self._most.add(now, min(jitter_seconds, _LONGEST_BUFFER_SECONDS))
        return self.planned(now)

    def planned(self, now: float) -> float:
        """What `waits` gave last."""
        return (self._most.value or 0.0) if self.paces(now) else 0.0
