from __future__ import annotations

import csv
import dataclasses
import json
import multiprocessing
import os
import signal
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import nn

from tests.train.drawn import draw_dataset, tiny_recipe
from train.checkpoint import load_checkpoint
from train.errors import TrainError
from train.fit.distributed import World
from train.fit.progress import Progress
from train.fit.trainer import Trainer
from train.models import build_model
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


def test_the_weights_of_every_validation_are_kept_if_asked(tmp_path: Path, data: Path) -> None:
    recipe = tiny_recipe(
        train={"iterations": 3, "validate_every_steps": 1, "keep_all": True, "tensorboard": False}
    )
    out = tmp_path / "run"
    trainer(recipe, data, out).fit()
    kept = sorted(out.glob("step_*.safetensors"))
    assert [path.stem for path in kept] == ["step_0000001", "step_0000002", "step_0000003"]
    mious = [load_checkpoint(path).metrics["miou"] for path in kept]
    assert mious == pytest.approx([float(row["miou"]) for row in log_of(out)], abs=1e-5)


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
        run.parts.model.classifier.weight.fill_(float("nan"))
    with pytest.raises(TrainError, match=r"became nan in epoch 1, step 1; lower optim\.lr"):
        run.fit()


def test_a_run_folder_that_cannot_be_made(tmp_path: Path, data: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainError, match=r"run: .*file is a file; choose another --out"):
        trainer(tiny_recipe(), data, tmp_path / "file" / "run")


def without_dropout(run: Trainer) -> Trainer:
    """Dropout draws anew for each part of a batch: off, where parts must equal the whole."""
    for module in run.parts.model.modules():
        if isinstance(module, nn.Dropout2d):
            module.p = 0.0
    return run


def losses_of(out: Path) -> list[float]:
    with (out / "steps.csv").open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]


def test_accumulated_parts_are_the_big_batch_where_batchnorm_is_frozen(
    tmp_path: Path, data: Path
) -> None:
    weights = []
    for parts in (1, 4):
        recipe = tiny_recipe(
            optim={"freeze_batchnorm": "all", "clip_norm": 1.0, "warmup_steps": 0},
            train={"batch": 4, "accumulate": parts, "epochs": 3, "validate_every": 3},
        )
        without_dropout(trainer(recipe, data, tmp_path / str(parts))).fit()
        weights.append(load_file(tmp_path / str(parts) / "last.safetensors"))
    assert losses_of(tmp_path / "4") == pytest.approx(losses_of(tmp_path / "1"), rel=1e-4)
    assert len(losses_of(tmp_path / "1")) == 3
    for key, value in weights[0].items():
        torch.testing.assert_close(weights[1][key], value, rtol=1e-3, atol=1e-5, msg=key)


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


def test_a_frozen_backbone_stays_as_it_is(tmp_path: Path, data: Path) -> None:
    recipe = tiny_recipe(
        optim={"freeze": ["backbone"], "weight_decay": 0.1}, train={"epochs": 1, "ema_decay": 0.0}
    )
    run = trainer(recipe, data, tmp_path / "run")
    before = {key: value.clone() for key, value in run.parts.model.state_dict().items()}
    run.fit()
    changed = {k for k, v in run.parts.model.state_dict().items() if not torch.equal(v, before[k])}
    assert "classifier.weight" in changed
    assert not any(key.startswith("backbone.") for key in changed)


def test_other_data_in_the_same_run_folder(tmp_path: Path, data: Path) -> None:
    recipe = tiny_recipe(train={"epochs": 1, "tensorboard": False})
    trainer(recipe, data, tmp_path / "run").fit()
    more = draw_dataset(tmp_path / "more", train=6, val=2)
    with pytest.raises(TrainError, match=r"data has changed \(2 steps an epoch then, 3 now"):
        trainer(recipe, more, tmp_path / "run").resume()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory"),
            r"cpu ran out of memory; lower train\.batch",
        ),
        (
            ValueError("Expected more than 1 value per channel when training, got input size 1"),
            "BatchNorm cannot train on one picture",
        ),
    ],
)
def test_what_pytorch_says_becomes_a_sentence(
    tmp_path: Path,
    data: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    message: str,
) -> None:
    run = trainer(tiny_recipe(train={"tensorboard": False}), data, tmp_path / "run")

    def fail(_: torch.Tensor) -> torch.Tensor:
        raise error

    monkeypatch.setattr(run.parts.network, "forward", fail)
    with pytest.raises(TrainError, match=message):
        run.fit()


def test_bf16_on_a_cpu_trains_nearly_the_same(tmp_path: Path, data: Path) -> None:
    for amp in ("off", "bf16"):
        recipe = tiny_recipe(train={"epochs": 1, "amp": amp, "tensorboard": False})
        without_dropout(trainer(recipe, data, tmp_path / amp)).fit()
    full, half = losses_of(tmp_path / "off"), losses_of(tmp_path / "bf16")
    assert half == pytest.approx(full, rel=0.05)
    assert half != full
