"""The toy model with work in it, so that nothing in the tests is slower by accident; pictures."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from streamseg.models.modelfile import HEADER_KEY
from tests.streamseg.fakes import toy_header

_CHANNELS = 32
_SIDE = 5


def write_pictures(folder: Path) -> Path:
    """Four pictures of 96x64, so that no test has to draw streets."""
    folder.mkdir()
    for seed in range(4):
        coarse = np.random.default_rng(seed).integers(0, 256, (4, 6, 3), np.uint8)
        picture = cv2.resize(coarse, (96, 64), interpolation=cv2.INTER_CUBIC)
        assert cv2.imwrite(str(folder / f"{seed}.png"), picture)
    return folder


def _pass_through(outputs: int, inputs: int) -> NDArray[np.float32]:
    """A convolution's weights that copy the first three channels."""
    weights = np.zeros((outputs, inputs, _SIDE, _SIDE), np.float32)
    for channel in range(3):
        weights[channel, channel, _SIDE // 2, _SIDE // 2] = 1
    return weights


def write_slow_toy(path: Path) -> Path:
    """labels = argmax of the three channels, after convolutions that change nothing."""
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["floats"], ["planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Conv", ["planes", "widen"], ["wide"], name="wide", pads=[_SIDE // 2] * 4),
        helper.make_node("Conv", ["wide", "narrow"], ["same"], name="same", pads=[_SIDE // 2] * 4),
        helper.make_node("ArgMax", ["same"], ["largest"], axis=1, keepdims=0),
        helper.make_node("Cast", ["largest"], ["labels"], to=TensorProto.UINT8),
    ]
    weights = [
        numpy_helper.from_array(_pass_through(_CHANNELS, 3), "widen"),
        numpy_helper.from_array(_pass_through(3, _CHANNELS), "narrow"),
    ]
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", "H", "W", 3])
    labels = helper.make_tensor_value_info("labels", TensorProto.UINT8, ["N", "H", "W"])
    graph = helper.make_graph(nodes, "slow", [frames], [labels], weights)
    opset = helper.make_opsetid("", 17)
    model = helper.make_model(graph, opset_imports=[opset], ir_version=8)
    helper.set_model_props(model, {HEADER_KEY: toy_header().to_json()})
    path.write_bytes(model.SerializeToString())
    return path
