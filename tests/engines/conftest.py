"""One tiny network, trained for seconds, and its model files: exporting is what takes long."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from engines.__main__ import main
from engines.export import ExportConfig, export
from tests.train.drawn import draw_dataset, tiny_recipe
from train.fit.trainer import Trainer

# Networks here are tiny: one thread computes them fastest, and leaves the other cores alone.
torch.set_num_threads(1)


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("engines") / "data", train=1, val=3)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("engines")
    recipe = tiny_recipe(
        data={"scale": [1.0, 1.0], "jitter": 0.0},
        optim={"name": "adamw", "lr": 0.005, "backbone_factor": 1.0},
        loss={"balance": "none"},
        train={"epochs": 8, "batch": 4, "ema_decay": 0.0, "validate_every": 8},
    )
    data = draw_dataset(folder / "data", train=8, val=2)
    run = folder / "run"
    Trainer(recipe, data=data, out=run, init=None, device=torch.device("cpu")).fit()
    return run / "best.safetensors"


@pytest.fixture(scope="session")
def exported(checkpoint: Path, data: Path, tmp_path_factory: pytest.TempPathFactory) -> Result:
    """The command that writes a model file and its program, measured on `data`."""
    path = tmp_path_factory.mktemp("engines") / "tiny.onnx"
    options = ["-o", str(path), "--format", "both", "--size", "96x64", "--data", str(data)]
    result = CliRunner().invoke(main, ["export", str(checkpoint), *options])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="session")
def model_file(exported: Result) -> Path:
    return Path(exported.stdout.partition(": ")[0])


@pytest.fixture(scope="session")
def program_file(model_file: Path) -> Path:
    return model_file.with_suffix(".pt2")


@pytest.fixture(scope="session")
def model_file_quick(checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every option another than the default, and no data to measure on."""
    path = tmp_path_factory.mktemp("engines") / "quick.onnx"
    config = ExportConfig(
        name="quick",
        weights="fp32",
        label_stride=4,
        training_data="my street",
        licence="mine",
    )
    export(checkpoint, path, config)
    return path
