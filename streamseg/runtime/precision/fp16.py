"""An fp32 graph to one whose feature maps and weights are float16, types written out.

For backends that take types from the graph (strongly typed TensorRT). uint8 stays at both ends,
next to a Cast. In a graph with Q and DQ the scales become float16, and with them what is read back:
else all that is not quantised would be computed in float32. What is computed from sizes alone (the
pyramid's matrices) stays in float32, because counting pixels in float16 ends at 2,048; the matrices
themselves are cast.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from streamseg.runtime.precision.graph import float_ranks, initializers, replace_nodes

_SIZES_ONLY = ("Shape", "Size")
"""What they say does not depend on values."""
_NEVER_HALF = {"Resize": (1, 2, 3)}
"""Inputs that the operator defines as float32 (or integers)."""
_LARGEST = float(np.finfo(np.float16).max)


def to_float16(model: onnx.ModelProto, exclude: Sequence[str] = ()) -> None:
    """Turn everything that depends on the picture into float16, in place.

    Nodes in `exclude` stay in float32 between casts, and so does one whose weights float16 cannot
    hold.
    """
    graph = model.graph
    floats = set(float_ranks(model)) | {
        name
        for name, tensor in initializers(model).items()
        if tensor.data_type == TensorProto.FLOAT
    }
    weights = initializers(model)
    halves: set[str] = set()
    casts: dict[tuple[str, int], str] = {}
    nodes: list[onnx.NodeProto] = []

    def as_type(name: str, kind: int) -> str:
        """A tensor's name in a type; casts it, or rounds a constant, once."""
        if (kind == TensorProto.FLOAT16) == (name in halves):
            return name
        if (name, kind) not in casts:
            suffix = "fp16" if kind == TensorProto.FLOAT16 else "fp32"
            casts[name, kind] = f"{name}.{suffix}"
            if name in weights:
                values = numpy_helper.to_array(weights[name]).astype(np.float16)
                graph.initializer.append(numpy_helper.from_array(values, f"{name}.fp16"))
            else:
                nodes.append(
                    onnx.helper.make_node(
                        "Cast", [name], [f"{name}.{suffix}"], f"{name}.to_{suffix}", to=kind
                    )
                )
        return casts[name, kind]

    pictures = {graph.input[0].name}
    for node in graph.node:
        on_pictures = node.op_type not in _SIZES_ONLY and any(n in pictures for n in node.input)
        if on_pictures:
            pictures.update(node.output)
        read_back = node.op_type == "DequantizeLinear" and set(node.input) <= set(weights)
        half = (on_pictures or read_back) and node.name not in set(exclude) and _fits(node, weights)
        kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
        if node.op_type == "Cast":
            _retype_cast(node, half and node.output[0] in floats)
        for index, name in enumerate(node.input):
            if name not in floats or index in _NEVER_HALF.get(node.op_type, ()):
                continue
            if node.op_type != "Cast":
                node.input[index] = as_type(name, kind)
        if half:
            halves.update(name for name in node.output if name in floats)
        nodes.append(node)
    replace_nodes(model, nodes)


def _retype_cast(node: onnx.NodeProto, half: bool) -> None:
    """A Cast to float32 of pictures becomes one to float16."""
    for attribute in node.attribute:
        if attribute.name == "to" and half:
            attribute.i = TensorProto.FLOAT16


def _fits(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> bool:
    """Whether float16 holds all of a node's constants."""
    values = [
        numpy_helper.to_array(weights[name])
        for name in node.input
        if name in weights and weights[name].data_type == TensorProto.FLOAT
    ]
    return all(float(np.abs(array).max(initial=0)) <= _LARGEST for array in values)
