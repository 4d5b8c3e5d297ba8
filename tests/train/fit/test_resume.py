from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.train.drawn import draw_dataset, tiny_recipe
from tests.train.fit.kit import CPU, StopIn, log_of, trainer
from train.errors import TrainError
from train.fit.distributed import World
from train.fit.progress import Progress
from train.fit.trainer import Trainer
from train.models import build_model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("data") / "d", train=4, val=2)


@pytest.fixture(autouse=True)
def every_epoch_is_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    """These runs are over before a checkpoint would be worth its time."""
    monkeypatch.setattr("train.fit.trainer.LEAST_SECONDS", 0.0)


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


def test_a_run_folder_of_another_recipe(tmp_path: Path, data: Path) -> None:
    trainer(tiny_recipe(train={"epochs": 1}), data, tmp_path / "run").fit()
    other = trainer(tiny_recipe(train={"epochs": 2}), data, tmp_path / "run")
    with pytest.raises(TrainError, match=r"another recipe \(train\.epochs: 1 -> 2\); choose"):
        other.resume()


def test_a_run_goes_on_with_other_loaders_and_without_its_start_weights(
    tmp_path: Path, data: Path
) -> None:
    start, out = tmp_path / "start.safetensors", tmp_path / "run"
    recipe = tiny_recipe(train={"epochs": 2, "tensorboard": False})
    save_file(build_model(recipe.model).backbone.state_dict(), start)
    with pytest.raises(KeyboardInterrupt):
        Trainer(recipe, data=data, out=out, init=start, device=CPU).fit(StopIn(epoch=2, step=1))
    start.unlink()
    config = dataclasses.replace(recipe.data, workers=1)
    moved = dataclasses.replace(recipe, data=config)
    for init in (start, None):
        resumed = Trainer(moved, data=data, out=out, init=init, device=CPU)
        assert resumed.resume()
    resumed.fit()
    about = json.loads((out / "environment.json").read_text())
    assert about["init"] == str(start)  # what the run started from, not what it went on with


def test_a_long_epoch_is_saved_within(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_recipe(train={"epochs": 2, "validate_every": 2})
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    trainer(recipe, data, whole).fit()
    monkeypatch.setattr("train.fit.trainer.SAVE_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        trainer(recipe, data, parts).fit(StopIn(epoch=1, step=2))
    resumed = trainer(recipe, data, parts)
    assert resumed.resume()
    assert resumed.step == 1
    resumed.fit()
    assert log_of(parts) == log_of(whole)
    assert (parts / "steps.csv").read_text() == (whole / "steps.csv").read_text()
    expected, got = (load_file(out / "last.safetensors") for out in (whole, parts))
    assert [key for key, value in expected.items() if not torch.equal(value, got[key])] == []


def test_processes_that_do_not_share_the_run_folder(tmp_path: Path, data: Path) -> None:
    run = trainer(tiny_recipe(), data, tmp_path / "run")

    class Two(World):
        def total(self, values: torch.Tensor) -> torch.Tensor:
            return values + 1  # another process sees the checkpoint, this one does not

    run.world = Two(size=2)
    with pytest.raises(TrainError, match=r"last\.safetensors: 1 of 2 processes see it"):
        run.resume()


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_run_killed_within_an_epoch_ends_bit_for_bit_as_one_that_was_not(
    tmp_path: Path, optimizer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A real SIGKILL in step 4 of 4, two to an epoch, with the last checkpoint after step 3."""
    monkeypatch.setattr("train.fit.trainer.SAVE_SECONDS", -1.0)
    data = draw_dataset(tmp_path / "d", train=8, val=1)
    recipe = tiny_recipe(
        optim={"name": optimizer},
        train={"batch": 4, "accumulate": 2, "iterations": 4, "validate_every_steps": 1},
    )
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    best = trainer(recipe, data, whole).fit()

    def die(progress: Progress) -> None:
        if progress.done == 4:
            os.kill(os.getpid(), signal.SIGKILL)

    child = multiprocessing.get_context("fork").Process(
        target=lambda: trainer(recipe, data, parts).fit(die)
    )
    child.start()
    child.join(timeout=300)
    assert child.exitcode == -signal.SIGKILL
    resumed = trainer(recipe, data, parts)
    assert resumed.resume()
    assert resumed.step == 3
    assert resumed.fit() == best
    for name in ("last.safetensors", "best.safetensors"):
        expected, got = load_file(whole / name), load_file(parts / name)
        assert [key for key, value in expected.items() if not torch.equal(value, got[key])] == []
    assert log_of(parts) == log_of(whole)
    assert (parts / "steps.csv").read_text() == (whole / "steps.csv").read_text()
    assert [row["step"] for row in log_of(whole)] == ["1", "2", "3", "4"]
    assert all(row["miou"] for row in log_of(whole))


def test_early_stopping_counts_on_after_a_resume(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.fit.trainer.SAVE_SECONDS", -1.0)
    recipe = tiny_recipe(  # nothing is learned: every validation says the same
        optim={"lr": 1e-12, "freeze_batchnorm": "all"},
        train={"iterations": 50, "validate_every_steps": 1, "patience": 3},
    )
    with pytest.raises(KeyboardInterrupt):
        trainer(recipe, data, tmp_path / "run").fit(StopIn(epoch=2, step=2))
    resumed = trainer(recipe, data, tmp_path / "run")
    assert resumed.resume()
    assert (resumed.step, resumed.state.stale) == (3, 2)
    best = resumed.fit()
    assert resumed.step == 4
    again = trainer(recipe, data, tmp_path / "run")
    assert again.resume()
    assert again.finished
    assert again.fit() == best
    assert len(log_of(tmp_path / "run")) == 4


def test_other_data_in_the_same_run_folder(tmp_path: Path, data: Path) -> None:
    recipe = tiny_recipe(train={"epochs": 1, "tensorboard": False})
    trainer(recipe, data, tmp_path / "run").fit()
    more = draw_dataset(tmp_path / "more", train=6, val=2)
    with pytest.raises(TrainError, match=r"data has changed \(2 steps an epoch then, 3 now"):
        trainer(recipe, more, tmp_path / "run").resume()
