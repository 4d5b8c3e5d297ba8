"""How a network wants its pixels: told by its graph or by what lies beside it, else guessed.

A network sees ``(p * scale - mean) / std``, with p of 0..255.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from streamseg.importing.foreign import Foreign, Port

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_STEPS = ("Sub", "Div", "Mul", "Add", "BatchNormalization")
_MOVES = ("Cast", "Transpose", "Identity", "Unsqueeze", "Squeeze")
_RAW = 2.0
"""A mean or a divisor above it speaks of pixels up to 255."""

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pixels:
    """Order and scale of a picture's samples."""

    scale: float = 1 / 255
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    bgr: bool = False
    """Blue first; mean and std are then in that order, too."""

    def __str__(self) -> str:
        order = "BGR" if self.bgr else "RGB"
        scaled = "p" if self.scale == 1 else f"p / {1 / self.scale:g}"
        if self.mean == (0, 0, 0) and self.std == (1, 1, 1):
            low, high = 0, 255 * self.scale
            return f"{order}, {scaled} (0..{high:g})" if low == 0 else order
        mean, std = (",".join(f"{v:g}" for v in values) for values in (self.mean, self.std))
        return f"{order}, ({scaled} - {mean}) / {std}"

    def affine(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """`shift` and `factor` of ``(p - shift) * factor``, float32 ``[3]``, in `bgr`'s order."""
        mean, std = np.asarray(self.mean, np.float64), np.asarray(self.std, np.float64)
        return (mean / self.scale).astype(np.float32), (self.scale / std).astype(np.float32)


def guess_pixels(foreign: Foreign, port: Port, layout: str) -> tuple[Pixels, str]:
    """What the network most likely wants, and why, in words."""
    if port.kind == onnx.TensorProto.UINT8:
        return Pixels(scale=1.0), "its input is uint8: the rest is in the graph"
    if (inside := _inside(foreign.model, port.name)) is not None:
        return inside
    if foreign.preprocessor:
        return _of_preprocessor(foreign.preprocessor), "preprocessor_config.json says so"
    if foreign.notes.get("author") == "Ultralytics":
        return Pixels(), "what Ultralytics' networks take"
    if layout == "nhwc":
        return Pixels(), "a guess: what networks of Keras often take"
    return (
        Pixels(mean=IMAGENET_MEAN, std=IMAGENET_STD),
        "a guess: ImageNet's mean and deviation, what PyTorch's networks usually take",
    )


def _of_preprocessor(config: Any) -> Pixels:
    """Hugging Face's: rescale, then normalise."""
    scale = 1.0
    if config.get("do_rescale", True):
        scale = _number(config.get("rescale_factor"), 1 / 255)
    if not config.get("do_normalize", True):
        return Pixels(scale=scale)
    return Pixels(
        scale=scale,
        mean=_triple(config.get("image_mean"), IMAGENET_MEAN),
        std=_triple(config.get("image_std"), IMAGENET_STD),
    )


def _number(value: Any, otherwise: float) -> float:
    good = isinstance(value, (int, float)) and np.isfinite(value) and value > 0
    return float(value) if good else otherwise


def _triple(value: Any, otherwise: Triple) -> Triple:
    if isinstance(value, Sequence) and len(value) == 3:
        try:
            return float(value[0]), float(value[1]), float(value[2])
        except (TypeError, ValueError):
            pass
    return otherwise


def _inside(model: onnx.ModelProto, name: str) -> tuple[Pixels, str] | None:
    """Whether the graph's first steps already bring pixels to its liking, and from which range."""
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    constants |= {
        node.output[0]: attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    }
    for _ in range(8):
        readers = [node for node in model.graph.node if name in node.input]
        readers = [node for node in readers if node.op_type != "Shape"]
        if len(readers) != 1:
            return None
        node = readers[0]
        if node.op_type in _STEPS:
            values = [
                numpy_helper.to_array(constants[other]).astype(np.float64).ravel()
                for other in node.input
                if other != name and other in constants
            ]
            if node.op_type == "BatchNormalization" and len(values) == 4:
                values = [values[2]]  # its running mean
            if len(values) != 1 or values[0].size not in (1, 3):
                return None
            return _of_first_step(node.op_type, values[0])
        if node.op_type not in _MOVES:
            return None
        name = node.output[0]
    return None


def _of_first_step(kind: str, values: NDArray[np.float64]) -> tuple[Pixels, str]:
    largest = float(np.abs(values).max())
    raw = largest > _RAW
    if kind == "Mul":
        raw = largest < 0.1
    elif kind == "Div":
        raw = largest > 10 * _RAW
    # Caffe's means, of blue first: 103.9, 116.8, 123.7.
    bgr = values.size == 3 and kind in ("Sub", "Add") and raw and abs(values[0]) < abs(values[2])
    why = f"the graph itself begins with {kind} {', '.join(f'{value:g}' for value in values)}"
    return Pixels(scale=1.0 if raw else 1 / 255, bgr=bool(bgr)), why
