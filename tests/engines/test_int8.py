"""The int8 graph that stands beside a model file: written, measured, refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from engines import int8
from engines.__main__ import main
from streamseg.models.modelfile import read_header
from streamseg.runtime.choosing.companion import companion_path, find_companion
from streamseg.runtime.open import open_engine


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["int8", *(str(a) for a in arguments)])


@pytest.fixture
def model(model_file: Path, tmp_path: Path) -> Path:
    path = tmp_path / "models" / "tiny.onnx"
    path.parent.mkdir()
    shutil.copy(model_file, path)
    return path


def names(model: Path) -> list[str]:
    return sorted(path.name for path in model.parent.iterdir())


def test_it_is_written_measured_and_found(
    model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "REQUIRED_AGREEMENT", 0.8)  # eight epochs make no sure network
    result = run(model, "--data", data, "--count", "4")
    assert result.exit_code == 0, result.output
    path = companion_path(model)
    assert result.stdout.startswith(f"{path}: ")
    assert names(model) == ["tiny.int8.onnx", "tiny.onnx"]
    found = find_companion(model, read_header(model))
    assert found is not None
    accuracy = found[1].accuracy
    assert (accuracy["measured_on"], accuracy["pictures"]) == ("this file", 3)
    assert f"{100 * accuracy['miou']:.2f} %" in result.stdout
    frames = np.random.default_rng(0).integers(0, 256, (2, 64, 96, 3), np.uint8)
    labels = []
    for precision in ("fp32", "int8"):
        with open_engine(model, backend="onnxruntime", precision=precision) as engine:
            assert engine.spec.path == (path if precision == "int8" else model)
            labels.append(engine.infer(frames))
    assert labels[0].shape == labels[1].shape == (2, 64, 96)
    again = run(model, "--data", data)
    assert again.exit_code == 1
    assert again.stderr == f"error: {path}: exists already; use --overwrite to replace it\n"


def test_without_labels_pictures_calibrate_and_others_compare(model: Path, data: Path) -> None:
    result = run(model, "--pictures", data / "val", "--count", "4", "--min-agreement", "0.8")
    assert result.exit_code == 0, result.output
    assert "mIoU" not in result.stdout
    found = find_companion(model, read_header(model))
    assert found is not None
    before = read_header(model).accuracy
    agreement = found[1].accuracy["agreement_with_fp32"]
    assert found[1].accuracy == {**before, "agreement_with_fp32": agreement}
    assert 0.8 <= agreement <= 1
    assert f"{100 * agreement:.2f} % of the labels are fp32's" in result.stdout


def test_one_that_disagrees_is_not_kept(
    model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(int8, "REQUIRED_AGREEMENT", 1.01)
    result = run(model, "--data", data, "--count", "1")
    assert result.exit_code == 1
    assert "was not kept" in result.stderr
    assert names(model) == ["tiny.onnx"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--data", "nowhere"), 1, "nowhere"),
        (("--data", "DATA", "--calibration", "nowhere"), 2, "nowhere: no such folder or video"),
        (("--data", "DATA", "--layout", "jpeg"), 1, "jpeg"),
        ((), 2, "--data"),
        (("--data", "DATA", "--pictures", "DATA"), 2, "--pictures"),
        (("--pictures", "nowhere"), 1, "needs at least two pictures"),
    ],
)
def test_bad_input_is_one_sentence(
    model: Path, data: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    result = run(model, *(str(data) if a == "DATA" else a for a in arguments))
    assert result.exit_code == code, result.output
    assert message in result.stderr
    assert "Traceback" not in result.stderr
    assert names(model) == ["tiny.onnx"]
