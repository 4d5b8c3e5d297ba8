"""What the lint says of good graphs (nothing) and of one bad graph per rule."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import TensorProto, helper, numpy_helper

from engines.__main__ import main
from engines.errors import EngineBuildError
from engines.lint import NODE_BUDGET, lint
from streamseg.models.modelfile import find_model
from streamseg.runtime.choosing.companion import companion_path

Node = onnx.NodeProto
FLOAT, UINT8, INT64 = TensorProto.FLOAT, TensorProto.UINT8, TensorProto.INT64
FIRST = helper.make_node("Cast", ["frames"], ["x"], "first", to=FLOAT)
LAST = helper.make_node("Cast", ["y"], ["labels"], "last", to=UINT8)


def node(op: str, inputs: list[str], output: str = "y", **attributes: Any) -> Node:
    return helper.make_node(op, inputs, [output], f"my_{op.lower()}", **attributes)


def write(
    path: Path,
    *nodes: Node,
    weights: dict[str, np.ndarray[Any, Any]] | None = None,
    opset: int = 20,
    ends: bool = True,
) -> Path:
    """frames -> x -> the nodes -> y -> labels."""
    inputs = [helper.make_tensor_value_info("frames", UINT8, ["N", "H", "W", 3])]
    outputs = [helper.make_tensor_value_info("labels", UINT8, None)]
    initialisers = [numpy_helper.from_array(v, name) for name, v in (weights or {}).items()]
    all_nodes = [FIRST, *nodes, LAST] if ends else list(nodes)
    graph = helper.make_graph(all_nodes, "bad", inputs, outputs, initialisers)
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bad.onnx"


@pytest.mark.parametrize("name", ["mbv2"])
def test_the_shipped_models_have_nothing_that_tensorrt_refuses(name: str) -> None:
    assert lint(find_model(name)) == []


def test_int8_for_a_cpu_is_one_sentence() -> None:
    (problem,) = lint(companion_path(find_model("mbv2")))
    assert problem.startswith("int8 for ONNX Runtime on a CPU")


def test_a_freshly_exported_model_has_nothing_that_tensorrt_refuses(model_file: Path) -> None:
    assert lint(model_file) == []


def test_a_good_graph(path: Path) -> None:
    scales = np.array([1, 2, 2, 1], np.float32)
    resize = node("Resize", ["x", "", "scales"], mode="linear")
    assert lint(write(path, resize, weights={"scales": scales})) == []


def test_uint8_inside(path: Path) -> None:
    (problem,) = lint(
        write(
            path,
            node("Cast", ["x"], "small", to=UINT8),
            node("Cast", ["small"], to=FLOAT),
        )
    )
    assert problem == "small: uint8 inside the graph; only inputs and outputs may be"


def test_uint8_that_is_not_cast(path: Path) -> None:
    problems = lint(
        write(
            path,
            node("Transpose", ["frames"], "labels", perm=[0, 3, 1, 2]),
            ends=False,
        )
    )
    assert problems == [
        "Transpose my_transpose reads uint8 frames; only a Cast to float may",
        "Transpose my_transpose makes uint8 labels; only a Cast from float may",
    ]


def test_a_cast_from_integers_to_uint8(path: Path) -> None:
    (problem,) = lint(write(path, node("ArgMax", ["x"], axis=3, keepdims=0)))
    assert problem == "Cast last makes uint8 labels; only a Cast from float may"


@pytest.mark.parametrize(
    ("attribute", "words"),
    [
        ({"antialias": 1}, "antialias=1, which TensorRT ignores"),
        ({"keep_aspect_ratio_policy": "not_larger"}, "keep_aspect_ratio_policy, which TensorRT"),
        ({"coordinate_transformation_mode": "half_pixel_symmetric"}, "half_pixel_symmetric, which"),
    ],
)
def test_a_resize_of_another_kind(path: Path, attribute: dict[str, Any], words: str) -> None:
    scales = np.array([1, 2, 2, 1], np.float32)
    resize = node("Resize", ["x", "", "scales"], mode="linear", **attribute)
    (problem,) = lint(write(path, resize, weights={"scales": scales}))
    assert problem.startswith("Resize my_resize: ")
    assert words in problem


def test_a_resize_to_computed_sizes(path: Path) -> None:
    nodes = node("Shape", ["x"], "sizes"), node("Resize", ["x", "", "", "sizes"], mode="linear")
    (problem,) = lint(write(path, *nodes))
    assert "scales or sizes that are computed" in problem


def quantised(zero: np.ndarray[Any, Any] | None) -> tuple[list[Node], dict[str, Any]]:
    names = ["scale", "zero"] if zero is not None else ["scale"]
    weights: dict[str, Any] = {"scale": np.array(0.1, np.float32)}
    if zero is not None:
        weights["zero"] = zero
    return [
        node("QuantizeLinear", ["x", *names], "q"),
        node("DequantizeLinear", ["q", *names]),
    ], weights


def test_symmetric_int8_is_taken(path: Path) -> None:
    nodes, weights = quantised(np.array(0, np.int8))
    assert lint(write(path, *nodes, weights=weights)) == []


@pytest.mark.parametrize(
    ("zero", "words"),
    [
        (np.array(3, np.int8), "zero-points other than 0; quantise symmetrically"),
        (np.array(0, np.uint8), "quantised to uint8; TensorRT takes int8"),
        (None, "no zero-point, so that it makes uint8"),
    ],
)
def test_other_quantisation(path: Path, zero: np.ndarray[Any, Any] | None, words: str) -> None:
    nodes, weights = quantised(zero)
    assert any(words in problem for problem in lint(write(path, *nodes, weights=weights)))


def test_computed_scales_and_zero_points(path: Path) -> None:
    nodes = (
        node("ReduceMax", ["x"], "scale", keepdims=0),
        node("Cast", ["scale"], "zero", to=TensorProto.INT8),
        node("QuantizeLinear", ["x", "scale", "zero"], "q"),
        node("DequantizeLinear", ["q", "scale", "zero"]),
    )
    words = " ".join(lint(write(path, *nodes)))
    assert words.count("a scale that is computed") == 2
    assert words.count("a zero-point that is computed") == 2


def test_a_dynamic_gather(path: Path) -> None:
    nodes = (
        node("ArgMax", ["x"], "places", axis=0),
        node("Gather", ["x", "places"], axis=0),
    )
    problems = lint(write(path, *nodes))
    assert any("Gather my_gather: indices that are computed" in problem for problem in problems)


def test_a_gather_at_constant_places_is_taken(path: Path) -> None:
    places = np.array([0, 1], np.int64)
    gather = node("Gather", ["x", "places"], axis=3)
    assert lint(write(path, gather, weights={"places": places})) == []


def test_control_flow(path: Path) -> None:
    inner = [helper.make_tensor_value_info("z", FLOAT, None)]
    body = helper.make_graph([helper.make_node("Neg", ["x"], ["z"])], "body", [], inner)
    choose = node("If", ["yes"], then_branch=body, else_branch=body)
    problems = lint(write(path, choose, weights={"yes": np.array(True)}))
    assert any(problem.startswith("If my_if: control flow") for problem in problems)


def test_an_operator_without_importer(path: Path) -> None:
    assert "DynamicQuantizeLinear quantise: TensorRT has no such operator" in lint(
        write(
            path,
            helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"], "quantise"),
            node("DequantizeLinear", ["q", "s", "z"]),
        )
    )


def test_an_operator_of_another_domain(path: Path) -> None:
    custom = helper.make_node("Sharpen", ["x"], ["y"], "my_sharpen", domain="com.example")
    problems = lint(write(path, custom))
    assert "Sharpen my_sharpen: an operator of 'com.example', which TensorRT does not know" in (
        problems
    )


def test_an_opset_from_the_future(path: Path) -> None:
    (problem,) = lint(write(path, node("Relu", ["x"]), opset=25))
    assert problem.startswith("opset 25 is newer than 24")


def test_float64(path: Path) -> None:
    nodes = (
        node("Cast", ["x"], "fine", to=TensorProto.DOUBLE),
        node("Cast", ["fine"], to=FLOAT),
    )
    (problem,) = lint(write(path, *nodes))
    assert problem.startswith("fine: float64")


def test_integers_of_pictures(path: Path) -> None:
    nodes = (
        node("Cast", ["x"], "whole", to=INT64),
        node("Cast", ["whole"], to=FLOAT),
    )
    (problem,) = lint(write(path, *nodes))
    assert "makes int64 whole of pictures; only ArgMax may" in problem


def test_integers_of_shapes_are_taken(path: Path) -> None:
    nodes = (
        node("Shape", ["x"], "shape", start=1, end=2),
        node("Squeeze", ["shape"], "height"),
        node("Range", ["zero", "height", "one"], "rows"),
        node("Cast", ["rows"], "rows_as_floats", to=FLOAT),
        node("ReduceSum", ["rows_as_floats"], "total", keepdims=0),
        node("Mul", ["x", "total"]),
    )
    weights = {"zero": np.array(0, np.int64), "one": np.array(1, np.int64)}
    assert lint(write(path, *nodes, weights=weights)) == []


def test_a_range_of_floats(path: Path) -> None:
    nodes = (
        node("ReduceMax", ["x"], "top", keepdims=0),
        node("Range", ["zero", "top", "one"], "steps"),
        node("ReduceSum", ["steps"], "total", keepdims=0),
        node("Mul", ["x", "total"]),
    )
    weights = {"zero": np.array(0, np.float32), "one": np.array(1, np.float32)}
    (problem,) = lint(write(path, *nodes, weights=weights))
    assert "a Range of floats that is computed" in problem


def test_computed_weights(path: Path) -> None:
    nodes = (
        node("ReduceMean", ["x"], "mean", keepdims=1),
        node("Mul", ["kernel", "mean"], "scaled"),
        node("Conv", ["x", "scaled"], kernel_shape=[1, 1]),
    )
    kernel = np.zeros((4, 8, 1, 1), np.float32)
    (problem,) = lint(write(path, *nodes, weights={"kernel": kernel}))
    assert problem == "Conv my_conv: weights scaled are computed; they must be constants"


def test_weights_stored_as_fp16_are_taken(path: Path) -> None:
    cast = node("Cast", ["kernel"], "wide", to=FLOAT)
    kernel = np.zeros((4, 8, 1, 1), np.float16)
    sized = node("Conv", ["x", "wide"], kernel_shape=[1, 1])
    assert lint(write(path, cast, sized, weights={"kernel": kernel})) == []
    bare = node("Conv", ["x", "wide"])
    (problem,) = lint(write(path, cast, bare, weights={"kernel": kernel}))
    assert problem.startswith("Conv my_conv: no kernel_shape, and weights behind another node")


def test_a_node_budget(path: Path) -> None:
    chain = [node("Neg", ["x"], "t0")]
    chain += [node("Neg", [f"t{i}"], f"t{i + 1}") for i in range(NODE_BUDGET)]
    (problem,) = lint(write(path, *chain, node("Neg", [f"t{NODE_BUDGET}"])))
    assert problem.startswith(f"{NODE_BUDGET + 4} nodes, at most {NODE_BUDGET} are expected")


def test_no_onnx_file(tmp_path: Path) -> None:
    with pytest.raises(EngineBuildError, match=r"none\.onnx: cannot be read \(No such file"):
        lint(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("this is no model")
    with pytest.raises(EngineBuildError, match=r"text\.onnx: not an ONNX file"):
        lint(tmp_path / "text.onnx")


def test_the_command(path: Path) -> None:
    runner = CliRunner()
    good = runner.invoke(main, ["lint", str(find_model("mbv2"))])
    assert good.exit_code == 0
    assert "nothing that TensorRT is known to refuse" in good.output
    write(
        path, node("Cast", ["x"], "fine", to=TensorProto.DOUBLE), node("Cast", ["fine"], to=FLOAT)
    )
    bad = runner.invoke(main, ["lint", str(path)])
    assert bad.exit_code == 1
    assert "fine: float64" in bad.output
    missing = runner.invoke(main, ["lint", str(path.with_name("none.onnx"))])
    assert missing.exit_code == 1
    assert "error: " in missing.output
    assert "Traceback" not in missing.output
