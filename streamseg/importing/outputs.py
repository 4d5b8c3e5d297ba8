"""Which output of a graph says the classes, and how: scores, labels, a foreground's score."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import onnx
from numpy.typing import NDArray

from streamseg.errors import ModelError, UsageError
from streamseg.importing.foreign import Foreign, Port
from streamseg.importing.kinds import map_axes, refuse_depth
from streamseg.importing.probe import Source, Taken, make_input

Form = Literal["scores", "labels", "binary"]

_MAIN_OUTPUTS = ("out", "logits", "output", "mask", "masks", "pred", "seg", "semantic")
_PASSING = ("Squeeze", "Unsqueeze", "Identity", "Cast", "Resize", "Transpose", "Reshape")
_SCORING = ("Conv", "ConvTranspose", "Add", "BatchNormalization")
"""What a score before its sigmoid comes out of."""
_LARGEST_CLASSES = 255


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The output that says the classes."""

    name: str
    form: Form
    axes: tuple[int, int]
    """Of height and width."""
    classes: int | None
    """How many it tells apart; None if nothing in the graph says it."""
    threshold: float = 0.0
    """Binary: what is above it is the second class."""
    enlarged: int | None = 1
    """Picture pixels a label, where that is one whole number; None: sizes are computed."""


def choose_output(
    foreign: Foreign,
    port: Port,
    layout: str,
    taken: Taken,
    *,
    asked: str | None,
    named: bool,
) -> tuple[Output, str]:
    """The output that says the classes, and a sentence about it.

    Args:
        foreign: the file.
        port: its picture, in `layout`.
        layout: ``nchw`` or ``nhwc``.
        taken: what it gave; at least one output is a map.
        asked: the name of the output to take; None chooses.
        named: whether the caller named the classes: a score alone is then no depth.

    Raises:
        UsageError: no such output, or a score that may be a depth.
        ModelError: a depth, or more classes than a model file has.
    """
    maps = {n: a for n, a in taken.outputs.items() if map_axes(a.shape, taken.size) is not None}
    if asked is not None and asked not in maps:
        raise UsageError(
            f"{foreign.path}: no output {asked!r} that lies over the picture; "
            f"those that do: {', '.join(maps)}"
        )
    first = next((n for n in maps if n.lower() in _MAIN_OUTPUTS), next(iter(maps)))
    name = asked or first
    array = maps[name]
    axes = map_axes(array.shape, taken.size)
    assert axes is not None, "only maps were kept"
    channels = array.shape[6 - sum(axes)] if array.ndim == 4 else 1
    enlarged = _enlarged(array.shape[axes[0]], array.shape[axes[1]], taken.size)
    where = _where(array, axes, taken, enlarged)
    others = [n for n in taken.outputs if n != name]
    rest = f"; not used: {', '.join(others)}" if others else ""
    if array.dtype.kind in "iub":
        form: Form = "labels"
        count, threshold = _argmax_classes(foreign, port, layout, taken), 0.0
        what = f"labels {where}"
    elif channels == 1:
        form, count = "binary", 2
        threshold, why = _threshold(foreign, name, named)
        what = f"one score {where}, the second class above {threshold:g} ({why})"
    elif channels > _LARGEST_CLASSES:
        raise ModelError(
            f"{foreign.path}: {name} has {channels} channels, and a model file has at most "
            f"{_LARGEST_CLASSES} classes; is it a backbone, whose features these are?"
        )
    else:
        form, count, threshold = "scores", channels, 0.0
        what = f"scores of {channels} classes {where}"
    output = Output(
        name=name, form=form, axes=axes, classes=count, threshold=threshold, enlarged=enlarged
    )
    return output, f"{name}: {what}{rest}"


def _enlarged(rows: int, columns: int, size: tuple[int, int]) -> int | None:
    factor = size[0] // columns
    return factor if factor and (columns * factor, rows * factor) == size else None


def _where(
    array: NDArray[np.generic], axes: tuple[int, int], taken: Taken, enlarged: int | None
) -> str:
    if enlarged == 1:
        return "at the picture's size"
    if enlarged is not None:
        return f"at 1/{enlarged} of the picture's size"
    width, height = taken.size
    return f"at {array.shape[axes[1]]}x{array.shape[axes[0]]} of {width}x{height}"


def _maker(foreign: Foreign, name: str, wanted: Callable[[str], bool]) -> onnx.NodeProto | None:
    """The node behind an output, past those that only move values; None if it is not wanted."""
    nodes: list[onnx.NodeProto] = list(foreign.model.graph.node)
    made_by: dict[str, onnx.NodeProto] = {out: node for node in nodes for out in node.output}
    for _ in range(12):
        node = made_by.get(name)
        if node is None:
            return None
        if wanted(node.op_type):
            return node
        if node.op_type not in _PASSING:
            return None
        name = node.input[0]
    return None


def _argmax_classes(foreign: Foreign, port: Port, layout: str, taken: Taken) -> int | None:
    """How many classes a graph tells apart that gives labels: as many as it decides between."""
    for output in taken.outputs:
        node = _maker(foreign, output, lambda kind: kind in ("ArgMax", "TopK"))
        if node is None:
            continue
        axis = next((a.i for a in node.attribute if a.name == "axis"), 0)
        scores = node.input[0]
        noise = make_input(port, layout, taken.size)
        shape = Source(foreign, also=[scores]).run(port.name, noise)[scores].shape
        return int(shape[axis])
    return None


def _threshold(foreign: Foreign, name: str, named: bool) -> tuple[float, str]:
    """The threshold between background and foreground; refuses what is a depth."""
    ends = _maker(foreign, name, lambda kind: kind not in _PASSING)
    kind = "" if ends is None else ends.op_type
    if kind in ("Sigmoid", "HardSigmoid"):
        return 0.5, f"it ends in {kind}: a probability"
    if kind not in _SCORING:
        raise refuse_depth(foreign, name, f"and ends in {kind}" if kind else "without a sigmoid")
    if named:
        return 0.0, f"it ends in {kind}: a score before its sigmoid"
    raise UsageError(
        f"{foreign.path}: {name} is one value a pixel: a depth, or the score of a foreground; "
        "if it is the latter, say so with --classes background,NAME"
    )
