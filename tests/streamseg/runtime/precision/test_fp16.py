"""Types of the float16 graph."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from streamseg.runtime.precision.convert import convert
from streamseg.runtime.precision.graph import load_fp32
from tests.streamseg.runtime.precision.small import labels_of, pictures


def types(path: Path) -> dict[str, int]:
    """Element type of every tensor that a node makes; inference fails on two types for one node."""
    model = onnx.load(path)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, check_type=True)
    return {v.name: v.type.tensor_type.elem_type for v in inferred.graph.value_info}


def test_all_that_depends_on_pictures_is_half(small: Path, tmp_path: Path) -> None:
    found = types(convert(small, "fp16", out=tmp_path / "half.onnx"))
    for name in ("floats", "shifted", "stem0.clip", "sum", "up", "both", "classifier", "scores"):
        assert found[name] == TensorProto.FLOAT16, name


def test_sizes_are_computed_in_full_and_cast(small: Path, tmp_path: Path) -> None:
    path = convert(small, "fp16", out=tmp_path / "half.onnx")
    assert types(path)["size"] == TensorProto.FLOAT
    node = next(n for n in onnx.load(path).graph.node if n.name == "node_scaled")
    assert list(node.input) == ["classifier", "size.fp16"]


def test_uint8_is_next_to_float_casts_only(small: Path, tmp_path: Path) -> None:
    model = onnx.load(convert(small, "fp16", out=tmp_path / "half.onnx"))
    first, last = model.graph.node[0], model.graph.node[-1]
    assert (first.op_type, first.attribute[0].i) == ("Cast", TensorProto.FLOAT16)
    assert last.op_type == "Cast"
    assert types(tmp_path / "half.onnx")["flat"] == TensorProto.FLOAT16  # holds 0..255 exactly


def test_excluded_nodes_are_between_casts(small: Path, tmp_path: Path) -> None:
    path = convert(small, "fp16", exclude=["node_scores"], out=tmp_path / "half.onnx")
    found = types(path)
    assert found["scores"] == TensorProto.FLOAT
    assert found["scaled"] == TensorProto.FLOAT16
    frames = pictures(2)
    assert float(np.mean(labels_of(path, frames) == labels_of(small, frames))) > 0.995


def test_weights_beyond_half_stay_in_full(small: Path, tmp_path: Path) -> None:
    model = load_fp32(small)
    for tensor in model.graph.initializer:
        if tensor.name == "mix.bias":
            values = numpy_helper.to_array(tensor).copy()
            values[3] = 1e6
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    large = tmp_path / "large.onnx"
    onnx.save(model, large)
    assert types(convert(large, "fp16", out=tmp_path / "half.onnx"))["mix"] == TensorProto.FLOAT
