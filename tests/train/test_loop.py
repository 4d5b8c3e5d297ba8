from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from tests.train.drawn import draw_dataset, tiny_recipe
from train.checkpoint import load_checkpoint
from train.errors import TrainError
from train.loop import Progress, Trainer
from train.recipe import Recipe

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("data") / "d", train=4, val=2)


def trainer(recipe: Recipe, data: Path, out: Path) -> Trainer:
    return Trainer(recipe, data=data, out=out, init=None, device=CPU)


class StopIn:
    """Ctrl-C in the given epoch and step."""

    def __init__(self, epoch: int, step: int) -> None:
        self.epoch, self.step = epoch, step

    def __call__(self, progress: Progress) -> None:
        if (progress.epoch, progress.step) == (self.epoch, self.step):
            raise KeyboardInterrupt


def log_of(out: Path) -> list[dict[str, str]]:
    with (out / "log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_run_that_was_stopped_ends_bit_for_bit_as_one_that_was_not(
    tmp_path: Path, data: Path, optimizer: str
) -> None:
    recipe = tiny_recipe(optim={"name": optimizer}, train={"epochs": 3})
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    best = trainer(recipe, data, whole).fit()
    with pytest.raises(KeyboardInterrupt):
        trainer(recipe, data, parts).fit(StopIn(epoch=2, step=2))
    assert len(log_of(parts)) == 1
    torch.manual_seed(12345)  # another process has another generator
    resumed = trainer(recipe, data, parts)
    assert resumed.resume()
    assert resumed.epoch == 1
    assert resumed.fit() == best
    for name in ("last.safetensors", "best.safetensors"):
        expected, got = load_file(whole / name), load_file(parts / name)
        assert expected.keys() == got.keys()
        different = [key for key, value in expected.items() if not torch.equal(value, got[key])]
        assert different == []
    assert log_of(parts) == log_of(whole)
    assert [row["epoch"] for row in log_of(whole)] == ["1", "2", "3"]


def test_results_do_not_depend_on_the_loader_processes(tmp_path: Path, data: Path) -> None:
    weights = []
    for workers in (0, 2):
        out = tmp_path / str(workers)
        recipe = tiny_recipe(data={"workers": workers}, train={"epochs": 1})
        trainer(recipe, data, out).fit()
        weights.append(load_file(out / "last.safetensors"))
    assert all(torch.equal(value, weights[1][key]) for key, value in weights[0].items())


def test_what_a_run_leaves_behind(tmp_path: Path, data: Path) -> None:
    recipe = tiny_recipe(train={"epochs": 3, "validate_every": 2})
    seen: list[Progress] = []
    run = trainer(recipe, data, tmp_path / "run")
    assert not run.resume()
    best = run.fit(seen.append)
    assert sorted(p.name for p in (tmp_path / "run").iterdir()) == [
        "best.safetensors",
        "environment.json",
        "last.safetensors",
        "log.csv",
        "recipe.json",
        "steps.csv",
        "tensorboard",
    ]
    assert json.loads((tmp_path / "run" / "recipe.json").read_text())["name"] == "tiny"
    assert [bool(row["miou"]) for row in log_of(tmp_path / "run")] == [False, True, True]
    assert len(seen) == 3 * 2 + 3
    checkpoint = load_checkpoint(tmp_path / "run" / "best.safetensors")
    assert checkpoint.metrics["miou"] == best
    assert checkpoint.metrics["class_iou"]["bicyclist"] is None or best >= 0
    assert all(key.startswith("model.") for key in checkpoint.tensors)
    finished = trainer(recipe, data, tmp_path / "run")
    assert finished.resume()
    assert finished.fit() == best


def test_something_easy_is_learned(tmp_path: Path) -> None:
    data = draw_dataset(tmp_path / "d", train=8, val=2)
    recipe = tiny_recipe(
        data={"scale": [1.0, 1.0], "jitter": 0.0},
        optim={"name": "adamw", "lr": 0.005, "backbone_factor": 1.0},
        loss={"balance": "none"},
        train={"epochs": 8, "batch": 4, "ema_decay": 0.0, "validate_every": 8},
    )
    trainer(recipe, data, tmp_path / "run").fit()
    log = log_of(tmp_path / "run")
    assert float(log[-1]["loss"]) < 0.5 * float(log[0]["loss"])


def test_a_run_folder_of_another_recipe(tmp_path: Path, data: Path) -> None:
    trainer(tiny_recipe(train={"epochs": 1}), data, tmp_path / "run").fit()
    other = trainer(tiny_recipe(train={"epochs": 2}), data, tmp_path / "run")
    with pytest.raises(TrainError, match="holds a run of another recipe; choose another --out"):
        other.resume()


def test_fewer_pictures_than_a_batch(tmp_path: Path, data: Path) -> None:
    with pytest.raises(TrainError, match="4 training pictures are fewer than one batch of 5"):
        trainer(tiny_recipe(train={"batch": 5}), data, tmp_path / "run")


def test_labels_without_a_known_class(tmp_path: Path) -> None:
    data = draw_dataset(tmp_path / "d")
    for path in (data / "valannot").iterdir():
        Image.new("L", (96, 64), 11).save(path)
    with pytest.raises(TrainError, match="valannot: no pixel has a known class"):
        trainer(tiny_recipe(), data, tmp_path / "run")


def test_a_loss_that_explodes_is_named(tmp_path: Path, data: Path) -> None:
    run = trainer(tiny_recipe(), data, tmp_path / "run")
    with torch.no_grad():
        run.model.classifier.weight.fill_(float("nan"))
    with pytest.raises(TrainError, match=r"became nan in epoch 1, step 1; lower optim\.lr"):
        run.fit()


def test_a_run_folder_that_cannot_be_made(tmp_path: Path, data: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainError, match=r"cannot be written .*choose another --out"):
        trainer(tiny_recipe(), data, tmp_path / "file" / "run").fit()
