"""From what a caller names to the engine that runs; `selection` has the rules."""

from __future__ import annotations

from importlib.util import find_spec

from streamseg.errors import CacheError
from streamseg.models.modelfile import check_batch, find_model, read_header
from streamseg.runtime.building.request import Watcher
from streamseg.runtime.cache.folder import EngineCache
from streamseg.runtime.choosing.candidates import Wanted
from streamseg.runtime.choosing.maker import Chosen
from streamseg.runtime.choosing.selection import Selector
from streamseg.runtime.options import EngineOptions


def choose_engine(
    options: EngineOptions,
    *,
    size: tuple[int, int] | None = None,
    low_latency: bool = False,
    watcher: Watcher | None = None,
) -> Chosen:
    """Find a model and open the engine for it.

    Args:
        options: which model, and what runs it.
        size: width and height of the frames to come, pixels; None takes the model's default.
        low_latency: have each frame done soonest, not most frames a second: for live sources.
        watcher: told when an engine is built, or one that is there is not used.

    Raises:
        StreamsegError: see `streamseg.runtime.open.open_engine`.
    """
    path = find_model(options.model)
    header = read_header(path)
    if size is not None:
        header.sizes.check(size)
    check_batch(header, options.batch)
    wanted = Wanted(
        model=path,
        header=header,
        backend=options.backend,
        precision=options.precision,
        size=size or header.default_size,
        threads=options.threads,
        batch=1 if low_latency else options.batch,
        low_latency=low_latency,
        build=options.build,
    )
    return Selector(wanted, watcher=watcher).choose()


def size_matters(backend: str) -> bool:
    """Whether the engine that `choose_engine` opens may depend on the frames' size."""
    if backend == "onnxruntime":
        return False
    try:
        any_built = bool(EngineCache().entries())
    except CacheError:
        any_built = False
    return backend != "auto" or any_built or find_spec("tensorrt") is not None
