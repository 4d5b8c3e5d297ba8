"""An engine that goes on with smaller batches when the device's memory is full, and says so."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamseg.closing import ClosedAtExit
from streamseg.errors import DeviceMemoryError, EngineError, is_out_of_memory
from streamseg.runtime.engine import Engine, EngineSpec


class SmallerBatches(ClosedAtExit):
    """Another engine, whose batches are split when they do not fit.

    Args:
        load: opens the engine for at most so many frames a call; None is its own choice.
        largest: frames a call that the engine would choose by itself.
        batch: frames a call that were asked for.
        notice: told when a smaller batch is taken.

    Raises:
        DeviceMemoryError: not even one frame fits.
        EngineError: as raised by `load`.
    """

    def __init__(
        self,
        load: Callable[[int | None], Engine],
        *,
        largest: int,
        batch: int | None = None,
        notice: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._notice = notice
        self._engine = self._load(load, batch, largest)
        self._fits = self._engine.spec.batch

    def _load(
        self, load: Callable[[int | None], Engine], batch: int | None, largest: int
    ) -> Engine:
        while True:
            try:
                return load(batch)
            except EngineError as error:
                if not is_out_of_memory(error):
                    raise
                batch = self._smaller(batch or largest, error)

    def _smaller(self, batch: int, error: EngineError) -> int:
        if batch <= 1:
            raise DeviceMemoryError(
                f"{error}; not even one frame at a time fits: use a smaller --size, "
                "another --engine, or end what else uses the device"
            ) from error
        self._notice(f"{error}; going on with batches of {batch // 2}")
        return batch // 2

    @property
    def spec(self) -> EngineSpec:
        """The engine's own."""
        return self._engine.spec

    def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `Engine.infer`."""
        while True:
            step = max(1, min(self._fits, len(frames_NHWC)))
            try:
                parts = [
                    self._engine.infer(frames_NHWC[start : start + step])
                    for start in range(0, len(frames_NHWC), step)
                ]
            except EngineError as error:
                if not is_out_of_memory(error):
                    raise
                # Another worker's call may have found a smaller batch meanwhile.
                self._fits = min(self._fits, self._smaller(step, error))
                continue
            return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def close(self) -> None:
        """Close the engine."""
        self._engine.close()
