"""What to build, what it must show, and the graph that a backend builds it from.

Knows nothing about proofs and gates.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import EngineError, UsageError
from streamseg.models.modelfile import ModelHeader
from streamseg.runtime.backends.base import BackendUnavailableError, BuildConfig, BuildProgress
from streamseg.runtime.building.gate import MIN_AGREEMENT
from streamseg.runtime.building.proof import sample_pictures
from streamseg.runtime.cache.enginekey import EngineKey
from streamseg.runtime.cache.folder import EngineCache

CALIBRATION_PICTURES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """What to build, and what it must show."""

    model: Path
    header: ModelHeader
    backend: str
    config: BuildConfig = field(default_factory=BuildConfig)
    exclude: tuple[str, ...] = ()
    """Nodes to leave in fp32."""
    calibration: Path | None = None
    """Folder or video with pictures for int8; None takes the sample clip."""
    calibration_sha256: str | None = None
    """Of the pictures of an earlier build whose graph is kept: int8 without pictures."""
    pictures: Path | None = None
    """Folder or video to compare labels on; None takes the sample clip."""
    data: Path | None = None
    """Labelled pictures in SegNet's layout; they replace `pictures`."""
    min_agreement: float = MIN_AGREEMENT
    max_drop: float | None = None
    allow_slower: bool = False
    force: bool = False
    """Build although the engine is there."""
    threads: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Watcher:
    """Who is told what a build does."""

    notice: Callable[[str], None] = logging.getLogger("streamseg").info
    """A sentence; where nobody else listens, it is logged."""
    progress: BuildProgress = lambda *_: None
    interactive: bool = False
    """Somebody sees the progress and may stop it: only then ``auto`` builds what takes minutes."""
    goes_on: Callable[[], bool] = lambda: False
    """Asked when an interrupt ended a build of ``auto``: whether the run goes on without it."""


def calibration_frames_of(request: BuildRequest) -> NDArray[np.uint8] | None:
    """Pictures ``[N, H, W, 3]`` to calibrate int8 with; None for other precisions.

    Raises:
        UsageError, SourceError: there are none that can be read.
    """
    if request.config.precision != "int8" or request.calibration_sha256 is not None:
        return None
    size = request.config.profile.opt_size
    if request.calibration is None:
        return sample_pictures(size, calibrating=True)
    from streamseg.runtime.precision.calibration import calibration_frames

    frames = calibration_frames(request.calibration, size=size, count=CALIBRATION_PICTURES)
    return np.concatenate(list(frames))


def graph_of(
    request: BuildRequest,
    key: EngineKey,
    frames_NHWC: NDArray[np.uint8] | None,
    cache: EngineCache,
    watcher: Watcher,
) -> Path:
    """The model in the wanted precision; kept, so that a rebuild needs no pictures.

    Raises:
        BackendUnavailableError: making it needs a package that is missing.
        CacheError: the disk is full.
    """
    precision = request.config.precision
    if precision == "fp32" or request.backend == "torch":
        return request.model  # torch changes the precision of its own program
    remade = request.force and (precision != "int8" or frames_NHWC is not None)
    if not remade and (kept := cache.graphs.find(key.recipe)) is not None:
        return kept
    if precision == "int8" and frames_NHWC is None:
        raise EngineError(
            f"the calibrated int8 graph of {request.header.name} is gone from {cache.folder}; "
            "run 'streamseg build-engine --precision int8' again"
        )
    phase = f"making the {precision} graph"
    watcher.progress(phase, 0, 1)
    try:
        from streamseg.runtime.precision.convert import convert

        with tempfile.TemporaryDirectory(prefix=".", dir=cache.graphs.folder) as scratch:
            made = convert(
                request.model,
                precision,
                calibration=None if frames_NHWC is None else [frames_NHWC],
                exclude=request.exclude,
                out=Path(scratch) / "graph.onnx",
                scheme=key.int8_scheme,
                half=key.half_around_int8,
                progress=watcher.progress,
            )
            kept = cache.graphs.keep(key.recipe, made)
    except ImportError as error:
        raise BackendUnavailableError(
            f"{precision} needs the package {error.name or 'onnx'}: pip install onnx"
        ) from error
    except OSError as error:
        raise cache.disk_error(error) from error
    watcher.progress(phase, 1, 1)
    return kept


def program_path(model: Path, backend: str) -> Path | None:
    """The file beside the model that a backend builds from; None if it is the model itself.

    Raises:
        UsageError: it is not there.
    """
    if backend != "torch":
        return None
    program = model.with_suffix(".pt2")
    if not program.is_file():
        raise UsageError(
            f"{program}: no such file, and the torch backend builds from it; "
            "make it with 'python -m engines export --format pt2'"
        )
    return program
