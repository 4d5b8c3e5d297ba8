"""What TensorRT refuses, or takes without a word and does otherwise, told before a GPU is at hand.

Rules were read in the ONNX parser's sources (10.x) and in the documentation; the graph has not been
through a real parser here. Knows nothing about precision or accuracy, and runs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import TensorProto, helper, numpy_helper, shape_inference
from onnx.onnx_cpp2py_export.checker import ValidationError
from onnx.onnx_cpp2py_export.shape_inference import InferenceError

from engines.errors import EngineBuildError
from streamseg.runtime.precision.graph import read_note

NEWEST_OPSET = 24
NODE_BUDGET = 500
"""Without conversions of weights: mbv2 has some 240. An export that writes shape arithmetic node by
node passes this, and the builder's time with it."""
CONTROL_FLOW = {"If", "Loop", "Scan"}
UNKNOWN = {
    *("ConvInteger", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul"),
    *("SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceErase", "SequenceInsert"),
    *("ConcatFromSequence", "SplitToSequence", "SequenceLength", "SequenceMap"),
    *("Det", "MaxRoiPool", "MaxUnpool", "Multinomial", "StringNormalizer", "TfIdfVectorizer"),
    "Unique",
}
"""Operators that the parser has no importer for."""
GATHERS = {"Gather", "GatherElements", "GatherND", "Scatter", "ScatterElements", "ScatterND"}
COORDINATES = {
    *("half_pixel", "pytorch_half_pixel", "tf_half_pixel_for_nn", "asymmetric", "align_corners"),
}
FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16}
INTEGERS = {TensorProto.INT32, TensorProto.INT64}


def lint(model: Path) -> list[str]:
    """What TensorRT would not take of a model file, one sentence each; empty if nothing was found.

    Raises:
        EngineBuildError: not a file that onnx can read.
    """
    try:
        loaded = onnx.load(model)
        if read_note(loaded).get("scheme") == "cpu":
            # Hundreds of nodes would say the same.
            return [
                "int8 for ONNX Runtime on a CPU, with zero-points; TensorRT takes what "
                "'streamseg build-engine --backend tensorrt --precision int8' makes"
            ]
        graph = Graph(loaded)
    except OSError as error:
        raise EngineBuildError(f"{model}: cannot be read ({error.strerror})") from error
    except (DecodeError, InferenceError, ValidationError) as error:
        raise EngineBuildError(f"{model}: not an ONNX file, or a broken one ({error})") from error
    return [problem for rule in RULES for problem in rule(graph)]


class Graph:
    """A model with what the rules ask of it."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = shape_inference.infer_shapes(model, data_prop=True)
        self.nodes = list(self.model.graph.node)
        self.weights = {weight.name: weight for weight in self.model.graph.initializer}
        self.producers = {name: node for node in self.nodes for name in node.output if name}

    @cached_property
    def types(self) -> dict[str, int]:
        """Tensor -> ONNX's number of its element type; those that are unknown are left out."""
        graph = self.model.graph
        known = [*graph.value_info, *graph.input, *graph.output]
        types = {value.name: value.type.tensor_type.elem_type for value in known}
        return {**types, **{name: weight.data_type for name, weight in self.weights.items()}}

    @cached_property
    def consumers(self) -> dict[str, list[onnx.NodeProto]]:
        """Tensor -> nodes that read it."""
        found: dict[str, list[onnx.NodeProto]] = {}
        for node in self.nodes:
            for name in node.input:
                found.setdefault(name, []).append(node)
        return found

    @cached_property
    def constants(self) -> set[str]:
        """Tensors that TensorRT can compute while it builds."""
        found = set(self.weights)
        for node in self.nodes:
            if all(name in found for name in node.input if name):
                found |= set(node.output)
        return found

    @cached_property
    def pictures(self) -> set[str]:
        """Tensors whose numbers come from the inputs' numbers, not from their shapes."""
        found = {value.name for value in self.model.graph.input} - set(self.weights)
        for node in self.nodes:
            if node.op_type not in ("Shape", "Size") and found & set(node.input):
                found |= set(node.output)
        return found

    def number(self, name: str) -> np.ndarray[Any, Any] | None:
        """A constant's numbers, if they are written in the graph."""
        if name in self.weights:
            return numpy_helper.to_array(self.weights[name])
        node = self.producers.get(name)
        if node is None or node.op_type != "Constant":
            return None
        value = attributes(node).get("value")
        return None if value is None else numpy_helper.to_array(value)


