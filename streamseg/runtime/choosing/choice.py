"""From what a caller names to the engine that runs; `selection` has the rules."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import get_args

from streamseg.errors import CacheError, UsageError
from streamseg.models.modelfile import find_model, read_header
from streamseg.runtime.backends.base import Precision
from streamseg.runtime.backends.names import BACKENDS
from streamseg.runtime.building.request import Watcher
from streamseg.runtime.cache.folder import EngineCache
from streamseg.runtime.choosing.candidates import Wanted
from streamseg.runtime.choosing.selection import Chosen, Selector


def choose_engine(
    model: str | Path,
    *,
    backend: str = "auto",
    precision: Precision | None = None,
    size: tuple[int, int] | None = None,
    threads: int | None = None,
    batch: int | None = None,
    low_latency: bool = False,
    build: bool = True,
    watcher: Watcher | None = None,
) -> Chosen:
    """Find a model and open the engine for it; see `streamseg.runtime.open.open_engine`.

    Raises:
        StreamsegError: see there.
    """
    check_choice(backend, precision)
    for name, value in (("threads", threads), ("batch", batch)):
        if value is not None and value < 1:
            raise UsageError(f"{name} must be at least 1, got {value}")
    path = find_model(model)
    header = read_header(path)
    wanted = Wanted(
        model=path,
        header=header,
        backend=backend,
        precision=precision,
        size=size or header.default_size,
        threads=threads,
        batch=batch,
        low_latency=low_latency,
        build=build,
    )
    return Selector(wanted, watcher=watcher).choose()


def check_choice(backend: str, precision: str | None) -> None:
    """Refuse names that are none.

    Raises:
        UsageError: an unknown backend or precision; the message lists the known ones.
    """
    if backend != "auto" and backend not in BACKENDS:
        raise UsageError(f"unknown backend {backend!r}; known: auto, {', '.join(BACKENDS)}")
    if precision is not None and precision not in get_args(Precision):
        known = ", ".join(get_args(Precision))
        raise UsageError(f"unknown precision {precision!r}; known: {known}")


def size_matters(backend: str) -> bool:
    """Whether the engine that `choose_engine` opens may depend on the frames' size."""
    if backend == "onnxruntime":
        return False
    try:
        any_built = bool(EngineCache().entries())
    except CacheError:
        any_built = False
    return backend != "auto" or any_built or find_spec("tensorrt") is not None
