"""How fast engines are, side by side: milliseconds a call and frames a second.

Engines that are compared take turns, so that what else the machine does slows all of them.
Knows nothing about files or accuracy.
"""

from __future__ import annotations

import math
import statistics
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import EngineError, is_out_of_memory
from streamseg.runtime.engine import Engine

_ROUNDS = 5
ROUND_SECONDS = 0.4
"""How long an engine is timed in each round, unless somebody asks for another time."""
_WARM_UP_CALLS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One engine at one batch size."""

    batch: int
    """Frames a call."""
    ms: float
    """Median of a call's duration, milliseconds."""
    fps: float
    """Frames a second, as many calls at a time as the engine likes: median of the rounds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """An engine's timings, the smallest batch first; not empty."""

    name: str
    """For people."""
    timings: tuple[Timing, ...]

    @property
    def best(self) -> Timing:
        """The batch size with the most frames a second."""
        return max(self.timings, key=lambda timing: timing.fps)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {"name": self.name, "timings": [asdict(timing) for timing in self.timings]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """An engine that is to be timed, at these batch sizes."""

    name: str
    engine: Engine
    batches: tuple[int, ...]


def time_engines(
    runners: Sequence[Runner],
    frames_NHWC: NDArray[np.uint8],
    *,
    rounds: int = _ROUNDS,
    round_seconds: float | None = None,
    notice: Callable[[str], None] = lambda _: None,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> list[Speed]:
    """Time engines in turns on the same frames (repeated where a batch is larger).

    A batch the device has no memory for is left out, with all larger ones, and `notice` says so.
    `progress` is told which round of how many is done.

    Raises:
        DeviceMemoryError: an engine cannot take even its smallest batch.
        EngineError: an engine failed.
    """
    seconds_each = ROUND_SECONDS if round_seconds is None else round_seconds
    fitting: list[tuple[Runner, NDArray[np.uint8]]] = []
    for runner in runners:
        fitting += [(runner, batch) for batch in _warm_up(runner, frames_NHWC, notice)]
    calls: list[list[float]] = [[] for _ in fitting]
    rates: list[list[float]] = [[] for _ in fitting]
    for number in range(rounds):
        for index, (runner, batch) in enumerate(fitting):
            durations, seconds = _one_round(runner.engine, batch, seconds_each)
            calls[index] += durations
            rates[index].append(len(durations) * len(batch) / seconds)
        progress(number + 1, rounds)
    timings: dict[int, list[Timing]] = {id(runner): [] for runner in runners}
    for index, (runner, batch) in enumerate(fitting):
        timings[id(runner)].append(
            Timing(
                batch=len(batch),
                ms=1000 * statistics.median(calls[index]),
                fps=statistics.median(rates[index]),
            )
        )
    return [Speed(name=r.name, timings=tuple(timings[id(r)])) for r in runners]


def _warm_up(
    runner: Runner, frames_NHWC: NDArray[np.uint8], notice: Callable[[str], None]
) -> list[NDArray[np.uint8]]:
    """A batch for each size that fits."""
    fitting: list[NDArray[np.uint8]] = []
    for size in sorted(set(runner.batches)):
        repeats = math.ceil(size / len(frames_NHWC))
        batch = np.ascontiguousarray(np.tile(frames_NHWC, (repeats, 1, 1, 1))[:size])
        try:
            for _ in range(_WARM_UP_CALLS):
                runner.engine.infer(batch)
        except EngineError as error:
            if not fitting or not is_out_of_memory(error):
                raise
            notice(f"{runner.name}: batch {size} does not fit the device's memory, left out")
            break
        fitting.append(batch)
    return fitting


def _one_round(
    engine: Engine, batch: NDArray[np.uint8], round_seconds: float
) -> tuple[list[float], float]:
    """Durations of all calls, and the seconds they took together."""
    durations: list[float] = []
    errors: list[BaseException] = []
    start = time.perf_counter()

    def work() -> None:
        try:
            while True:
                begin = time.perf_counter()
                engine.infer(batch)
                end = time.perf_counter()
                durations.append(end - begin)
                if end - start >= round_seconds:
                    return
        except BaseException as error:  # it belongs to the caller's thread
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(engine.spec.workers - 1)]
    for thread in threads:
        thread.start()
    work()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return durations, time.perf_counter() - start