def attributes(node: onnx.NodeProto) -> dict[str, Any]:
    """Attribute -> value."""
    return {a.name: helper.get_attribute_value(a) for a in node.attribute}


def named(node: onnx.NodeProto) -> str:
    """A node as messages call it."""
    return f"{node.op_type} {node.name or '-> ' + ', '.join(node.output)!s}"


def opset(graph: Graph) -> Iterator[str]:
    """Operators of ONNX itself, in a version the parser knows."""
    for imported in graph.model.opset_import:
        if imported.domain in ("", "ai.onnx") and imported.version > NEWEST_OPSET:
            yield (
                f"opset {imported.version} is newer than {NEWEST_OPSET}, the newest that TensorRT "
                "knows; export with an older one"
            )
    for node in graph.nodes:
        if node.domain not in ("", "ai.onnx"):
            yield f"{named(node)}: an operator of {node.domain!r}, which TensorRT does not know"


def budget(graph: Graph) -> Iterator[str]:
    """A graph of reasonable size."""
    conversions = {"QuantizeLinear", "DequantizeLinear"}
    count = sum(
        1
        for node in graph.nodes
        if node.op_type not in conversions and not set(node.output) <= graph.constants
    )
    if count > NODE_BUDGET:
        yield (
            f"{count} nodes, at most {NODE_BUDGET} are expected: the export probably wrote shape "
            "arithmetic node by node"
        )


def operators(graph: Graph) -> Iterator[str]:
    """No control flow, nothing without an importer."""
    for node in graph.nodes:
        if node.op_type in CONTROL_FLOW:
            yield f"{named(node)}: control flow, which splits an engine and forbids CUDA graphs"
        elif node.op_type in UNKNOWN:
            yield f"{named(node)}: TensorRT has no such operator"


def bytes_at_the_ends(graph: Graph) -> Iterator[str]:
    """uint8 is for inputs and outputs only, right beside a cast from or to float."""
    inputs = {value.name for value in graph.model.graph.input}
    outputs = {value.name for value in graph.model.graph.output}
    for name, kind in graph.types.items():
        if kind != TensorProto.UINT8:
            continue
        if name not in inputs | outputs:
            yield f"{name}: uint8 inside the graph; only inputs and outputs may be"
        for node in graph.consumers.get(name, []):
            to_float = node.op_type == "Cast" and attributes(node)["to"] in FLOATS
            if name in inputs and not to_float:
                yield f"{named(node)} reads uint8 {name}; only a Cast to float may"
        maker = graph.producers.get(name)
        if name in outputs and maker is not None:
            source = graph.types.get(maker.input[0] if maker.input else "")
            if maker.op_type != "Cast" or (source is not None and source not in FLOATS):
                yield f"{named(maker)} makes uint8 {name}; only a Cast from float may"


def doubles(graph: Graph) -> Iterator[str]:
    """No float64."""
    for name, kind in graph.types.items():
        if kind == TensorProto.DOUBLE:
            yield f"{name}: float64, which TensorRT does not compute in; use float32"


