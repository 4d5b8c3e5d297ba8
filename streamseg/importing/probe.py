"""Runs somebody else's graph as it is, to see what it takes and gives: declarations often hide it.

Shape legend: N batch, C channels, H and W the picture's size, h and w an output's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto

from streamseg.errors import ModelError
from streamseg.importing.foreign import Foreign, Port

Arrays = Mapping[str, NDArray[np.generic]]
"""Outputs by name."""

MULTIPLES = (32, 64, 14, 16, 8, 1)
"""Tried in this order: 32 is what most networks halve a picture to; 14 is that of some
transformers' patches. The first that works is taken."""

PIXELS: Mapping[int, np.dtype[Any]] = {
    TensorProto.FLOAT: np.dtype(np.float32),
    TensorProto.FLOAT16: np.dtype(np.float16),
    TensorProto.UINT8: np.dtype(np.uint8),
}
"""Element types of a picture that a graph may take."""


class Source:
    """A foreign graph in ONNX Runtime.

    Args:
        foreign: the file.
        also: tensors inside the graph to give out beside its outputs.

    Raises:
        ModelError: ONNX Runtime cannot load it.
    """

    def __init__(self, foreign: Foreign, also: Sequence[str] = ()) -> None:
        self._path = foreign.path
        model = foreign.model
        known = {value.name for value in model.graph.output}
        added = [
            onnx.helper.make_empty_tensor_value_info(name) for name in also if name not in known
        ]
        model.graph.output.extend(added)
        options = ort.SessionOptions()
        options.log_severity_level = 4
        try:
            graph = model.SerializeToString()
            self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's own errors share no other base class
            raise ModelError(
                f"{foreign.path}: ONNX Runtime {ort.__version__} cannot load this graph "
                f"({_line(error)})"
            ) from error
        finally:
            if added:
                del model.graph.output[-len(added) :]

    def run(self, name: str, picture: NDArray[np.generic]) -> Arrays:
        """All outputs for one input.

        Raises:
            ModelError: ONNX Runtime failed.
        """
        names = [output.name for output in self._session.get_outputs()]
        try:
            found = self._session.run(names, {name: picture})
        except Exception as error:  # as above
            raise ModelError(
                f"{self._path}: ONNX Runtime failed on an input {list(picture.shape)} "
                f"({_line(error)})"
            ) from error
        return {key: np.asarray(value) for key, value in zip(names, found, strict=True)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """What pictures a graph takes, as tried."""

    fixed: tuple[int, int] | None
    """Width and height that it is fixed to."""
    multiple: int
    """What width and height are multiples of; 1 if the size is fixed."""
    size: tuple[int, int]
    """Width and height of `outputs`' picture."""
    outputs: Arrays
    """What it gives for a picture of noise."""
    batch: bool
    """Whether it takes several pictures a call, and says the same of each as of one alone."""
    why_one: str = ""
    """Why not."""


def make_input(
    port: Port, layout: str, size: tuple[int, int], pictures: int = 1
) -> NDArray[np.generic]:
    """Noise of a graph's input type: 0..255 in uint8, about 0 in floats."""
    width, height = size
    shape = (pictures, 3, height, width) if layout == "nchw" else (pictures, height, width, 3)
    noise = np.random.default_rng(0)
    if port.kind == TensorProto.UINT8:
        return noise.integers(0, 256, shape, np.uint8)
    return noise.standard_normal(shape, np.float32).astype(PIXELS[port.kind])


def try_sizes(
    source: Source,
    port: Port,
    layout: str,
    *,
    fixed: tuple[int, int] | None,
    multiple: int | None,
    one_only: bool,
) -> Taken:
    """Find out which sizes and batches a graph takes by giving it some.

    Args:
        source: the graph.
        port: its picture.
        layout: ``nchw`` or ``nhwc``.
        fixed: the size it declares, if it does.
        multiple: what sizes are multiples of, where that is known.
        one_only: whether it declares one picture a call.

    Raises:
        ModelError: it fails at every size.
    """

    def run(size: tuple[int, int], pictures: int = 1) -> Arrays:
        return source.run(port.name, make_input(port, layout, size, pictures))

    if fixed is not None:
        step, size, outputs = 1, fixed, run(fixed)
    else:
        step, size, outputs = _smallest_step(run, multiple)
    why_one = "the graph is fixed to it" if one_only else _why_one(run, size, outputs)
    return Taken(
        fixed=fixed,
        multiple=step,
        size=size,
        outputs=outputs,
        batch=not why_one,
        why_one=why_one,
    )


def _smallest_step(
    run: Callable[[tuple[int, int]], Arrays], multiple: int | None
) -> tuple[int, tuple[int, int], Arrays]:
    first: ModelError | None = None
    for step in MULTIPLES if multiple is None else (multiple,):
        # Two sizes of different shapes, each an odd number of steps where that is large enough.
        few = max(3, -(-96 // step) | 1)
        wide, tall = ((few + 2) * step, few * step), (few * step, (few + 4) * step)
        try:
            run(tall)
            return step, wide, run(wide)
        except ModelError as error:
            first = first or error
    assert first is not None, "there is a step to try"
    raise ModelError(
        f"{first}; it takes pictures of one size only, it seems: say which with --size"
    ) from first


def _why_one(
    run: Callable[[tuple[int, int], int], Arrays], size: tuple[int, int], alone: Arrays
) -> str:
    try:
        both = run(size, 2)
    except ModelError:
        return "two a call make it fail"
    for name, one in alone.items():
        if both[name].shape[1:] != one.shape[1:] or both[name].shape[0] != 2 * one.shape[0]:
            return f"two a call give {name} {list(both[name].shape)}"
        # The first picture of two is the one that was alone: noise is drawn in this order.
        if not np.allclose(both[name][: len(one)], one, rtol=1e-2, atol=1e-2 * _spread(one)):
            return "what it says of a picture depends on the others of its call"
    return ""


def _spread(values: NDArray[np.generic]) -> float:
    return float(np.abs(values.astype(np.float32)).max(initial=0))


def _line(error: Exception) -> str:
    text = str(error).strip()
    return f"{text.splitlines()[0]:.200}" if text else type(error).__name__
