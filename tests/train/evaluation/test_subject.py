from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from streamseg.models.palette import CAMVID
from tests.train.drawn import draw_street, tiny_recipe
from train.checkpoint import Checkpoint, save_checkpoint
from train.errors import TrainError
from train.evaluation.subject import open_subject
from train.models import build_model

CPU = torch.device("cpu")
SHIPPED = Path(__file__).parents[3] / "streamseg" / "models" / "mbv2.onnx"


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("subject") / "tiny.safetensors"
    recipe = tiny_recipe(model={"label_stride": 1}, data={"resize": [64, 96]})
    torch.manual_seed(0)
    tensors = {f"model.{k}": v for k, v in build_model(recipe.model).state_dict().items()}
    save_checkpoint(
        path, Checkpoint(recipe=recipe, classes=CAMVID, epoch=3, metrics={}, tensors=tensors)
    )
    return path


def test_a_checkpoint_gives_scores_that_decide_its_labels(checkpoint: Path) -> None:
    subject = open_subject(checkpoint, CPU)
    assert (subject.name, subject.kind, subject.layout) == ("tiny", "checkpoint", "camvid")
    assert subject.size == (64, 96)
    assert subject.classes == CAMVID
    assert subject.description["epoch"] == 3
    assert subject.description["recipe"]["data"]["layout"] == "camvid"
    assert subject.score is not None
    frames = np.stack([draw_street(index)[0] for index in range(2)])
    scores = subject.score(frames)
    assert scores.shape == (2, len(CAMVID), 16, 24)
    large = torch.nn.functional.interpolate(scores, (64, 96), mode="bilinear")
    assert np.array_equal(subject.label(frames), large.argmax(dim=1).numpy())


def test_a_model_file_gives_labels_only() -> None:
    subject = open_subject(SHIPPED, CPU, threads=1)
    assert (subject.name, subject.kind) == ("mbv2", "model file")
    assert subject.score is None
    assert subject.classes == CAMVID
    assert len(subject.description["checkpoint_sha256"]) == 64
    picture, _ = draw_street(0, 64, 96)
    labels = subject.label(picture[None])
    assert labels.shape == (1, 64, 96)
    assert labels.dtype == np.uint8
    assert labels.max() < len(CAMVID)
    weights = open_subject(SHIPPED.parents[2] / "train" / "weights" / "mbv2.safetensors", CPU)
    assert (labels == weights.label(picture[None])).mean() > 0.99  # it was exported from them


def test_files_that_are_no_subject(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"gone\.onnx: no such model file"):
        open_subject(tmp_path / "gone.onnx", CPU)
    with pytest.raises(TrainError, match=r"gone\.safetensors"):
        open_subject(tmp_path / "gone.safetensors", CPU)
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(SHIPPED.read_bytes()[:5000])
    with pytest.raises(TrainError, match=r"broken\.onnx: not an ONNX file, or a truncated one"):
        open_subject(broken, CPU)
    foreign = onnx.load(SHIPPED)
    foreign.graph.output[0].name = "other"
    foreign.graph.node[-1].output[0] = "other"
    path = tmp_path / "foreign.onnx"
    onnx.save(foreign, path)
    with pytest.raises(TrainError, match=r"foreign\.onnx: expected input frames"):
        open_subject(path, CPU)
