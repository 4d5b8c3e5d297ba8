"""A model file's graph in memory: read, looked up, written back. Knows nothing about precisions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import numpy_helper

from streamseg.errors import ModelError, UsageError
from streamseg.models.modelfile import HEADER_KEY, read_header
from streamseg.runtime.backends.onnxruntime import DISABLED_OPTIMIZERS

NOTE_KEY = "streamseg.precision"
"""Where `write_model` notes what was done, beside the header: a word of the format, no module."""


def load_fp32(path: Path) -> onnx.ModelProto:
    """A model file with weights and arithmetic in float32.

    Weights that are stored as float16 behind a Cast become float32 constants, as do nodes that only
    stand for one.

    Raises:
        ModelError: no model file of ours, or one that was converted before.
    """
    read_header(path)
    try:
        model = onnx.load(str(path))
    except Exception as error:  # protobuf's own errors: a package we do not name
        raise ModelError(f"{path}: cannot be read as ONNX ({error}); export it again") from error
    note = read_note(model)
    if note.get("precision", "fp32") != "fp32":
        raise ModelError(
            f"{path}: is in {note['precision']} already; convert the fp32 file it was made from"
        )
    replace_nodes(model, _without_constants(model))
    return model


def _without_constants(model: onnx.ModelProto) -> list[onnx.NodeProto]:
    """Nodes that compute: what stands for a constant becomes one.

    Our exporter casts weights from float16; PyTorch's gives one that two layers share to the second
    through an Identity, and writes others as nodes.
    """
    weights = initializers(model)
    kept = []
    for node in model.graph.node:
        found = _constant_of(node, weights)
        if found is None:
            kept.append(node)
            continue
        weights[node.output[0]] = numpy_helper.from_array(found, node.output[0])
        model.graph.initializer.append(weights[node.output[0]])
    return kept


def _constant_of(
    node: onnx.NodeProto, weights: Mapping[str, onnx.TensorProto]
) -> NDArray[Any] | None:
    """What a node gives if it does not depend on the picture; None if it may."""
    attributes = {attribute.name: attribute for attribute in node.attribute}
    if node.op_type == "Constant" and "value" in attributes:
        return np.asarray(numpy_helper.to_array(attributes["value"].t))
    if node.op_type not in ("Cast", "Identity") or node.input[0] not in weights:
        return None
    values = np.asarray(numpy_helper.to_array(weights[node.input[0]]))
    if node.op_type == "Identity":
        return values
    to_float = attributes["to"].i == onnx.TensorProto.FLOAT
    return values.astype(np.float32) if to_float else None


def cpu_session(model: onnx.ModelProto) -> ort.InferenceSession:
    """A graph as the CPU's engine runs it, but on all cores."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(
        model.SerializeToString(),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=DISABLED_OPTIMIZERS,
    )


def read_note(model: onnx.ModelProto) -> dict[str, Any]:
    """What `write_model` noted; empty for a file that was never converted."""
    for item in model.metadata_props:
        if item.key == NOTE_KEY:
            found: dict[str, Any] = json.loads(item.value)
            return found
    return {}


def write_model(model: onnx.ModelProto, out: Path, note: dict[str, Any]) -> None:
    """Write a checked model with a note; `out` appears when it is complete.

    Raises:
        OSError: it cannot be written.
    """
    onnx.checker.check_model(model)
    properties = {item.key: item.value for item in model.metadata_props}
    header = json.loads(properties[HEADER_KEY])
    if note["precision"] != "fp32" and header.get("accuracy"):
        header["accuracy"]["measured_on"] = "the fp32 file that this one was made from"
    properties |= {HEADER_KEY: json.dumps(header, sort_keys=True)}
    properties |= {NOTE_KEY: json.dumps(note, sort_keys=True)}
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, properties)
    partial = out.with_name(f".{out.name}.part")
    try:
        partial.write_bytes(model.SerializeToString(deterministic=True))
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def check_names(model: onnx.ModelProto, names: Sequence[str], path: Path) -> None:
    """Refuse names of nodes that the graph does not have.

    Raises:
        UsageError: one of them.
    """
    unknown = sorted(set(names) - {node.name for node in model.graph.node})
    if unknown:
        raise UsageError(
            f"{path}: has no node {', '.join(unknown)} to exclude; "
            "the sensitivity listing names those it has"
        )


def initializers(model: onnx.ModelProto) -> dict[str, onnx.TensorProto]:
    """Constants by name."""
    return {tensor.name: tensor for tensor in model.graph.initializer}


def constant(model: onnx.ModelProto, name: str) -> NDArray[Any] | None:
    """A constant's value; None if `name` is no constant."""
    tensor = initializers(model).get(name)
    return None if tensor is None else np.asarray(numpy_helper.to_array(tensor))


def producers(model: onnx.ModelProto) -> dict[str, onnx.NodeProto]:
    """The node that makes a tensor, by the tensor's name."""
    return {name: node for node in model.graph.node for name in node.output}


def consumers(model: onnx.ModelProto) -> dict[str, list[onnx.NodeProto]]:
    """The nodes that read a tensor, by the tensor's name."""
    found: dict[str, list[onnx.NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            found.setdefault(name, []).append(node)
    return found


def float_ranks(model: onnx.ModelProto) -> dict[str, int]:
    """Number of dimensions of every float32 tensor that nodes make."""
    inferred = onnx.shape_inference.infer_shapes(model)
    return {
        value.name: len(value.type.tensor_type.shape.dim)
        for value in inferred.graph.value_info
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
    }


def only_what_makes(model: onnx.ModelProto, name: str) -> onnx.ModelProto:
    """A model whose one output is the float32 tensor `name`, without the nodes it does not need."""
    made_by = producers(model)
    needed: set[str] = set()
    waiting = [name]
    while waiting:
        node = made_by.get(waiting.pop())
        if node is not None and node.output[0] not in needed:
            needed.update(node.output)
            waiting.extend(node.input)
    part = onnx.ModelProto()
    part.CopyFrom(model)
    replace_nodes(part, [n for n in part.graph.node if needed.intersection(n.output)])
    del part.graph.output[:]
    part.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    return part


def names_read(node: onnx.NodeProto) -> set[str]:
    """Tensors that a node reads, in the graphs inside it, too."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        for graph in [*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs]:
            for inner in graph.node:
                names |= names_read(inner)
            names.update(value.name for value in graph.output)
    return names


def replace_nodes(model: onnx.ModelProto, nodes: Iterable[onnx.NodeProto]) -> None:
    """Give the graph other nodes, and drop the constants that nobody reads any more."""
    nodes = list(nodes)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    used = {name for node in nodes for name in names_read(node)}
    used |= {output.name for output in model.graph.output}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:]
    model.graph.initializer.extend(kept)
