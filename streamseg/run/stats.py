"""Counters of a run: frames, per-stage latency and utilisation. Pure numbers, no printing.

Memory does not grow with the length of a run: durations go into logarithmic buckets.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter, deque
from dataclasses import asdict, dataclass, field
from typing import Any

from streamseg.run.camerastats import CameraStats

_BUCKETS_PER_DECADE = 200
"""Neighbouring buckets differ by 1.2 %, so a percentile is right within 0.6 %."""
_SMALLEST = 1e-7


class Histogram:
    """Durations in seconds, countable without keeping them."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self._buckets: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Count one duration."""
        self.count += 1
        self.total += seconds
        self._buckets[round(math.log10(max(seconds, _SMALLEST)) * _BUCKETS_PER_DECADE)] += 1

    def percentile(self, share: float) -> float:
        """The duration that `share` (0..1) of all are not above; NaN when nothing was counted."""
        if not self.count:
            return math.nan
        rank = max(1, math.ceil(share * self.count))
        for bucket in sorted(self._buckets):
            rank -= self._buckets[bucket]
            if rank <= 0:
                return float(10 ** (bucket / _BUCKETS_PER_DECADE))
        raise AssertionError("ranks exceed counts")


class StageClock:
    """What one stage did: how many items, how long each took, how much of the time it was busy."""

    def __init__(self, name: str, workers: int = 1) -> None:
        self.name = name
        self.workers = workers
        self._lock = threading.Lock()
        self._items = 0
        self._calls = Histogram()

    def add(self, seconds: float, items: int = 1) -> None:
        """Count one call that handled `items` items in `seconds`."""
        with self._lock:
            self._items += items
            self._calls.add(seconds)

    def summary(self, wall_seconds: float) -> StageStats:
        """The numbers so far, as shares of `wall_seconds`."""
        with self._lock:
            return StageStats(
                name=self.name,
                items=self._items,
                calls=self._calls.count,
                p50_ms=milliseconds(self._calls.percentile(0.5)),
                p95_ms=milliseconds(self._calls.percentile(0.95)),
                utilisation=self._calls.total / max(wall_seconds * self.workers, 1e-9),
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class StageStats:
    """One row of the final table."""

    name: str
    items: int
    """Frames handled."""
    calls: int
    """Calls made; fewer than items where frames go in batches."""
    p50_ms: float | None
    """Median duration of a call, milliseconds; None if it was never called."""
    p95_ms: float | None
    utilisation: float
    """Share of the wall time (times workers) that the stage was busy, 0..1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stats:
    """What a run did, as the final table and ``--json`` show it."""

    source: str
    output: str | None
    frames: int
    """Frames written."""
    frames_expected: int | None
    """Frames the source's header promised; None if it says nothing."""
    wall_seconds: float
    """From opening the source to the finished file, the engine's load included."""
    fps: float
    media_seconds: float
    """Length of what was segmented, by its own timestamps."""
    real_time_factor: float
    """media_seconds / wall_seconds: above 1 is faster than playback."""
    first_frame_seconds: float | None
    """From the start to the first frame handed to the encoder."""
    engine: str
    model: str
    size: tuple[int, int]
    """Width and height the network saw, pixels."""
    batch: int
    threads: int
    stages: tuple[StageStats, ...]
    bottleneck: str
    """The stage with the highest utilisation."""
    precision: str = "fp32"
    """Of the engine."""
    engine_reason: str = ""
    """Why this engine and no other."""
    engine_notices: tuple[str, ...] = ()
    """What was said of engines before and while it ran: builds, fall-backs, smaller batches."""
    interrupted: bool = False
    frames_resumed: int = 0
    """Frames of these that an earlier run had made; `fps` and `media_seconds` are of the others."""
    held: int = 0
    """Frames whose labels came from others, so that the engine did not see them."""
    dropped: int = 0
    """Frames a live source brought that were never segmented."""
    dropped_before: dict[str, int] = field(default_factory=dict)
    """These, by the stage that was too slow to take them."""
    camera: CameraStats | None = None
    """Live only: what its source says of itself."""
    latency_p50_ms: float | None = None
    """Live only: from capture to written."""
    latency_p95_ms: float | None = None
    warnings: tuple[str, ...] = field(default=())
    """What was lost."""
    notes: tuple[str, ...] = field(default=())
    """What was done otherwise than the source has it, without a loss: converted, moved in time."""

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return asdict(self)


_RECENT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Recent:
    """The figures of the last ten seconds."""

    fps: float
    latency_p50_ms: float | None
    latency_p95_ms: float | None


class RunClock:
    """Wall time, frames and latency of a run; shared between the threads of a pipeline."""

    def __init__(self) -> None:
        self.start = time.perf_counter()
        self.frames = 0
        self.first_frame: float | None = None
        self.media_seconds = 0.0
        """From the first frame's presentation to the end of the last."""
        self._start_seconds: float | None = None
        self._latency = Histogram()
        self._recent: deque[tuple[float, float]] = deque()
        """When a live frame was written, and how old it was."""
        self._lock = threading.Lock()

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.perf_counter() - self.start

    def restart(self) -> None:
        """Start counting now: a live run's speed should not include the wait for a camera."""
        self.start = time.perf_counter()

    def written(
        self, at_seconds: float, duration_seconds: float, captured: float | None = None
    ) -> None:
        """One more frame reached the encoder.

        Args:
            at_seconds: its presentation time.
            duration_seconds: how long it is shown, at the average rate.
            captured: a live frame's arrival, by `time.perf_counter`.
        """
        now = time.perf_counter()
        with self._lock:
            self.frames += 1
            if self._start_seconds is None:
                self._start_seconds = at_seconds
            length = at_seconds - self._start_seconds + duration_seconds
            self.media_seconds = max(self.media_seconds, length)
            if self.first_frame is None:
                self.first_frame = now - self.start
            if captured is not None:
                self._latency.add(now - captured)
                self._recent.append((now, now - captured))
                self._forget(now)

    def _forget(self, now: float) -> None:
        while self._recent and now - self._recent[0][0] > _RECENT_SECONDS:
            self._recent.popleft()

    def recent(self) -> Recent:
        """What live frames did in the last ten seconds, or since the start."""
        now = time.perf_counter()
        with self._lock:
            self._forget(now)
            ages = sorted(age for _, age in self._recent)
        span = max(min(_RECENT_SECONDS, now - self.start), 1e-9)

        def percentile(share: float) -> float | None:
            return 1000 * ages[math.ceil(share * len(ages)) - 1] if ages else None

        return Recent(len(ages) / span, percentile(0.5), percentile(0.95))

    def latency_ms(self, share: float) -> float | None:
        """Percentile of capture-to-written latency, milliseconds; None without live frames."""
        with self._lock:
            return milliseconds(self._latency.percentile(share))


def milliseconds(seconds: float) -> float | None:
    """Of a percentile; None where nothing was counted."""
    return None if math.isnan(seconds) else seconds * 1000
