"""One real picture through the wrapped graph, and through the source file by hand: the same labels?

By hand means: ONNX Runtime runs the file as it came; what streamseg's wrapping does in the graph is
done here in NumPy and OpenCV.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnx
from numpy.typing import NDArray

from streamseg.importing.foreign import Foreign
from streamseg.importing.outputs import Output
from streamseg.importing.plan import Plan
from streamseg.importing.probe import PIXELS, Source
from streamseg.models.modelfile import ModelHeader
from streamseg.runtime.backends.base import LoadOptions
from streamseg.runtime.backends.onnxruntime import OnnxRuntimeEngine

_ROUNDING = 1e-3
"""Of the range of a picture's scores: two classes closer than that are a tie, decided by the order
in which products are added up. float16 graphs get ten times that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How the wrapped graph's labels compare with those made by hand."""

    pixels: int
    equal: int
    ties: int
    """Pixels with another label whose two scores are equal but for rounding."""

    @property
    def whole(self) -> bool:
        """Whether every label is the same, or a tie."""
        return self.equal + self.ties == self.pixels


def labels_of(path: Path, header: ModelHeader, frame_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Labels uint8 ``[H, W]`` that a model file gives a frame.

    Raises:
        ModelError, EngineError: ONNX Runtime cannot load or run it, or its labels cannot be.
    """
    with OnnxRuntimeEngine(path, header, LoadOptions(low_latency=True)) as engine:
        return np.asarray(engine.infer(frame_HWC[None])[0])


def compare(
    foreign: Foreign, plan: Plan, frame_HWC: NDArray[np.uint8], labels_HW: NDArray[np.uint8]
) -> Agreement:
    """Compare labels with those that the source file gives by hand."""
    outputs = Source(foreign).run(plan.port.name, _input(plan, frame_HWC))
    scores = _scores(outputs[plan.output.name], plan.output, labels_HW.shape)
    by_hand = np.argmax(scores, axis=-1) if scores.ndim == 3 else scores
    equal = labels_HW == by_hand
    ties = 0
    if not equal.all() and scores.ndim == 3:
        other = scores[~equal]
        rows = np.arange(len(other))
        gap = np.abs(other[rows, by_hand[~equal]] - other[rows, labels_HW[~equal]])
        half = plan.port.kind == onnx.TensorProto.FLOAT16
        ties = int((gap <= _ROUNDING * (10 if half else 1) * np.ptp(scores)).sum())
    return Agreement(pixels=int(labels_HW.size), equal=int(equal.sum()), ties=ties)


def _input(plan: Plan, frame_HWC: NDArray[np.uint8]) -> NDArray[np.generic]:
    pixels = plan.pixels
    values = frame_HWC[..., ::-1] if pixels.bgr else frame_HWC
    if plan.port.kind != onnx.TensorProto.UINT8:
        floats = values.astype(np.float64) * pixels.scale
        values = (floats - np.asarray(pixels.mean)) / np.asarray(pixels.std)
    if plan.layout == "nchw":
        values = values.transpose(2, 0, 1)
    return np.ascontiguousarray(values[None]).astype(PIXELS[plan.port.kind])


def _scores(
    values: NDArray[np.generic], output: Output, size: tuple[int, ...]
) -> NDArray[np.generic]:
    """Scores ``[H, W, K]``, or labels ``[H, W]``, at a picture's height and width."""
    whole = values[0]
    if whole.ndim == 3 and output.axes == (2, 3):
        whole = whole.transpose(1, 2, 0)
    if whole.ndim == 3 and whole.shape[-1] == 1:
        whole = whole[..., 0]
    height, width = size
    if output.form == "labels":
        labels = whole.astype(np.uint8)
        exact = cv2.INTER_NEAREST_EXACT
        return np.asarray(cv2.resize(labels, (width, height), interpolation=exact))
    scores = np.ascontiguousarray(whole, dtype=np.float32)
    if scores.shape[:2] != (height, width):
        planes = scores[..., None] if scores.ndim == 2 else scores
        resized = [
            cv2.resize(np.ascontiguousarray(planes[..., k]), (width, height))
            for k in range(planes.shape[-1])
        ]
        scores = np.stack(resized, axis=-1)
        scores = scores[..., 0] if whole.ndim == 2 else scores
    if output.form == "binary":
        return np.stack([np.full_like(scores, output.threshold), scores], axis=-1)
    return scores
