"""Model files made to do harm, or by mistake: one sentence each, in no time."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import TensorProto, helper

from streamseg import open_engine
from streamseg.errors import EngineError, ModelError
from streamseg.models.modelfile import HEADER_KEY, read_header
from tests.streamseg.conftest import Cli, toy_graph
from tests.streamseg.fakes import toy_header

NESTED = "[" * 200_000


def write(path: Path, header: str, model: onnx.ModelProto | None = None) -> Path:
    model = model or toy_graph()
    helper.set_model_props(model, {HEADER_KEY: header})
    path.write_bytes(model.SerializeToString())
    return path


def changed(**values: Any) -> str:
    return json.dumps({**json.loads(toy_header().to_json()), **values})


def classes(name: Any = "red", colour: Any = (1, 2, 3)) -> list[dict[str, Any]]:
    return [{"name": name, "colour": colour}]


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (NESTED, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        (changed(name=5), "name must be text, got 5"),
        (changed(name=None), "name must be text"),
        (changed(name="\x1b]0;owned\x07"), "name has control characters"),
        (changed(architecture="a\nb"), "architecture has control characters"),
        (changed(accuracy=3), "accuracy must be an object"),
        (changed(default_size=[64.0, 96]), "default_size must be two whole numbers"),
        (changed(classes=classes(name=5)), "a class name must be text, got 5"),
        (changed(classes=classes(name="\x1b[2J")), "a class name has control characters"),
        (changed(classes=classes(name="a\u202eb")), "a class name has control characters"),
        (changed(classes=classes(name=" ")), "a class name is empty"),
        (changed(classes=classes(colour=[1.5, 2, 3])), "the colour of 'red' must be 3 values"),
        (changed(classes=classes(colour="abc")), "the colour of 'red' must be 3 values"),
        (changed(**{"\x1b[2J": 1}), "unknown parts"),
        (" " * (1 << 20) + changed(), "its header is longer than 1048576 bytes"),
    ],
)
def test_one_sentence_without_a_character_that_a_terminal_obeys(
    tmp_path: Path, header: str, message: str
) -> None:
    path = write(tmp_path / "m.onnx", header)
    with pytest.raises(ModelError) as caught:
        read_header(path)
    assert message in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert str(caught.value).isprintable()


def test_a_long_header_is_not_read(tmp_path: Path) -> None:
    path = write(tmp_path / "m.onnx", "x" * 100_000_000)
    start = time.perf_counter()
    with pytest.raises(ModelError, match="its header is longer"):
        read_header(path)
    assert time.perf_counter() - start < 0.1


def test_long_properties_of_others_are_passed_over(tmp_path: Path) -> None:
    model = toy_graph()
    props = {"notes": "x" * 3_000_000, HEADER_KEY: toy_header().to_json()}
    helper.set_model_props(model, props)
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    assert read_header(path) == toy_header()


def labelled(kind: str) -> onnx.ModelProto:
    """A graph of the contract's names and types, whose labels are none."""
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", "H", "W", 3])
    labels = helper.make_tensor_value_info("labels", TensorProto.UINT8, ["N", None, None])
    if kind == "shape":
        nodes = [
            helper.make_node("ReduceMax", ["frames"], ["most"], axes=[1, 2], keepdims=1),
            helper.make_node("ArgMax", ["most"], ["index"], axis=3, keepdims=0),
            helper.make_node("Cast", ["index"], ["labels"], to=TensorProto.UINT8),
        ]
    else:  # the brightest channel itself: up to 255, of three classes
        nodes = [helper.make_node("ReduceMax", ["frames"], ["labels"], axes=[3], keepdims=0)]
    graph = helper.make_graph(nodes, "odd", [frames], [labels])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("shape", r"odd\.onnx: gives labels \[1, 1, 1\] for frames .*; expected \[1, 64, 96\]"),
        ("beyond", r"odd\.onnx: gives label 250, and its header names 3 classes \(0 to 2\)"),
    ],
)
def test_labels_that_are_none_are_refused(
    tmp_path: Path, cli: Cli, clip: Path, kind: str, message: str
) -> None:
    import numpy as np

    path = write(tmp_path / "odd.onnx", changed(), labelled(kind))
    with open_engine(path) as engine, pytest.raises(EngineError, match=message):
        engine.infer(np.full((1, 64, 96, 3), 250, np.uint8))
    done = cli("video", clip, tmp_path / "out.mp4", "--model", path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {path}: gives label")
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "out.mp4").exists()


def test_onnx_runtime_writes_no_lines_of_its_own(tmp_path: Path, cli: Cli, clip: Path) -> None:
    model = toy_graph()
    model.graph.node[1].op_type = "NoSuchOperator"
    path = write(tmp_path / "odd.onnx", changed(), model)
    done = cli("video", clip, tmp_path / "out.mp4", "--model", path)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert "NoSuchOperator" in done.stderr
