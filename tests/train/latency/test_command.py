from __future__ import annotations

from pathlib import Path

import pytest
import torch
from click.testing import CliRunner, Result

from streamseg.models.palette import CAMVID
from tests.train.drawn import tiny_recipe
from train.__main__ import main
from train.checkpoint import Checkpoint, save_checkpoint
from train.errors import UsageError
from train.latency.timing import Regime, time_networks
from train.models import ModelSpec, build_model
from train.report.cost import read_latencies

RECIPES = Path(__file__).parents[3] / "train" / "recipes"
CPU = torch.device("cpu")


def latency(*arguments: object) -> Result:
    return CliRunner().invoke(
        main, ["latency", *map(str, arguments), "--device", "cpu", "--rounds", "1"]
    )


def test_a_recipe_and_a_checkpoint_side_by_side_in_a_file_that_reports_take(
    tmp_path: Path,
) -> None:
    recipe = tiny_recipe()
    tensors = {f"model.{k}": v for k, v in build_model(recipe.model).state_dict().items()}
    run = tmp_path / "mine"
    run.mkdir()
    save_checkpoint(
        run / "best.safetensors",
        Checkpoint(recipe=recipe, classes=CAMVID, epoch=1, metrics={}, tensors=tensors),
    )
    out = tmp_path / "l.json"
    small = RECIPES / "league" / "mbv3small_ppm.toml"
    result = latency(run, f"v3={small}", "--size", "96x64", "--batch", 2, "--json", out)
    assert result.exit_code == 0, result.output
    assert "CPU" in result.output
    assert "batch 2, 96x64; median of 1" in result.output
    found = read_latencies(out)
    assert list(found.milliseconds) == ["mine", "v3"]
    assert (found.size, found.batch) == ((96, 64), 2)
    again = latency(run, "--json", out)
    assert again.exit_code == 2
    assert "exists already; use --overwrite" in again.output


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        (["none"], "none: no such file; give a run folder, a checkpoint or a recipe", 1),
        ([*[RECIPES / "mbv2_camvid.toml"] * 2], "two networks are called", 2),
        (
            [RECIPES / "mbv2_camvid.toml", "--precision", "fp16"],
            "--precision fp16: for GPUs; on cpu use fp32 or bf16",
            2,
        ),
    ],
)
def test_what_cannot_be_timed_is_said(arguments: list[object], message: str, code: int) -> None:
    result = latency(*arguments)
    assert result.exit_code == code
    assert message in result.output


def test_labels_come_out_in_a_reduced_precision_too() -> None:
    model = build_model(ModelSpec(classes=5, head_channels=8))
    regime = Regime(device=CPU, size=(64, 32), precision="bf16", rounds=2)
    seen: list[int] = []
    times = time_networks({"m": model}, regime, lambda done, of: seen.append(of - done))
    assert times["m"] > 0
    assert seen == list(range(11, -1, -1))
    assert next(model.parameters()).dtype == torch.bfloat16


def test_tf32_is_a_gpus() -> None:
    with pytest.raises(UsageError, match="tf32: for GPUs"):
        Regime(device=CPU, size=(64, 32), precision="tf32")
