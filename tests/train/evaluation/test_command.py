from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from PIL import Image

from streamseg.models.palette import CAMVID
from tests.train.drawn import draw_dataset
from train.__main__ import main
from train.checkpoint import load_checkpoint
from train.data.opening import open_dataset
from train.evaluation.predict import evaluate_network
from train.metrics import ConfusionMatrix
from train.report.evaluation import read_evaluation

ROOT = Path(__file__).parents[3]
CHECKPOINT = str(ROOT / "train" / "weights" / "mbv2.safetensors")
MODEL = str(ROOT / "streamseg" / "models" / "mbv2.onnx")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("eval") / "d", train=1, val=2)


def run(model: str, data: Path, *options: str) -> Result:
    arguments = ["eval", model, "--data", str(data), "--threads", "1", *options]
    return CliRunner().invoke(main, arguments)


def test_a_checkpoint_scores_what_training_measures(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "eval.json"
    result = run(CHECKPOINT, data, "--json", str(path), "--device", "cpu")
    assert result.exit_code == 0, result.output
    assert "\x1b" not in result.output
    loaded = load_checkpoint(Path(CHECKPOINT))
    expected = evaluate_network(
        loaded.build(), open_dataset("camvid", data, "val"), torch.device("cpu")
    )
    values = json.loads(path.read_text())
    assert values["scores"] == expected.as_dict(CAMVID.names)
    assert (values["name"], values["kind"]) == (loaded.recipe.name, "checkpoint")
    assert (values["layout"], values["split"], values["pictures"]) == ("camvid", "val", 2)
    assert f"mIoU {100 * expected.miou:.2f} %" in result.output
    assert f"FWIoU {100 * expected.frequency_weighted_iou:.2f} %" in result.output
    for name in CAMVID.names:
        assert f"\n{name} " in result.output


def test_the_report_reads_it(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "eval.json"
    assert run(MODEL, data, "--json", str(path)).exit_code == 0
    evaluation = read_evaluation(f"shipped={path}")
    assert evaluation.name == "shipped"
    assert evaluation.classes == CAMVID.names
    assert evaluation.pictures == 2
    assert evaluation.counts is not None
    assert evaluation.value("miou") == json.loads(path.read_text())["scores"]["miou"]


def test_a_model_file_and_its_labels(data: Path, tmp_path: Path) -> None:
    path, labels = tmp_path / "eval.json", tmp_path / "labels"
    result = run(MODEL, data, "--json", str(path), "--save-labels", str(labels))
    assert result.exit_code == 0, result.output
    values = json.loads(path.read_text())
    assert (values["kind"], values["layout"]) == ("model file", "camvid")
    matrix = ConfusionMatrix(len(CAMVID))
    for index in range(2):
        with Image.open(labels / f"{index:03d}.png") as image:
            assert image.mode == "P"
            shown, saved = np.array(image.convert("RGB")), np.array(image)
        with Image.open(data / "valannot" / f"{index:03d}.png") as image:
            matrix.update(np.array(image), saved)
        assert np.array_equal(shown, np.array(CAMVID.colours, np.uint8)[saved])
    assert values["confusion"] == matrix.counts.tolist()
    assert sorted(p.name for p in labels.iterdir()) == ["000.png", "001.png"]


def test_several_looks_are_written_down(data: Path, tmp_path: Path) -> None:
    path = tmp_path / "eval.json"
    options = [
        "--scales",
        "0.5,1",
        "--flip",
        "--slide",
        "64",
        "--stride",
        "32",
        "--crf",
        "--limit",
        "1",
        "--device",
        "cpu",
    ]
    result = run(CHECKPOINT, data, *options, "--json", str(path))
    assert result.exit_code == 0, result.output
    assert "1 pictures; scales [0.5, 1.0], flip, fuse mean, slide 64, stride 32, crf;" in (
        result.output
    )
    assert json.loads(path.read_text())["crf"]["appearance_sigma"] == 67


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        (MODEL, ["--flip", "--crf"], "--flip and --crf need the network's scores"),
        (MODEL, ["--scales", "0.5,1"], "several --scales need"),
        (MODEL, ["--slide", "64"], "--slide need"),
        (MODEL, ["--device", "cuda"], "a model file is evaluated on the CPU"),
        (CHECKPOINT, ["--device", "abacus"], "cannot run on 'abacus'"),
        (CHECKPOINT, ["--scales", "1,two"], "write numbers with commas between"),
        (CHECKPOINT, ["--scales", "0"], "scales must be within"),
        (CHECKPOINT, ["--slide", "64", "--stride", "65"], "would leave gaps"),
        (CHECKPOINT, ["--stride", "65"], "give the window too"),
        (CHECKPOINT, ["--size", "480"], "write WIDTHxHEIGHT"),
        (CHECKPOINT, ["--size", "480x360"], "multiples of 32"),
        (CHECKPOINT, ["--layout", "nowhere"], "'nowhere' is not one of"),
        (CHECKPOINT, ["--json", "/no/such/folder/x.json"], "a folder that exists"),
        (CHECKPOINT, ["--limit", "0"], "--limit"),
    ],
)
def test_usage_errors_exit_with_2(data: Path, model: str, options: list[str], message: str) -> None:
    result = run(model, data, *options)
    assert result.exit_code == 2, result.output
    assert message in " ".join(result.stderr.replace("│", " ").split())
    assert "Traceback" not in result.output


@pytest.mark.parametrize("model", [CHECKPOINT, MODEL])
def test_what_can_be_mended_is_one_sentence_and_exit_1(tmp_path: Path, model: str) -> None:
    for arguments in ((model, tmp_path / "gone"), (str(tmp_path / Path(model).name), tmp_path)):
        result = run(*arguments)
        assert result.exit_code == 1
        assert result.stderr.startswith("error: ")
        assert len(result.stderr.splitlines()) == 1


def test_nothing_is_clobbered_unasked(data: Path, tmp_path: Path) -> None:
    path, labels = tmp_path / "eval.json", tmp_path / "labels"
    labels.mkdir()
    path.write_text("mine")
    (labels / "mine.png").write_text("mine")
    for option, target in (("--json", path), ("--save-labels", labels)):
        result = run(MODEL, data, option, str(target))
        assert result.exit_code == 2
        assert "use --overwrite" in result.stderr
    assert path.read_text() == (labels / "mine.png").read_text() == "mine"
    assert run(MODEL, data, "--json", str(path), "--overwrite").exit_code == 0
    assert json.loads(path.read_text())["pictures"] == 2


def test_ctrl_c_writes_nothing(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("train.evaluation.command.measure", interrupted)
    path = tmp_path / "eval.json"
    result = run(MODEL, data, "--json", str(path))
    assert result.exit_code == 130
    assert result.stderr == "stopped; nothing was measured\n"
    assert not path.exists()
