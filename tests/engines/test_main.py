from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
from click.testing import CliRunner, Result

from engines.__main__ import main
from streamseg.models.palette import CAMVID
from tests.engines.test_graph import randomised
from tests.train.drawn import tiny_recipe
from train.checkpoint import Checkpoint, save_checkpoint
from train.models import build_model


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


def test_export_says_what_it_wrote_and_writes_the_same_again(
    checkpoint: Path, model_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    path.write_text("old")
    refused = run("export", checkpoint, "-o", path)
    assert refused.exit_code == 1
    assert refused.stderr == f"error: {path}: exists already; use --overwrite to replace it\n"
    result = run("export", checkpoint, "-o", path, "--overwrite", "--name", "street")
    assert result.exit_code == 0, result.output
    assert "street, " in result.stdout
    assert "(measured on the checkpoint, while it was trained)" in result.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["m.onnx"]
    again, before = onnx.load(path).graph, onnx.load(model_file).graph
    assert again.SerializeToString(deterministic=True) == before.SerializeToString(
        deterministic=True
    )


@pytest.mark.parametrize(
    "extra", [("--size", "480"), ("--size", "100x64"), ("--weights", "int8"), ("--nonsense",)]
)
def test_usage_errors_exit_with_2(checkpoint: Path, tmp_path: Path, extra: tuple[str, ...]) -> None:
    result = run("export", checkpoint, "-o", tmp_path / "m.onnx", *extra)
    assert result.exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_verify_shows_both_sides_and_exits_with_0(
    model_file: Path, checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    numbers = tmp_path / "v.json"
    result = run(
        "verify", model_file, "--checkpoint", checkpoint, "--data", data, "--json", numbers
    )
    assert result.exit_code == 0, result.output
    assert "mIoU" in result.stdout
    assert "IoU bicyclist" in result.stdout
    assert "\x1b" not in result.stdout
    found = json.loads(numbers.read_text())
    assert found["passed"] is True
    assert found["same_checkpoint"] is True
    assert found["agreement"] >= 0.999
    assert found["pictures"] == 3
    assert found["deployed"]["miou"] == pytest.approx(found["pytorch"]["miou"], abs=0.01)


def test_verify_exits_with_1_where_file_and_network_differ(
    model_file: Path, data: Path, tmp_path: Path
) -> None:
    recipe = tiny_recipe()
    model = randomised(build_model(recipe.model))
    bias = model.get_parameter("classifier.bias")
    bias.data[3] += 100  # everything is road
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    other = tmp_path / "other.safetensors"
    save_checkpoint(
        other, Checkpoint(recipe=recipe, classes=CAMVID, epoch=1, metrics={}, tensors=tensors)
    )
    result = run("verify", model_file, "--checkpoint", other, "--data", data)
    assert result.exit_code == 1
    assert "warning: " in result.stderr
    assert "99.9 % are required" in result.stderr


def test_what_can_be_mended_is_one_sentence(
    model_file: Path, checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    text = tmp_path / "text.onnx"
    text.write_text("hello")
    for arguments, message in (
        ((text, "--checkpoint", checkpoint, "--data", data), "not an ONNX file"),
        ((model_file, "--checkpoint", text, "--data", data), "not a safetensors file"),
        ((model_file, "--checkpoint", checkpoint, "--data", tmp_path), "no such folder"),
    ):
        result = run("verify", *arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
