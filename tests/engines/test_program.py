from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result

from engines.__main__ import main
from engines.errors import EngineBuildError
from engines.program import check_outputs, open_program
from streamseg.errors import EngineError, ModelError
from streamseg.models.modelfile import read_header
from streamseg.runtime.backends.torch_program import read_program_header
from streamseg.runtime.engine import Engine
from tests.train.drawn import draw_street
from train.checkpoint import load_checkpoint
from train.evaluation.predict import torch_labeller


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(a) for a in arguments])


@pytest.fixture(scope="module")
def engine(program_file: Path) -> Iterator[Engine]:
    with open_program(program_file, threads=1) as engine:
        yield engine


def test_program_and_model_file_say_the_same_of_themselves(
    program_file: Path, model_file: Path
) -> None:
    program, model = read_program_header(program_file), read_header(model_file)
    assert replace(program, accuracy={}) == replace(model, accuracy={})
    assert program.accuracy["measured_on"] == "this file"
    assert program.accuracy["miou"] == pytest.approx(model.accuracy["miou"], abs=0.01)


def test_a_header_is_read_without_torch(program_file: Path) -> None:
    code = (
        "import sys; from pathlib import Path; "
        "from streamseg.runtime.backends.torch_program import read_program_header; "
        f"print(read_program_header(Path({str(program_file)!r})).name, 'torch' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "tiny False\n", result.stderr


@pytest.mark.parametrize("shape", [(1, 32, 32), (3, 64, 96), (1, 288, 512), (2, 224, 992)])
def test_any_batch_and_size_agrees_with_torch(
    engine: Engine, checkpoint: Path, shape: tuple[int, int, int]
) -> None:
    n, height, width = shape
    frames = np.stack([draw_street(i, height, width + 64)[0][:, :width] for i in range(n)])
    model = load_checkpoint(checkpoint).build()
    expected = torch_labeller(model, model.spec.label_stride, torch.device("cpu"))(frames)
    labels = engine.infer(frames)
    assert labels.shape == shape
    assert (labels == expected).mean() >= 0.999
    assert len(np.unique(labels)) > 1, "a network that says the same everywhere proves nothing"


def test_no_path_of_this_machine_is_in_the_file(program_file: Path) -> None:
    with zipfile.ZipFile(program_file) as archive:
        names = [n for n in archive.namelist() if "/data/weights/" not in n]
        content = b"".join(map(archive.read, names))
    assert b"conv2d" in content
    for folder in {str(Path.cwd()), str(Path.home()), str(Path(torch.__file__).parent)}:
        assert folder == "/" or folder.encode() not in content
    assert not re.search(rb"[a-z]\.py\b|site-packages", content)


def test_both_files_are_written_and_told(
    exported: Result, model_file: Path, program_file: Path
) -> None:
    told = [line for line in exported.stdout.splitlines() if line]
    assert len(told) == 2
    for line, path in zip(told, (model_file, program_file), strict=True):
        assert re.fullmatch(
            rf"{path}: tiny, [\d.]+ MB, val mIoU [\d.]+ % \(measured on this file\)", line
        )
    assert sorted(p.name for p in model_file.parent.iterdir()) == ["tiny.onnx", "tiny.pt2"]


def test_files_are_replaced_only_when_asked(checkpoint: Path, tmp_path: Path) -> None:
    model, program = tmp_path / "pair.onnx", tmp_path / "pair.pt2"
    program.write_text("precious")
    refused = run("export", checkpoint, "-o", model, "--format", "both")
    assert refused.exit_code == 1
    assert refused.stderr == f"error: {program}: exists already; use --overwrite to replace it\n"
    assert [p.name for p in tmp_path.iterdir()] == ["pair.pt2"]
    assert program.read_text() == "precious"
    options = ("--format", "pt2", "--overwrite", "--label-stride", "4")  # named as its file
    result = run("export", checkpoint, "-o", model, *options)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{program}: pair, ")
    assert [p.name for p in tmp_path.iterdir()] == ["pair.pt2"]
    header = read_program_header(program)
    assert header.name == "pair"
    assert "stride 4" in header.architecture
    assert header.accuracy["measured_on"] == "the checkpoint, while it was trained"


def test_which_files_a_format_names(tmp_path: Path) -> None:
    model, program = tmp_path / "m.onnx", tmp_path / "m.pt2"
    for output, kind, expected in (
        (model, "onnx", [model]),
        (model, "pt2", [program]),
        (program, "pt2", [program]),
        (model, "both", [model, program]),
    ):
        assert check_outputs(output, kind, overwrite=False) == expected
    model.write_text("the model file stands there already, and only its program is wanted")
    assert check_outputs(model, "pt2", overwrite=False) == [program]
    for output, kind, message in (
        (model, "onnx", r"m\.onnx: exists already"),
        (model, "both", r"m\.onnx: exists already"),
        (program, "both", r"a model file's name ends in \.onnx"),
        (tmp_path / "m.bin", "pt2", r"a model file's name ends in \.onnx"),
        (tmp_path / "none" / "m.pt2", "pt2", "does not exist; create it"),
    ):
        with pytest.raises(EngineBuildError, match=message):
            check_outputs(output, kind, overwrite=False)
    program.write_text("precious")
    with pytest.raises(EngineBuildError, match=r"m\.pt2: exists already; use --overwrite"):
        check_outputs(model, "pt2", overwrite=False)


def test_nothing_is_left_of_an_export_that_failed(tmp_path: Path) -> None:
    missing = tmp_path / "none.safetensors"
    result = run("export", missing, "-o", tmp_path / "m.pt2", "--format", "pt2")
    assert result.exit_code == 1
    assert result.stderr == f"error: {missing}: no such checkpoint\n"
    assert list(tmp_path.iterdir()) == []


def test_verify_takes_a_program(
    program_file: Path, checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    numbers = tmp_path / "v.json"
    options = ("--checkpoint", checkpoint, "--data", data, "--threads", "1", "--json", numbers)
    result = run("verify", program_file, *options)
    assert result.exit_code == 0, result.output
    found = json.loads(numbers.read_text())
    assert found["same_checkpoint"] is True
    assert found["agreement"] >= 0.999
    assert found["pictures"] == 3


def test_a_broken_program_is_one_sentence(
    program_file: Path, checkpoint: Path, data: Path, tmp_path: Path
) -> None:
    text, half, hollow = (tmp_path / f"{name}.pt2" for name in ("text", "half", "hollow"))
    text.write_text("hello")
    whole = program_file.read_bytes()
    half.write_bytes(whole[: len(whole) // 2])
    with zipfile.ZipFile(program_file) as source, zipfile.ZipFile(hollow, "w") as target:
        for name in source.namelist():
            broken = name.endswith("models/model.json")
            target.writestr(name, b"{}" if broken else source.read(name))
    for path, message in (
        (tmp_path / "none.pt2", "cannot be read (No such file or directory)"),
        (text, "not a torch.export program, or a truncated one"),
        (half, "not a torch.export program, or a truncated one"),
        (hollow, "export the program again"),
    ):
        result = run("verify", path, "--checkpoint", checkpoint, "--data", data)
        assert result.exit_code == 1
        assert result.stderr.startswith(f"error: {path}: ")
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
    with pytest.raises(ModelError, match="not a torch"):
        open_program(half)
    with pytest.raises(EngineError, match="cannot be loaded with PyTorch"):
        open_program(hollow)
