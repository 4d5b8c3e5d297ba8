"""What happened in the last seconds of a run, beside what happened in all of it."""

from __future__ import annotations

import threading
from collections import deque

SECONDS = 10.0


class Recent:
    """Frames, latency and drops of the last ten seconds; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._frames: deque[tuple[float, float | None]] = deque()
        self._dropped: deque[tuple[float, int]] = deque()

    def add(self, now: float, latency_seconds: float | None) -> None:
        """One more frame, shown now."""
        with self._lock:
            self._frames.append((now, latency_seconds))
            self._forget(now)

    def dropped(self, now: float, total: int) -> None:
        """How many frames were dropped since the run began."""
        with self._lock:
            self._dropped.append((now, total))
            self._forget(now)

    def summary(self, now: float) -> dict[str, float | int | None]:
        """Plain values: ``seconds fps latency_p50_ms latency_p95_ms dropped``."""
        with self._lock:
            self._forget(now)
            times = [at for at, _ in self._frames]
            latencies = sorted(latency for _, latency in self._frames if latency is not None)
            dropped = self._dropped[-1][1] - self._dropped[0][1] if self._dropped else 0
        span = max(now - times[0], 1.0) if times else SECONDS
        return {
            "seconds": SECONDS,
            "fps": round(len(times) / span, 2),
            "latency_p50_ms": _at(latencies, 0.5),
            "latency_p95_ms": _at(latencies, 0.95),
            "dropped": dropped,
        }

    def _forget(self, now: float) -> None:
        while self._frames and self._frames[0][0] < now - SECONDS:
            self._frames.popleft()
        while self._dropped and self._dropped[0][0] < now - SECONDS:
            self._dropped.popleft()


def _at(ordered: list[float], share: float) -> float | None:
    if not ordered:
        return None
    return round(1000 * ordered[min(len(ordered) - 1, int(share * len(ordered)))], 1)
