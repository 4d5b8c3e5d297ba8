"""What every backend that *builds* offers, and what a build may be told.

A backend is a module with three functions (see `BuildingBackend`). It knows nothing about caches,
command lines or videos. Building and loading are separate: a built engine is bytes, the cache keeps
them under a key made from `environment`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from streamseg.errors import EngineError
from streamseg.models.modelfile import ModelHeader
from streamseg.runtime.cpu import cpu_threads
from streamseg.runtime.engine import Engine

Precision: TypeAlias = Literal["fp32", "fp16", "int8"]

BuildProgress: TypeAlias = Callable[[str, int, int], None]
"""``(phase, done, total)``, called often; what it raises stops the build."""


class BackendUnavailableError(EngineError):
    """A backend cannot run on this machine; the message says what is missing and how to get it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Smallest, best and largest of what an engine must take: batch sizes, and (width, height)."""

    batch: tuple[int, int, int] = (1, 8, 16)
    min_size: tuple[int, int] = (512, 288)
    opt_size: tuple[int, int] = (512, 288)
    max_size: tuple[int, int] = (512, 288)

    def __post_init__(self) -> None:
        low, best, high = self.batch
        if not 1 <= low <= best <= high:
            raise ValueError(f"batch must be 1 <= min <= opt <= max, got {low}:{best}:{high}")
        sizes = (self.min_size, self.opt_size, self.max_size)
        for width, height in sizes:
            if min(width, height) < 1:
                raise ValueError(f"sizes must be at least 1x1, got {width}x{height}")
        for axis in (0, 1):
            if not self.min_size[axis] <= self.opt_size[axis] <= self.max_size[axis]:
                raise ValueError(
                    "sizes must grow from min over opt to max, got "
                    + ", ".join(f"{width}x{height}" for width, height in sizes)
                )

    @property
    def static(self) -> bool:
        """One size only."""
        return self.min_size == self.max_size


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildConfig:
    """What a build may be told. Everything here is part of a cached engine's key."""

    precision: Precision = "fp32"
    profile: Profile = field(default_factory=Profile)
    workspace_mib: int | None = None
    """Scratch memory the builder's tactics may use; None leaves it to the backend."""
    timing_cache: Path | None = None
    """TensorRT: measured tactics of earlier builds, read and extended (not part of the key)."""
    hardware_compat: Literal["none", "ampere+", "same-cc"] = "none"
    """TensorRT: on which other GPUs it also runs; see `EngineKey.mismatch`."""
    version_compat: bool = False
    """TensorRT: also with later minor versions."""
    optimization_level: int | None = None
    """TensorRT: 0 (built soonest) to 5 (searched longest); None is its own choice, 3."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How an engine is to be run."""

    batch: int | None = None
    """Frames a call of `infer` should be given; None: 1 on a CPU (more only add latency there), on
    a GPU what the engine was built for."""
    threads: int | None = None
    """CPU threads to compute with; None: what this process may use. Nothing to a GPU."""
    low_latency: bool = False
    """One call at a time, with all there is on one frame: it is done sooner, fewer are done a
    second."""

    @property
    def cpu_threads(self) -> int:
        """`threads`, or as many as this process may use."""
        return self.threads or cpu_threads()


class BuildingBackend(Protocol):
    """The members of a backend module that builds engines (``tensorrt``, ``torch``)."""

    def environment(self) -> Mapping[str, str]:
        """What a built engine is tied to (library version, device, driver ...), name to value.

        Raises:
            BackendUnavailableError: it cannot run here.
        """
        ...

    def build(
        self, model: Path, header: ModelHeader, config: BuildConfig, *, progress: BuildProgress
    ) -> bytes:
        """Build an engine from a model file whose graph already has the wanted precision.

        Raises:
            BackendUnavailableError: it cannot run here.
            EngineError: the build failed; the message says which operator, size or memory.
        """
        ...

    def load(self, payload: bytes, header: ModelHeader, path: Path, options: LoadOptions) -> Engine:
        """Make a built engine ready to run. `path` names it in messages.

        Raises:
            BackendUnavailableError: it cannot run here.
            EngineError: the payload is broken or was built for another machine.
        """
        ...
