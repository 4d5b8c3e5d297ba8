"""Teachers that need no training: each class has a colour, and the nearest colour wins."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from streamseg.models.palette import CAMVID, Palette


def colour_teacher(
    path: Path, palette: Palette = CAMVID, *, sharpness: float = 0.01, labels: bool = True
) -> Path:
    """An ONNX teacher: scores ``-sharpness * |pixel - colour|^2``, a 1x1 convolution in effect."""
    colours = np.array(palette.colours, dtype=np.float32)
    weight = (2 * sharpness * colours)[:, :, None, None]
    bias = -sharpness * (colours**2).sum(axis=1)
    nodes = [
        helper.make_node("Transpose", ["frames"], ["nchw"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["nchw"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("Conv", ["x", "weight", "bias"], ["scores"]),
    ]
    output = helper.make_tensor_value_info("scores", TensorProto.FLOAT, None)
    if labels:
        nodes.append(helper.make_node("ArgMax", ["scores"], ["best"], axis=1, keepdims=0))
        nodes.append(helper.make_node("Cast", ["best"], ["labels"], to=TensorProto.UINT8))
        output = helper.make_tensor_value_info("labels", TensorProto.UINT8, ["N", "H", "W"])
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", "H", "W", 3])
    constants = [
        numpy_helper.from_array(weight, "weight"),
        numpy_helper.from_array(bias, "bias"),
    ]
    graph = helper.make_graph(nodes, "teacher", [frames], [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {"classes": ",".join(palette.names)})
    onnx.save(model, path)
    return path
