"""What runs a model: the `Engine` protocol, and what an engine says of itself.

An engine is a context manager. It knows nothing about videos, stages or command lines.

Shape legend: N batch, H height, W width (the network's input size).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import EngineError
from streamseg.models.modelfile import ModelHeader

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


def check_labels(
    labels_NHW: NDArray[np.uint8], frames_NHWC: NDArray[np.uint8], header: ModelHeader, path: Path
) -> None:
    """Refuse what a model file of ours never gives, and what would be drawn as something else.

    Raises:
        EngineError: labels of another shape than the frames, or beyond the model's classes.
    """
    if labels_NHW.shape != frames_NHWC.shape[:3]:
        raise EngineError(
            f"{path}: gives labels {list(labels_NHW.shape)} for frames "
            f"{list(frames_NHWC.shape)}; expected {list(frames_NHWC.shape[:3])}: "
            "export the model again"
        )
    largest, classes = int(labels_NHW.max()), len(header.classes)
    if largest >= classes:
        raise EngineError(
            f"{path}: gives label {largest}, and its header names {classes} classes (0 to "
            f"{classes - 1}); export the model again"
        )


def check_frames(frames_NHWC: NDArray[np.uint8], header: ModelHeader) -> None:
    """Refuse what no engine of a model can take.

    Raises:
        ValueError: not uint8 ``[N, H, W, 3]``, or H and W that the model does not take.
    """
    shape = frames_NHWC.shape
    if frames_NHWC.dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
        raise ValueError(
            f"frames must be uint8 [N, H, W, 3], got {frames_NHWC.dtype} {list(shape)}"
        )
    if problem := header.sizes.problem((shape[2], shape[1])):
        raise ValueError(problem)
