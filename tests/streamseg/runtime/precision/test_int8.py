"""Where the quantised graph has Q and DQ, and what ONNX Runtime makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, numpy_helper

from streamseg.models.modelfile import read_header
from streamseg.runtime.backends.base import LoadOptions
from streamseg.runtime.backends.onnxruntime import OnnxRuntimeEngine
from streamseg.runtime.precision.convert import convert
from streamseg.runtime.precision.graph import load_fp32
from streamseg.runtime.precision.int8 import Scheme, _largest, quantisable, quantise
from streamseg.runtime.precision.ranges import observe
from tests.streamseg.runtime.precision.small import labels_of, optimised_kinds, pictures

FRAMES = pictures(6)


def quantised(small: Path, folder: Path, scheme: Scheme, **options: object) -> Path:
    exclude = options.get("exclude", ())
    assert isinstance(exclude, tuple)
    return convert(
        small,
        "int8",
        calibration=[FRAMES],
        scheme=scheme,
        exclude=exclude,
        out=folder / f"{scheme}.onnx",
    )


def reads(model: onnx.ModelProto, name: str) -> list[str]:
    """Inputs of a node."""
    return [str(i) for i in next(n for n in model.graph.node if n.name == name).input]


def test_first_and_last_layers_are_left_alone(small: Path) -> None:
    names = quantisable(load_fp32(small))
    assert names == [f"node_{n}" for n in ("wide", "depthwise", "narrow", "side")] + [
        f"node_{n}" for n in ("down", "skip", "mix")
    ]


def test_portable_has_zero_points_of_zero_and_only_int8(small: Path, tmp_path: Path) -> None:
    model = onnx.load(quantised(small, tmp_path, "portable"))
    constants = {t.name: t for t in model.graph.initializer}
    pairs = [n for n in model.graph.node if n.op_type.endswith("eLinear")]
    assert len(pairs) > 20
    for node in pairs:
        zero = constants[node.input[2]]
        assert zero.data_type == TensorProto.INT8
        assert not numpy_helper.to_array(zero).any()


@pytest.mark.parametrize("scheme", ["portable", "cpu"])
def test_residual_adds_are_quantised_on_both_inputs(
    scheme: Scheme, small: Path, tmp_path: Path
) -> None:
    model = onnx.load(quantised(small, tmp_path, scheme))
    assert reads(model, "node_sum") == ["side.dq", "narrow.dq"]
    assert reads(model, "node_up")[0] == "down.relu.dq"
    assert reads(model, "node_both") == ["up.dq", "skip.relu.dq"]
    # Before the first and after the last quantised layer nothing changes.
    assert reads(model, "node_shifted") == ["nchw", "shift"]
    assert reads(model, "node_classifier")[:2] == ["mix.relu.dq", "classifier.weight"]
    assert reads(model, "node_scores")[0] == "scaled"


def test_for_tensorrt_the_rest_is_half_and_scales_are_exact_in_it(
    small: Path, tmp_path: Path
) -> None:
    path = convert(small, "int8", calibration=[FRAMES], half=True, out=tmp_path / "half.onnx")
    model = onnx.load(path)
    inferred = onnx.shape_inference.infer_shapes(model, strict_mode=True, check_type=True)
    types = {v.name: v.type.tensor_type.elem_type for v in inferred.graph.value_info}
    for name in ("shifted", "stem0.clip", "side.dq", "sum", "up", "classifier", "scores"):
        assert types[name] == TensorProto.FLOAT16, name
    weights = [n for n in types if n.endswith("weight.dq")]
    assert weights
    assert {types[name] for name in weights} == {TensorProto.FLOAT16}
    readers = {name: n.op_type for n in model.graph.node for name in n.input if name in weights}
    assert set(readers.values()) == {"Conv"}, "nothing between weights and their layer"
    full = onnx.load(quantised(small, tmp_path, "portable"))
    wide = {t.name: numpy_helper.to_array(t) for t in full.graph.initializer}
    for tensor in model.graph.initializer:
        if tensor.name.endswith(".scale.fp16"):
            np.testing.assert_array_equal(
                numpy_helper.to_array(tensor).astype(np.float32),
                wide[tensor.name.removesuffix(".fp16")],
            )
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    labels = plain.run(["labels"], {"frames": FRAMES})[0]
    assert np.mean(labels == labels_of(small, FRAMES)) > 0.95


def test_what_an_enlargement_joins_has_one_scale(small: Path, tmp_path: Path) -> None:
    model = onnx.load(quantised(small, tmp_path, "cpu"))
    scales = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    joined = [scales[f"{n}.scale"] for n in ("down.relu", "up", "skip.relu", "both")]
    assert len({float(s) for s in joined}) == 1


def test_weights_have_a_scale_per_channel(small: Path, tmp_path: Path) -> None:
    model = onnx.load(quantised(small, tmp_path, "portable"))
    node = next(n for n in model.graph.node if n.name.endswith("down.weight.dq"))
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    values, scale = constants[node.input[0]], constants[node.input[1]]
    assert values.dtype == np.int8
    assert values.shape == (16, 8, 3, 3)
    assert scale.shape == (16,)
    assert [a.i for a in node.attribute if a.name == "axis"] == [0]
    size = np.abs(values.astype(np.int64)).reshape(16, 8, 9)
    pairs = (size[:, 0::2] + size[:, 1::2]).max(axis=(1, 2))
    assert (pairs >= 126).all(), "all of the range is used"
    assert (255 * pairs < 2**15).all(), "and never too much of it"


def test_depthwise_weights_use_all_bits_and_odd_inputs_seven() -> None:
    random = np.random.default_rng(0)
    depthwise, odd = (random.normal(size=(6, n, 3, 3)).astype(np.float32) for n in (1, 5))
    assert (_largest(depthwise) == np.abs(depthwise).max(axis=(1, 2, 3))).all()
    assert (_largest(odd) == 2 * np.abs(odd).max(axis=(1, 2, 3))).all()


def test_onnx_runtime_runs_the_cpu_scheme_in_integers(small: Path, tmp_path: Path) -> None:
    kinds = optimised_kinds(quantised(small, tmp_path, "cpu"), tmp_path / "opt.onnx")
    assert kinds.count("QLinearConv") == 7
    assert kinds.count("QLinearAdd") == 1
    assert kinds.count("QLinearConcat") == 1
    assert "Relu" not in kinds


def test_excluded_layers_stay_in_fp32(small: Path, tmp_path: Path) -> None:
    model = onnx.load(quantised(small, tmp_path, "cpu", exclude=("node_narrow",)))
    assert reads(model, "node_narrow")[1] == "narrow.weight"
    # Its addition would have a float input, and is not worth quantising.
    assert reads(model, "node_sum") == ["side.dq", "narrow"]


def test_a_relu_stays_where_its_range_reaches_below_zero(small: Path) -> None:
    model = load_fp32(small)
    ranges = observe(model, [FRAMES]).ranges("minmax")
    wanted = labels_of(model, FRAMES)
    ranges["skip.relu"] = (-5.0, ranges["skip.relu"][1])
    quantise(model, ranges, layers=quantisable(model), scheme="cpu")
    assert any(n.name == "node_skip.relu" for n in model.graph.node)
    assert float(np.mean(labels_of(model, FRAMES) == wanted)) > 0.9


def test_a_dead_channel_with_an_ordinary_bias_survives(small: Path) -> None:
    model = load_fp32(small)
    for tensor in model.graph.initializer:
        if tensor.name in ("mix.weight", "mix.bias"):
            values = numpy_helper.to_array(tensor).copy()
            values[0] = 1e-9 if tensor.name == "mix.weight" else 5.0
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    wanted = labels_of(model, FRAMES)
    ranges = observe(model, [FRAMES]).ranges("minmax")
    quantise(model, ranges, layers=quantisable(model), scheme="cpu")
    assert float(np.mean(labels_of(model, FRAMES) == wanted)) > 0.95


@pytest.mark.parametrize("scheme", ["cpu", "portable"])
def test_what_is_left_out_is_computed_in_fp32(small: Path, tmp_path: Path, scheme: Scheme) -> None:
    model = onnx.load(str(small))
    (weights,) = [t for t in model.graph.initializer if t.name == "depthwise.weight"]
    values = numpy_helper.to_array(weights).copy()
    values[0] *= 300  # with one scale for all channels, nothing would be left of the others
    weights.CopyFrom(numpy_helper.from_array(values, weights.name))
    uneven = tmp_path / "uneven.onnx"
    onnx.save(model, str(uneven))
    path = quantised(uneven, tmp_path, scheme, exclude=("node_depthwise",))
    with OnnxRuntimeEngine(path, read_header(path), LoadOptions(threads=1)) as engine:
        ours = engine.infer(FRAMES)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    expected = plain.run(["labels"], {"frames": FRAMES})[0]
    assert np.mean(ours == expected) > 0.99
    assert np.mean(labels_of(path, FRAMES) == expected) < 0.97, "the optimiser would quantise it"