def integers(graph: Graph) -> Iterator[str]:
    """Integers count shapes; of pictures only ArgMax makes them, and a Cast takes them."""
    for name, kind in graph.types.items():
        if kind not in INTEGERS or name not in graph.pictures or name not in graph.producers:
            continue
        maker = graph.producers[name]
        casts = all(node.op_type == "Cast" for node in graph.consumers.get(name, []))
        if maker.op_type not in ("ArgMax", "ArgMin") or not casts:
            kind_name = TensorProto.DataType.Name(kind).lower()
            yield (
                f"{named(maker)} makes {kind_name} {name} of pictures; only ArgMax may, with a "
                "Cast behind it"
            )


def resizes(graph: Graph) -> Iterator[str]:
    """Only what TensorRT's Resize does; it ignores what it does not know."""
    for node in graph.nodes:
        if node.op_type != "Resize":
            continue
        given = attributes(node)
        if given.get("antialias", 0):
            yield f"{named(node)}: antialias=1, which TensorRT ignores without a word"
        if given.get("keep_aspect_ratio_policy", b"stretch") != b"stretch":
            yield f"{named(node)}: keep_aspect_ratio_policy, which TensorRT ignores without a word"
        mode = given.get("coordinate_transformation_mode", b"half_pixel").decode()
        if mode not in COORDINATES:
            yield f"{named(node)}: coordinate_transformation_mode {mode}, which TensorRT has not"
        for name in list(node.input)[2:]:
            if name and name not in graph.constants:
                yield f"{named(node)}: scales or sizes that are computed; make them constants"


def quantisation(graph: Graph) -> Iterator[str]:
    """int8, symmetric: zero-points are 0; scales are constants."""
    for node in graph.nodes:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        if node.input[1] not in graph.constants:
            yield f"{named(node)}: a scale that is computed; calibrate, and write it"
        if len(node.input) < 3 or not node.input[2]:
            # Without a zero-point the type is uint8 by ONNX's rules.
            if node.op_type == "QuantizeLinear" and not attributes(node).get("output_dtype"):
                yield f"{named(node)}: no zero-point, so that it makes uint8; write int8 zeros"
            continue
        zero = graph.number(node.input[2])
        if zero is None:
            yield f"{named(node)}: a zero-point that is computed; TensorRT wants zeros"
        elif np.any(zero.astype(np.float32) != 0):
            yield f"{named(node)}: zero-points other than 0; quantise symmetrically"
        # int32 is a bias's type.
        elif zero.dtype not in (np.int8, np.int32):
            yield f"{named(node)}: quantised to {zero.dtype}; TensorRT takes int8"


def gathers(graph: Graph) -> Iterator[str]:
    """Places to read or write are known when the engine is built."""
    for node in graph.nodes:
        if node.op_type in GATHERS and node.input[1] not in graph.constants:
            yield f"{named(node)}: indices that are computed; a dynamic gather is slow or refused"


def ranges(graph: Graph) -> Iterator[str]:
    """A Range of floats has constant ends."""
    for node in graph.nodes:
        is_float = any(graph.types.get(name) in FLOATS for name in node.input)
        if node.op_type == "Range" and is_float and not set(node.input) <= graph.constants:
            yield f"{named(node)}: a Range of floats that is computed; count in integers and cast"


def kernels(graph: Graph) -> Iterator[str]:
    """Weights of convolutions are constants."""
    for node in graph.nodes:
        if node.op_type in ("Conv", "ConvTranspose"):
            for name in list(node.input)[1:]:
                if name and name not in graph.constants:
                    yield f"{named(node)}: weights {name} are computed; they must be constants"
            sized = any(attribute.name == "kernel_shape" for attribute in node.attribute)
            if not sized and node.input[1] not in graph.weights:
                yield (
                    f"{named(node)}: no kernel_shape, and weights behind another node; the parser "
                    "then does not know the kernel's size"
                )


RULES: tuple[Callable[[Graph], Iterator[str]], ...] = (
    opset,
    budget,
    operators,
    bytes_at_the_ends,
    doubles,
    integers,
    resizes,
    quantisation,
    gathers,
    ranges,
    kernels,
)
