"""What runs a model: the `Engine` protocol, and `open_engine`, which picks a backend.

An engine is a context manager. It knows nothing about videos, stages or command lines.

Shape legend: N batch, H height, W width (the network's input size, multiples of 32).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from streamseg.models.modelfile import SIZE_MULTIPLE, ModelHeader

BackendName = Literal["auto", "tensorrt", "onnxruntime", "torch"]

PrecisionName = Literal["fp32", "fp16", "int8"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSpec:
    """What an engine says of itself."""

    backend: str
    """For people: the backend, its version and device."""
    model: ModelHeader
    path: Path
    batch: int
    """Frames an `infer` call should be given; fewer are fine."""
    workers: int
    """`infer` calls that pay when made at the same time."""
    threads: int
    """CPU threads the engine computes with, over all workers."""


class Engine(Protocol):
    """A loaded model, ready to label frames."""

    @property
    def spec(self) -> EngineSpec:
        """What it is and how it likes to be called."""
        ...

    def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Labels uint8 ``[N, H, W]`` of RGB frames uint8 ``[N, H, W, 3]``.

        The returned array is the caller's: no later call changes it. Safe to call from
        ``spec.workers`` threads at once.

        Raises:
            ValueError: another shape or dtype than the above.
            EngineError: the backend failed.
        """
        ...

    def close(self) -> None:
        """Give back what the engine holds; calling twice is fine."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def check_frames(frames_NHWC: NDArray[np.uint8]) -> None:
    """Refuse what no engine can take.

    Raises:
        ValueError: not uint8 ``[N, H, W, 3]`` with H and W positive multiples of 32.
    """
    shape = frames_NHWC.shape
    if frames_NHWC.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
        raise ValueError(
            f"frames must be uint8 [N, H, W, 3], got {frames_NHWC.dtype} {list(shape)}"
        )
    if shape[1] % SIZE_MULTIPLE or shape[2] % SIZE_MULTIPLE:
        raise ValueError(f"height and width must be multiples of 32, got {shape[1]}x{shape[2]}")


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

    Raises:
        ModelError: a broken model file, or none of ours.
        EngineError: the backend is missing or cannot load the file.
        UsageError: no such model or backend, or threads or batch below 1.
    """
    # Here, not at the top: `streamseg --help` must not wait for onnxruntime to load.
    from streamseg.runtime.choosing.choice import choose_engine

    return choose_engine(
        model,
        backend=backend,
        precision=precision,
        size=size,
        threads=threads,
        batch=batch,
        low_latency=low_latency,
        build=build,
    ).engine
