from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from engines.errors import EngineBuildError
from engines.export import ExportConfig, check_output, export, store_as_float16
from streamseg import __version__
from streamseg.models.modelfile import read_header
from streamseg.models.palette import CAMVID
from streamseg.runtime.open import open_engine
from tests.train.drawn import draw_street
from train.checkpoint import load_checkpoint
from train.errors import TrainError
from train.evaluation.predict import torch_labeller

# fmt: off
ALLOWED = {
    "Abs", "Add", "ArgMax", "Cast", "Ceil", "Clip", "Concat", "Constant", "Conv", "Div", "Floor",
    "MatMul", "Max", "Min", "Mul", "Range", "Relu", "Reshape", "Resize", "Shape", "Slice",
    "Squeeze", "Sub", "Transpose", "Unsqueeze",
}
# fmt: on
"""All of them are in TensorRT's parser, too."""


def test_input_and_output_are_the_contracts(model_file: Path) -> None:
    graph = onnx.load(model_file).graph
    (frames,), (labels,) = graph.input, graph.output
    for value, name, dimensions in (
        (frames, "frames", ["N", "H", "W", 3]),
        (labels, "labels", ["N", "H", "W"]),
    ):
        kind = value.type.tensor_type
        assert value.name == name
        assert kind.elem_type == onnx.TensorProto.UINT8
        assert [d.dim_param or d.dim_value for d in kind.shape.dim] == dimensions
    assert {node.op_type for node in graph.node} <= ALLOWED
    assert {node.domain for node in graph.node} == {""}


def test_bytes_meet_nothing_but_casts(model_file: Path) -> None:
    graph = onnx.load(model_file).graph
    assert [n.op_type for n in graph.node if "frames" in n.input and n.op_type != "Shape"] == [
        "Cast"
    ]
    assert [n.op_type for n in graph.node if "labels" in n.output] == ["Cast"]


def test_the_header_says_where_the_file_comes_from(model_file: Path, checkpoint: Path) -> None:
    header = read_header(model_file)
    assert header.name == "tiny"
    assert header.classes == CAMVID
    assert header.default_size == (96, 64)
    assert header.architecture.startswith("mobilenet_v2, output stride 16, ppm head 16 (3x3), skip")
    assert header.training_data.startswith("CamVid")
    assert "research use" in header.training_data_licence
    assert header.checkpoint_sha256 == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert header.streamseg_version == __version__
    assert header.accuracy["measured_on"] == "this file"
    assert header.accuracy["pictures"] == 3
    assert 0 <= header.accuracy["miou"] <= 1
    assert set(header.accuracy["class_iou"]) == set(CAMVID.names)


def test_options_replace_what_the_checkpoint_says(model_file_quick: Path) -> None:
    header = read_header(model_file_quick)
    assert (header.name, header.training_data) == ("quick", "my street")
    assert header.training_data_licence == "mine"
    assert "stride 4" in header.architecture
    with open_engine(model_file_quick, threads=1) as engine:
        labels = engine.infer(draw_street(0)[0][None])[0]
    assert np.array_equal(labels, labels[::4, ::4].repeat(4, axis=0).repeat(4, axis=1))


def test_without_data_the_header_repeats_the_checkpoints_metrics(
    model_file_quick: Path, checkpoint: Path
) -> None:
    accuracy = read_header(model_file_quick).accuracy
    assert accuracy["miou"] == load_checkpoint(checkpoint).metrics["miou"]
    assert accuracy["measured_on"] == "the checkpoint, while it was trained"


@pytest.mark.parametrize(
    "shape",
    [(1, 32, 32), (1, 96, 160), (3, 64, 96), (1, 288, 512), (1, 352, 480), (2, 224, 992)],
)
def test_any_batch_and_size_agrees_with_torch(
    model_file: Path, checkpoint: Path, shape: tuple[int, int, int]
) -> None:
    n, height, width = shape
    frames = np.stack([draw_street(i, height, width + 64)[0][:, :width] for i in range(n)])
    model = load_checkpoint(checkpoint).build()
    expected = torch_labeller(model, model.spec.label_stride, torch.device("cpu"))(frames)
    with open_engine(model_file, threads=1) as engine:
        labels = engine.infer(frames)
    assert labels.shape == shape
    assert (labels == expected).mean() >= 0.999
    assert len(np.unique(labels)) > 1, "a network that says the same everywhere proves nothing"


def test_float16_halves_the_file(model_file: Path, model_file_quick: Path) -> None:
    small, large = model_file.stat().st_size, model_file_quick.stat().st_size
    assert 0.45 < small / large < 0.6
    assert large < 12_000_000


def test_weights_beyond_float16_stay_float32() -> None:
    values = np.full(2000, 1e6, np.float32)
    graph = onnx.helper.make_graph([], "g", [], [], [onnx.numpy_helper.from_array(values, "w")])
    model = onnx.helper.make_model(graph)
    store_as_float16(model)
    assert model.graph.initializer[0].data_type == onnx.TensorProto.FLOAT
    assert len(model.graph.node) == 0


def test_no_path_of_this_machine_is_in_the_file(model_file: Path) -> None:
    content = model_file.read_bytes()
    for folder in {str(Path.cwd()), str(Path.home()), str(Path(torch.__file__).parent)}:
        assert folder == "/" or folder.encode() not in content
    assert not re.search(rb"\.py\b|stack_trace|site-packages", content)


def test_an_existing_file_is_kept(checkpoint: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_text("precious")
    with pytest.raises(EngineBuildError, match=r"exists already; use --overwrite"):
        export(checkpoint, path)
    assert path.read_text() == "precious"


def test_nothing_is_left_of_an_export_that_failed(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="no such checkpoint"):
        export(tmp_path / "none.safetensors", tmp_path / "m.onnx")
    assert list(tmp_path.iterdir()) == []


def test_names_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "d.onnx").mkdir()
    for path, message in (
        (tmp_path / "m.pt", r"a model file's name ends in \.onnx"),
        (tmp_path / "none" / "m.onnx", "does not exist; create it"),
        (tmp_path / "d.onnx", "is a folder"),
    ):
        with pytest.raises(EngineBuildError, match=message):
            check_output(path, overwrite=True)


def test_sizes_and_strides_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="size must be multiples of 32, got 100x64"):
        ExportConfig(default_size=(100, 64))
    with pytest.raises(ValueError, match="label_stride must be 1, 2 or 4, got 3"):
        ExportConfig(label_stride=3)
