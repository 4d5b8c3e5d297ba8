"""Class biases: found on training pictures, worth having, and kept with the checkpoint."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from streamseg.models.palette import CAMVID, Palette
from tests.train.drawn import draw_dataset, tiny_recipe
from train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from train.evaluation.biases import fit_bias, main, miou
from train.models import build_model


def test_biases_undo_a_shift_of_the_scores() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 3, (3000,), generator=generator)
    scores = torch.randn(3, 3000, generator=generator)
    scores[truth, torch.arange(3000)] += 2.0
    bent = scores + torch.tensor([0.0, 2.5, -1.0])[:, None]

    bias = fit_bias(bent, truth)

    straight = miou(scores, truth, torch.zeros(3))
    assert miou(bent, truth, torch.zeros(3)) < straight - 0.1
    assert miou(bent, truth, bias) > straight - 0.01
    assert abs(float(bias.mean())) < 1e-6


def test_scores_that_are_right_already_are_left_alone() -> None:
    truth = torch.tensor([0, 1, 2, 1])
    scores = torch.nn.functional.one_hot(truth, 3).T * 10.0
    assert torch.equal(fit_bias(scores, truth), torch.zeros(3))


def write_checkpoint(path: Path, classes: Palette = CAMVID) -> Path:
    recipe = tiny_recipe(
        model={"classes": len(classes)},
        data={"train_split": "val", "val_split": "train", "resize": 64},
    )
    tensors = {f"model.{k}": v for k, v in build_model(recipe.model).state_dict().items()}
    save_checkpoint(
        path, Checkpoint(recipe=recipe, classes=classes, epoch=1, metrics={}, tensors=tensors)
    )
    return path


def calibrate(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("data") / "d", train=1, val=2)


def test_the_recipes_own_splits_are_used_and_nothing_is_clobbered(
    tmp_path: Path, data: Path
) -> None:
    source, out = write_checkpoint(tmp_path / "a.safetensors"), tmp_path / "b.safetensors"
    result = calibrate(source, "--data", data, "--out", out, "--every", 1)
    assert result.exit_code == 0, result.output
    made = load_checkpoint(out)
    assert made.metrics["split"] == "train"
    added = torch.tensor(made.metrics["class_bias"])
    before = load_checkpoint(source).tensors["model.classifier.bias"]
    torch.testing.assert_close(made.tensors["model.classifier.bias"], before + added)
    again = calibrate(source, "--data", data, "--out", out)
    assert again.exit_code == 2
    assert "exists already; use --overwrite" in again.output


def test_bad_input_of_calibration(tmp_path: Path, data: Path) -> None:
    source, out = write_checkpoint(tmp_path / "a.safetensors"), tmp_path / "b.safetensors"
    assert calibrate(source, "--data", data, "--out", out, "--every", 0).exit_code == 2
    two = Palette(names=("road", "car"), colours=((0, 0, 0), (1, 1, 1)))
    other = write_checkpoint(tmp_path / "two.safetensors", two)
    result = calibrate(other, "--data", data, "--out", out)
    assert result.exit_code == 1
    assert "its 11 classes are not the checkpoint's 2" in result.output
    assert not out.exists()
