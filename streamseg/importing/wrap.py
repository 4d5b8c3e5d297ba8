"""Puts what a model file promises around somebody else's graph: uint8 frames in, uint8 labels out.

Normalisation before it; enlargement and the choice of the class behind it; a header. The graph
itself stays as it is. See `streamseg.models.modelfile`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamseg.importing.foreign import Foreign
from streamseg.importing.outputs import Output
from streamseg.importing.plan import Plan
from streamseg.models.modelfile import HEADER_KEY, ModelHeader
from streamseg.runtime.precision.graph import names_read

_PREFIX = "streamseg."
_INPUT, _LABELS = "frames", "labels"


def wrap(foreign: Foreign, plan: Plan, header: ModelHeader) -> onnx.ModelProto:
    """A model file's graph."""
    inner = _renamed(foreign.model, plan)
    before, behind = _Nodes(f"{_PREFIX}in"), _Nodes(f"{_PREFIX}out")
    _before(before, plan, _net(plan.port.name))
    _behind(behind, plan, _net(plan.output.name))
    nodes = [*before.nodes, *inner.graph.node, *behind.nodes]
    kept = list(_needed(nodes))
    used = {name for node in kept for name in names_read(node)}
    constants = [*before.constants, *inner.graph.initializer, *behind.constants]
    width, height = plan.taken.fixed or ("W", "H")
    batch: int | str = "N" if plan.taken.batch else 1
    graph = helper.make_graph(
        kept,
        header.name,
        [helper.make_tensor_value_info(_INPUT, TensorProto.UINT8, [batch, height, width, 3])],
        [helper.make_tensor_value_info(_LABELS, TensorProto.UINT8, [batch, height, width])],
        initializer=[tensor for tensor in constants if tensor.name in used],
    )
    graph.sparse_initializer.extend(inner.graph.sparse_initializer)
    model = helper.make_model(
        graph, opset_imports=list(inner.opset_import), ir_version=max(8, inner.ir_version)
    )
    helper.set_model_props(model, {HEADER_KEY: header.to_json()})
    onnx.checker.check_model(model)
    return model


def _net(name: str) -> str:
    return f"net/{name}"


def _renamed(model: onnx.ModelProto, plan: Plan) -> onnx.ModelProto:
    """The graph under names that ours do not meet, each node with one of its own."""
    from onnx.compose import add_prefix

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    constants = {tensor.name for tensor in copy.graph.initializer}
    # What is both an input and a constant is a constant here.
    inputs = [value for value in copy.graph.input if value.name not in constants]
    del copy.graph.input[:]
    copy.graph.input.extend(inputs)
    seen: set[str] = set()
    for index, node in enumerate(copy.graph.node):
        if not node.name or node.name in seen:
            node.name = f"{node.op_type}_{index}"
        seen.add(node.name)
    return add_prefix(copy, _net(""))


class _Nodes:
    """Nodes in a row, each fed by the one before."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, what: str, values: NDArray[np.generic]) -> str:
        name = f"{self.prefix}.{what}"
        self.constants.append(numpy_helper.from_array(values, name))
        return name

    def add(self, kind: str, *inputs: str, output: str = "", **attributes: Any) -> str:
        name = f"{self.prefix}.{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [output or name], name, **attributes))
        return output or name


def _before(nodes: _Nodes, plan: Plan, into: str) -> None:
    value, pixels = _INPUT, plan.pixels
    if pixels.bgr:
        value = nodes.add("Gather", value, nodes.constant("bgr", _ints(2, 1, 0)), axis=3)
    if plan.port.kind != TensorProto.UINT8:
        shift, factor = pixels.affine()
        value = nodes.add("Cast", value, to=TensorProto.FLOAT)
        if shift.any():
            value = nodes.add("Sub", value, nodes.constant("shift", shift))
        if (factor != 1).any():
            value = nodes.add("Mul", value, nodes.constant("factor", factor))
    if plan.layout == "nchw":
        value = nodes.add("Transpose", value, perm=[0, 3, 1, 2])
    if plan.port.kind == TensorProto.FLOAT16:
        value = nodes.add("Cast", value, to=TensorProto.FLOAT16)
    nodes.add("Identity", value, output=into)


def _behind(nodes: _Nodes, plan: Plan, value: str) -> None:
    output = plan.output
    rank4 = plan.taken.outputs[output.name].ndim == 4
    value = nodes.add("Cast", value, to=TensorProto.FLOAT)
    if not rank4:
        value = nodes.add("Unsqueeze", value, nodes.constant("axis", _ints(1)))
    elif output.axes == (1, 2):
        value = nodes.add("Transpose", value, perm=[0, 3, 1, 2])
    if output.enlarged != 1:
        value = _enlarged(nodes, output, value)
    if output.form == "scores":
        value = nodes.add("ArgMax", value, axis=1, keepdims=0)
        # TensorRT has no Cast from int64 to uint8.
        value = nodes.add("Cast", value, to=TensorProto.FLOAT)
    else:
        if output.form == "binary":
            limit = nodes.constant("threshold", np.array(output.threshold, np.float32))
            value = nodes.add("Cast", nodes.add("Greater", value, limit), to=TensorProto.FLOAT)
        value = nodes.add("Squeeze", value, nodes.constant("axis1", _ints(1)))
    nodes.add("Cast", value, to=TensorProto.UINT8, output=_LABELS)


def _enlarged(nodes: _Nodes, output: Output, value: str) -> str:
    """Scores bilinear, as PyTorch's interpolate without align_corners; labels from the nearest."""
    how: dict[str, Any] = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    if output.form == "labels":
        how |= {"mode": "nearest", "nearest_mode": "round_prefer_floor"}
    if output.enlarged is not None:
        scales = nodes.constant("scales", np.array([1, 1, *[output.enlarged] * 2], np.float32))
        return nodes.add("Resize", value, "", scales, **how)
    theirs = nodes.add("Gather", nodes.add("Shape", value), nodes.constant("nc", _ints(0, 1)))
    ours = nodes.add("Gather", nodes.add("Shape", _INPUT), nodes.constant("hw", _ints(1, 2)))
    sizes = nodes.add("Concat", theirs, ours, axis=0)
    return nodes.add("Resize", value, "", "", sizes, **how)


def _ints(*values: int) -> NDArray[np.int64]:
    return np.array(values, np.int64)


def _needed(nodes: list[onnx.NodeProto]) -> Iterator[onnx.NodeProto]:
    """Nodes that the labels need, in their order: not those of an auxiliary head."""
    wanted = {_LABELS}
    kept: set[int] = set()
    for index in reversed(range(len(nodes))):
        if wanted.intersection(nodes[index].output):
            kept.add(index)
            wanted.update(names_read(nodes[index]))
    return (node for index, node in enumerate(nodes) if index in kept)
