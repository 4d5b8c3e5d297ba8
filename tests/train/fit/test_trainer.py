from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from torch import nn

from tests.train.drawn import draw_dataset, tiny_recipe
from tests.train.fit.kit import log_of, losses_of, trainer
from train.checkpoint import load_checkpoint
from train.errors import TrainError
from train.fit.progress import Progress
from train.fit.trainer import Trainer


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("data") / "d", train=4, val=2)


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
        train={"epochs": 12, "batch": 4, "ema_decay": 0.0, "validate_every": 12},
    )
    trainer(recipe, data, tmp_path / "run").fit()
    log = log_of(tmp_path / "run")
    assert float(log[-1]["loss"]) < 0.5 * float(log[0]["loss"])


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
        run.parts.model.get_parameter("classifier.weight").fill_(float("nan"))
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


def test_a_look_before_the_first_step_is_step_0_of_the_log(tmp_path: Path, data: Path) -> None:
    recipe = tiny_recipe(train={"iterations": 1, "validate_first": True, "tensorboard": False})
    (tmp_path / "other").mkdir()
    scores, _ = trainer(recipe, data, tmp_path / "other")._validate()  # of the starting weights
    run = trainer(recipe, data, tmp_path / "run")
    run.fit()
    first, last = log_of(tmp_path / "run")
    assert (first["step"], last["step"]) == ("0", "1")
    assert float(first["miou"]) == pytest.approx(scores.miou, abs=1e-5)
    assert first["loss"] == "nan"
    again = trainer(recipe, data, tmp_path / "run")
    assert again.resume()
    again.fit()
    assert [row["step"] for row in log_of(tmp_path / "run")] == ["0", "1"]
