from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.train.data.drawn_layouts import draw_folder, draw_labelme
from tests.train.drawn import draw_dataset, tiny_recipe
from train.checkpoint import load_checkpoint
from train.data.opening import open_dataset
from train.errors import TrainError
from train.fit.trainer import Trainer


def test_auto_takes_the_layout_that_a_folder_has(tmp_path: Path) -> None:
    data = draw_labelme(tmp_path / "d")
    assert len(open_dataset("auto", data, "train")) == 4
    (tmp_path / "empty").mkdir()
    with pytest.raises(TrainError, match="none of the known layouts"):
        open_dataset("auto", tmp_path / "empty", "train")


def test_a_wrong_layout_is_answered_with_the_one_that_it_looks_like(tmp_path: Path) -> None:
    data = draw_labelme(tmp_path / "d")
    looks = r"this looks like labelme \(train/0000\.json is a file of labelme\): name that layout"
    with pytest.raises(TrainError, match=looks):
        open_dataset("camvid", data, "train")
    with pytest.raises(TrainError) as caught:  # the right layout, but no such split
        open_dataset("folder", draw_folder(tmp_path / "f"), "test")
    assert "this looks like" not in str(caught.value)


def test_a_run_names_the_layout_that_it_found(tmp_path: Path) -> None:
    data = draw_dataset(tmp_path / "d")
    recipe = tiny_recipe(data={"layout": "auto"}, train={"epochs": 1, "tensorboard": False})
    run = Trainer(recipe, data=data, out=tmp_path / "run", init=None, device=torch.device("cpu"))
    run.fit()
    assert load_checkpoint(run.folder.best).recipe.data.layout == "camvid"
