"""A small network with all that a real one has: a stem, residuals, a skip, enlargements, sizes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamseg.models.modelfile import HEADER_KEY
from tests.streamseg.fakes import toy_header

_SIX = ["zero", "six"]


class SmallGraph:
    """Collects nodes and random constants."""

    def __init__(self) -> None:
        self.random = np.random.default_rng(5)
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        for name, value in (("zero", 0.0), ("six", 6.0), ("shift", -127.5)):
            self.constant(name, np.asarray(value, np.float32))
        self.constant("twice", np.asarray([1, 1, 2, 2], np.float32))
        self.constant("axis1", np.asarray([1], np.int64))

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        self.nodes.append(
            helper.make_node(kind, inputs, [output], f"node_{output}", None, None, **attributes)
        )
        return output

    def conv(
        self,
        source: str,
        name: str,
        shape: tuple[int, int, int],
        *,
        stride: int = 1,
        then: str | None = None,
        scale: float = 1.0,
    ) -> str:
        """A convolution of (outputs, inputs, side); depthwise with one input."""
        outputs, inputs, side = shape
        spread = scale * 1.6 / (inputs * side * side) ** 0.5
        weights = self.random.normal(0, spread, (outputs, inputs, side, side))
        self.constant(f"{name}.weight", weights.astype(np.float32))
        self.constant(f"{name}.bias", self.random.normal(0, 0.5, outputs).astype(np.float32))
        output = self.node(
            "Conv",
            [source, f"{name}.weight", f"{name}.bias"],
            name,
            group=outputs if inputs == 1 else 1,
            pads=[side // 2] * 4,
            strides=[stride, stride],
            kernel_shape=[side, side],
        )
        if then is None:
            return output
        inputs_of = {"Clip": [output, *_SIX], "Relu": [output]}
        return self.node(then, inputs_of[then], f"{name}.{then.lower()}")

    def model(self) -> onnx.ModelProto:
        frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", "H", "W", 3])
        labels = helper.make_tensor_value_info("labels", TensorProto.UINT8, ["N", "H", "W"])
        graph = helper.make_graph(self.nodes, "small", [frames], [labels], self.constants)
        opset = [helper.make_opsetid("", 20)]
        model = helper.make_model(graph, opset_imports=opset, ir_version=10)
        helper.set_model_props(model, {HEADER_KEY: toy_header().to_json()})
        return model


def small_network() -> onnx.ModelProto:
    """Three classes from random weights: labels are a made-up, but smooth, function of pictures."""
    g = SmallGraph()
    g.node("Cast", ["frames"], "floats", to=TensorProto.FLOAT)
    g.node("Transpose", ["floats"], "nchw", perm=[0, 3, 1, 2])
    x = g.node("Add", ["nchw", "shift"], "shifted")
    x = g.conv(x, "stem0", (16, 3, 3), stride=2, then="Clip", scale=0.02)
    x = g.conv(x, "stem1", (16, 1, 3), then="Clip")
    low = g.conv(x, "stem2", (8, 16, 1))
    x = g.conv(low, "wide", (32, 8, 1), then="Clip")
    x = g.conv(x, "depthwise", (32, 1, 3), then="Clip")
    x = g.conv(x, "narrow", (8, 32, 1))
    other = g.conv(low, "side", (8, 8, 1))
    x = g.node("Add", [other, x], "sum")
    x = g.conv(x, "down", (16, 8, 3), stride=2, then="Relu")
    g.node("Shape", [x], "shape", start=2, end=3)
    g.node("Cast", ["shape"], "size", to=TensorProto.FLOAT)
    x = g.node("Resize", [x, "", "twice"], "up", mode="linear")
    skip = g.conv(low, "skip", (8, 8, 1), then="Relu")
    x = g.node("Concat", [x, skip], "both", axis=1)
    x = g.conv(x, "mix", (16, 24, 1), then="Relu")
    x = g.conv(x, "classifier", (3, 16, 1))
    x = g.node("Div", [x, "size"], "scaled")
    x = g.node("Resize", [x, "", "twice"], "scores", mode="linear")
    g.node("ArgMax", [x], "largest", axis=1)
    g.node("Cast", ["largest"], "as_float", to=TensorProto.FLOAT)
    g.node("Squeeze", ["as_float", "axis1"], "flat")
    g.node("Cast", ["flat"], "labels", to=TensorProto.UINT8)
    model = g.model()
    onnx.checker.check_model(model)
    return model


def pictures(count: int, width: int = 96, height: int = 64) -> NDArray[np.uint8]:
    """Smooth random colour pictures uint8 ``[N, H, W, 3]``."""
    coarse = np.random.default_rng(1).integers(0, 256, (count, 4, 6, 3), np.uint8)
    return np.stack(
        [
            np.asarray(cv2.resize(c, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
            for c in coarse
        ]
    )


def labels_of(model: Path | onnx.ModelProto, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Run a file or a graph."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    source = str(model) if isinstance(model, Path) else model.SerializeToString()
    session = ort.InferenceSession(source, options, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["labels"], {"frames": frames_NHWC})[0])


def optimised_kinds(path: Path, scratch: Path) -> list[str]:
    """Operators that ONNX Runtime really runs for a file."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(scratch)
    ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(str(scratch)).graph.node]
