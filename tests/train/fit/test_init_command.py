from __future__ import annotations

from pathlib import Path

import torch
from click.testing import CliRunner, Result
from safetensors.torch import save_file
from torch import nn

from streamseg.models.classlists import VOC
from tests.train.drawn import draw_dataset
from tests.train.test_folded import folded_file, network
from train.__main__ import main
from train.checkpoint import load_checkpoint

RECIPE = """
[model]
backbone = "mobilenet_v2_half"
head = "pooled"
head_channels = 16
head_kernel = 1
auxiliary = false
"""


def init(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["init", *map(str, arguments)])


def test_a_file_of_weights_becomes_a_checkpoint_of_its_own_classes(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = network(decoder="none", decoder_head_channels=0, classes=21)
    scores = nn.Conv2d(16, 21, 1)
    names = ",".join(VOC.names)
    file = folded_file(tmp_path / "f.safetensors", model, scores, names=names)
    recipe, out = tmp_path / "r.toml", tmp_path / "c.safetensors"
    recipe.write_text(RECIPE)
    result = init(recipe, "--init", f"folded:{file}", "-o", out)
    assert result.exit_code == 0, result.output
    assert f"{out}: 21 classes, not trained" in result.output
    saved = load_checkpoint(out)
    assert saved.classes == VOC
    assert torch.equal(saved.build().get_parameter("classifier.weight"), scores.weight)
    # a checkpoint of ours is a source too, and data gives it other classes
    data = draw_dataset(tmp_path / "data")
    second = tmp_path / "d.safetensors"
    result = init(recipe, "--init", out, "--data", data, "-o", second)
    assert result.exit_code == 0, result.output
    assert "its classifier is replaced: 11 classes for 21, kept by name: car" in result.output
    assert len(load_checkpoint(second).classes) == 11
    assert init(recipe, "--init", out, "-o", second).exit_code == 2


def test_weights_that_name_no_classes_need_data(tmp_path: Path) -> None:
    recipe, file = tmp_path / "r.toml", tmp_path / "w.safetensors"
    recipe.write_text(RECIPE)
    save_file({"x": torch.zeros(1)}, file)
    result = init(recipe, "--init", file, "-o", tmp_path / "c.safetensors")
    assert result.exit_code == 2
    assert "does not say its classes; give --data, which has them" in result.output
    assert not (tmp_path / "c.safetensors").exists()
