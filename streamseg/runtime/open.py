"""`open_engine`: a model file in, the engine that runs it best on this machine out."""

from __future__ import annotations

from pathlib import Path

from streamseg.runtime.building.request import Watcher
from streamseg.runtime.choosing.choice import choose_engine
from streamseg.runtime.engine import BackendName, Engine, PrecisionName
from streamseg.runtime.options import EngineOptions


def open_engine(
    model: str | Path = "mbv2",
    *,
    backend: BackendName = "auto",
    precision: PrecisionName | None = None,
    size: tuple[int, int] | None = None,
    threads: int | None = None,
    batch: int | None = None,
    low_latency: bool = False,
    build: bool = True,
    watcher: Watcher | None = None,
) -> Engine:
    """Load a model for this machine.

    Args:
        model: name of a built-in model, or path of a model file.
        backend: ``auto`` takes the fastest that works here, see `runtime.choosing.selection`.
        precision: ``fp32``, ``fp16`` or ``int8``; None takes the best one that is there.
        size: width and height of the frames to come, pixels; None takes the model's default.
        threads: CPU threads to compute with; None means every core this process may use.
        batch: frames per call; None lets the backend choose.
        low_latency: have each frame done soonest, not most frames a second: for live sources.
        build: build an engine now if that is worth it; False only takes what is there.
        watcher: told when an engine is built, which takes minutes, or one that is there is not
            used; None logs that (logger ``streamseg``, INFO).

    Raises:
        ModelError: a broken model file, or none of ours.
        EngineError: the backend is missing or cannot load the file.
        UsageError: no such model or backend, or threads or batch below 1.
    """
    options = EngineOptions(
        model=model,
        backend=backend,
        precision=precision,
        build=build,
        threads=threads,
        batch=batch,
    )
    return choose_engine(options, size=size, low_latency=low_latency, watcher=watcher).engine
