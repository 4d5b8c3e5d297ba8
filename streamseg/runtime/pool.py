"""Engines that are opened once and used by many runs, from several threads."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from streamseg.closing import ClosedAtExit
from streamseg.runtime.building.request import Watcher
from streamseg.runtime.choosing.choice import choose_engine, size_matters
from streamseg.runtime.choosing.maker import Chosen
from streamseg.runtime.engine import Engine, EngineSpec
from streamseg.runtime.options import EngineOptions


class SharedEngine(ClosedAtExit):
    """An engine that any number of threads may call: they take turns beyond its workers.

    Closing it does nothing: whoever opened the engine inside does that.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._turns = threading.BoundedSemaphore(engine.spec.workers)

    @property
    def spec(self) -> EngineSpec:
        """The engine's own."""
        return self._engine.spec

    def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `Engine.infer`."""
        with self._turns:
            return self._engine.infer(frames_NHWC)

    def close(self) -> None:
        """Nothing: the pool closes what it opened."""


class EnginePool(ClosedAtExit):
    """Opens an engine when a run asks for one, and keeps it for the next that wants the same.

    Args:
        options: what all of them have in common.
    """

    def __init__(self, options: EngineOptions) -> None:
        self.options = options
        self._lock = threading.Lock()
        self._opened: dict[tuple[tuple[int, int] | None, bool], tuple[Chosen, Engine]] = {}

    def get(
        self,
        size: tuple[int, int] | None = None,
        *,
        low_latency: bool = False,
        watcher: Watcher | None = None,
    ) -> Chosen:
        """The engine for frames of a size; opened now if none was.

        Others wait while an engine is opened: two builds at once would only disturb each other's
        timing.

        Raises:
            StreamsegError: as `choose_engine`.
        """
        key = (size if size_matters(self.options.backend) else None, low_latency)
        with self._lock:
            if key not in self._opened:
                chosen = choose_engine(
                    self.options, size=size, low_latency=low_latency, watcher=watcher
                )
                shared = replace(chosen, engine=SharedEngine(chosen.engine))
                self._opened[key] = (shared, chosen.engine)
            return self._opened[key][0]

    def close(self) -> None:
        """Close all engines; no run may use one any more."""
        with self._lock:
            while self._opened:
                _, (_, engine) = self._opened.popitem()
                engine.close()
