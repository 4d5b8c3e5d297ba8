"""Small graphs of the kinds that exporters write, with weights that tell red, green and blue apart.

Each gives class 0 where red is strongest, 1 for green, 2 for blue, whatever its input, its axes and
its stride: what it says of a picture is known.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

FLOAT, HALF, INT64, UINT8 = (
    TensorProto.FLOAT,
    TensorProto.FLOAT16,
    TensorProto.INT64,
    TensorProto.UINT8,
)
Side = int | str | None
STRIPES = np.zeros((64, 96, 3), np.uint8)
"""A picture, 96x64: a red, a green and a blue third, none of them pure."""
STRIPES[:] = (90, 70, 60)
for _third in range(3):
    STRIPES[:, 32 * _third : 32 * (_third + 1), _third] = 200


def save(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Sequence[tuple[str, int, Sequence[Side]]],
    outputs: Sequence[tuple[str, int, Sequence[Side]]],
    constants: dict[str, NDArray[np.generic]] | None = None,
    *,
    notes: dict[str, str] | None = None,
    opset: int = 17,
) -> Path:
    """Write a graph."""
    graph = helper.make_graph(
        list(nodes),
        "net",
        [helper.make_tensor_value_info(*port) for port in inputs],
        [helper.make_tensor_value_info(*port) for port in outputs],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    helper.set_model_props(model, notes or {})
    onnx.save(model, str(path))
    return path


def weights(stride: int = 1, kind: type[np.floating] = np.float32) -> NDArray[np.floating]:
    """Of a convolution ``[3, 3, stride, stride]`` whose output k is the mean of channel k."""
    return np.asarray(
        np.eye(3)[:, :, None, None] * np.full((1, 1, stride, stride), 1 / stride**2), kind
    )


def torchvision_like(path: Path, *, stride: int = 1, free: bool = True, kind: int = FLOAT) -> Path:
    """Channels first in, scores at 1/stride out (SegFormer's are at 1/4), an auxiliary head."""
    sides: list[Side] = ["n", 3, "h", "w"] if free else [1, 3, 64, 96]
    out: list[Side] = ["n", 3, "a", "b"] if free else [1, 3, 64 // stride, 96 // stride]
    dtype = np.float16 if kind == HALF else np.float32
    nodes = [
        helper.make_node("Conv", ["input", "weight"], ["out"], strides=[stride, stride]),
        helper.make_node("Neg", ["out"], ["aux"]),
    ]
    return save(
        path,
        nodes,
        [("input", kind, sides)],
        [("aux", kind, out), ("out", kind, out)],
        {"weight": weights(stride, dtype)},
    )


def unet_like(path: Path, depth: int = 64) -> Path:
    """Halves the picture until a cell is `depth` pixels, and adds what it enlarges again: other
    sizes than multiples of that fail, as with every network that joins skips."""
    nodes = [
        helper.make_node(
            "AveragePool", ["image"], ["small"], kernel_shape=[depth] * 2, strides=[depth] * 2
        ),
        helper.make_node("Resize", ["small", "", "scales"], ["large"], mode="nearest"),
        helper.make_node("Mul", ["large", "little"], ["faint"]),
        helper.make_node("Add", ["image", "faint"], ["mask"]),
    ]
    constants: dict[str, NDArray[np.generic]] = {
        "scales": np.array([1, 1, depth, depth], np.float32),
        "little": np.array(0.01, np.float32),
    }
    sides: list[Side] = ["n", 3, "h", "w"]
    return save(path, nodes, [("image", FLOAT, sides)], [("mask", FLOAT, sides)], constants)


def keras_like(path: Path, *, inside: bool = False) -> Path:
    """Channels last, a softmax; `inside`: it brings 0..255 to -1..1 itself."""
    nodes = [
        helper.make_node("Transpose", ["x"], ["first"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["first", "weight"], ["scores"]),
        helper.make_node("Transpose", ["scores"], ["last"], perm=[0, 2, 3, 1]),
        helper.make_node("Softmax", ["last"], ["probabilities"], axis=-1),
    ]
    constants: dict[str, NDArray[np.generic]] = {"weight": weights()}
    if inside:
        nodes[0].input[0] = "scaled"
        nodes.insert(0, helper.make_node("Div", ["input_1", "half"], ["divided"]))
        nodes.insert(1, helper.make_node("Sub", ["divided", "one"], ["scaled"]))
        constants |= {"half": np.array(127.5, np.float32), "one": np.array(1, np.float32)}
    else:
        nodes[0].input[0] = "input_1"
    sides: list[Side] = [None, 64, 96, 3]
    ports = [("input_1", FLOAT, sides)]
    return save(path, nodes, ports, [("probabilities", FLOAT, sides)], constants, opset=13)


def ultralytics_like(path: Path, task: str = "semantic") -> Path:
    """Labels at a fixed size, and metadata in Python's words."""
    nodes = [
        helper.make_node("ArgMax", ["images"], ["decided"], axis=1, keepdims=0),
        helper.make_node("Cast", ["decided"], ["output0"], to=UINT8),
    ]
    notes = {
        "author": "Ultralytics",
        "task": task,
        "license": "AGPL-3.0",
        "names": "{0: 'red', 1: 'green', 2: 'blue'}",
    }
    outputs = [("output0", UINT8, [1, 64, 96])]
    return save(path, nodes, [("images", FLOAT, [1, 3, 64, 96])], outputs, notes=notes)


def binary_like(path: Path, end: str | None = None) -> Path:
    """One score a pixel: red above the mean of green and blue; through `end` at last."""
    weight = np.array([1, -0.5, -0.5], np.float32).reshape(1, 3, 1, 1)
    nodes = [helper.make_node("Conv", ["image", "weight"], ["score" if end else "mask"])]
    if end:
        nodes.append(helper.make_node(end, ["score"], ["mask"]))
    sides: list[Side] = ["n", 3, "h", "w"]
    one: list[Side] = ["n", 1, "h", "w"]
    ports = [("image", FLOAT, sides)], [("mask", FLOAT, one)]
    return save(path, nodes, *ports, {"weight": weight})


def giving(
    path: Path, shapes: dict[str, tuple[int, ...]], *, inputs: Sequence[Sequence[Side]] = ()
) -> Path:
    """Outputs of any shapes, whatever the picture: detectors, classifiers, backbones."""
    nodes = [helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0)]
    constants: dict[str, NDArray[np.generic]] = {}
    for name, shape in shapes.items():
        constants[f"{name}.shape"] = np.array(shape, np.int64)
        nodes.append(helper.make_node("Expand", ["mean", f"{name}.shape"], [name]))
    given: Sequence[Sequence[Side]] = inputs or [[1, 3, 64, 96]]
    ports: list[tuple[str, int, Sequence[Side]]] = [
        (f"images{number or ''}", FLOAT, sides) for number, sides in enumerate(given)
    ]
    outputs: list[tuple[str, int, Sequence[Side]]] = [
        (name, FLOAT, shape) for name, shape in shapes.items()
    ]
    return save(path, nodes, ports, outputs, constants)
