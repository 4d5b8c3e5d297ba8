from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from streamseg.models.palette import CAMVID
from tests.train.distil.teachers import colour_teacher
from tests.train.drawn import ROAD, SKY, draw_street, tiny_recipe
from train.checkpoint import Checkpoint, save_checkpoint
from train.distil.teacher import CheckpointTeacher, OnnxTeacher, open_teacher
from train.errors import TrainError
from train.models import build_model
from train.models.segmenter import normalise


@pytest.mark.parametrize("labels", [True, False])
def test_scores_of_an_onnx_teacher_come_from_before_its_argmax(
    tmp_path: Path, labels: bool
) -> None:
    teacher = open_teacher(colour_teacher(tmp_path / "t.onnx", labels=labels))
    assert isinstance(teacher, OnnxTeacher)
    assert teacher.classes == CAMVID.names
    picture, truth = draw_street(0)
    scores = teacher.scores(picture)
    assert scores.shape == (11, *truth.shape)
    assert scores.dtype == np.float32
    for index in (SKY, ROAD):
        assert (scores.argmax(axis=0)[truth == index] == index).all()


def test_a_checkpoint_of_ours_is_a_teacher_too(tmp_path: Path) -> None:
    recipe = tiny_recipe()
    network = build_model(recipe.model).eval()
    tensors = {f"model.{key}": value for key, value in network.state_dict().items()}
    save_checkpoint(
        tmp_path / "t.safetensors",
        Checkpoint(recipe=recipe, classes=CAMVID, epoch=0, metrics={}, tensors=tensors),
    )
    teacher = open_teacher(tmp_path / "t.safetensors")
    assert isinstance(teacher, CheckpointTeacher)
    picture, _ = draw_street(0)
    with torch.inference_mode():
        expected = network(normalise(torch.from_numpy(picture).permute(2, 0, 1)[None]))[0]
    np.testing.assert_allclose(teacher.scores(picture), expected.numpy(), rtol=1e-5, atol=1e-5)


def test_what_is_no_teacher_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="no such teacher file; check"):
        open_teacher(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(TrainError, match="neither an ONNX file nor a checkpoint of ours"):
        open_teacher(tmp_path / "text.onnx")
    model = onnx.load(colour_teacher(tmp_path / "t.onnx"))
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "t.onnx")
    with pytest.raises(TrainError, match="does not name its classes"):
        open_teacher(tmp_path / "t.onnx")
    onnx.helper.set_model_props(model, {"classes": "one,two"})
    onnx.save(model, tmp_path / "t.onnx")
    with pytest.raises(TrainError, match=r"expected \[1, 2, h, w\] for its classes"):
        open_teacher(tmp_path / "t.onnx").scores(draw_street(0)[0])
