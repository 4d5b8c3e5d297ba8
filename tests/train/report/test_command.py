from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from train.__main__ import main
from train.report.runs import read_run


def report(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["report", *map(str, arguments), "--device", "cpu"])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, runs: tuple[Path, Path], data: Path) -> Path:
    """A whole report of two real runs, with made-up latencies."""
    out = tmp_path_factory.mktemp("out") / "report"
    latency = out.with_name("latency.json")
    values = {"engine": "E", "machine": "M", "size": [96, 64], "batch": 1}
    latency.write_text(json.dumps(values | {"milliseconds": {"skip": 2.0, "plain": 1.0}}))
    result = report(*runs, "--data", data, "--latency", latency, "--out", out, "--pictures", 1)
    assert result.exit_code == 0, result.output
    assert result.output == f"{out / 'report.md'}\n"
    return out


def test_all_figures_are_there_and_open(written: Path) -> None:
    figures = {path.stem for path in written.glob("*.png")}
    expected = {"speed", "class_iou", "class_pixels", "pictures", "loss", "miou"}
    expected |= {"adaptation", "class_curves"}
    assert figures == expected | {"confusion_skip", "confusion_plain"}
    page = (written / "report.md").read_text()
    for name in figures:
        assert f"]({name}.png)" in page
        with Image.open(written / f"{name}.png") as picture:
            assert min(picture.size) > 150
            assert len(picture.convert("RGB").getcolors(1 << 22) or []) > 10
    assert not list(written.glob(".*"))


def test_the_page_says_what_the_evaluation_measured(written: Path, runs: tuple[Path, Path]) -> None:
    page = (written / "report.md").read_text()
    scores = json.loads((written / "skip.eval.json").read_text())["scores"]
    miou = f"{100 * scores['miou']:.2f}"
    assert f"| skip | MobileNetV2 + PPM + skip decoder, stride 16 | {miou} |" in page
    best = read_run(str(runs[0])).best
    assert best is not None
    # training validated the same weights on the same pictures
    assert scores["miou"] == pytest.approx(best.scores["miou"], abs=1e-5)
    assert "E, batch 1, 96x64" in page


def test_its_evaluations_can_be_given_back(
    tmp_path: Path, written: Path, runs: tuple[Path, Path]
) -> None:
    result = report(
        *(*runs, "--eval", written / "skip.eval.json", "--eval", written / "plain.eval.json"),
        *("--out", tmp_path),
    )
    assert result.exit_code == 0, result.output
    table = next(
        part
        for part in (written / "report.md").read_text().split("\n\n")
        if part.startswith("| Class |")
    )
    assert table in (tmp_path / "report.md").read_text()
    assert not (tmp_path / "skip.eval.json").exists()


def test_a_second_target_has_its_own_bars(
    tmp_path: Path, written: Path, runs: tuple[Path, Path]
) -> None:
    values = json.loads((written / "skip.eval.json").read_text())
    campus = tmp_path / "campus.json"
    campus.write_text(json.dumps(values | {"data": "our campus"}))
    arguments = (runs[0], "--eval", written / "skip.eval.json", "--eval", campus)
    result = report(*arguments, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    page = (tmp_path / "out" / "report.md").read_text()
    assert "](class_iou_our_campus_val.png)" in page
    assert (tmp_path / "out" / "class_iou_our_campus_val.png").is_file()
    (tmp_path / "out" / "report.md").unlink()
    for path in (tmp_path / "out").glob("*.png"):
        if path.stem != "class_iou_our_campus_val":
            path.unlink()
    again = report(*arguments, "--out", tmp_path / "out")
    assert again.exit_code == 1
    assert "class_iou_our_campus_val.png: exists already" in again.stderr


def test_without_data_the_log_speaks(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    result = report(runs[0], "--out", tmp_path)
    assert result.exit_code == 0, result.output
    page = (tmp_path / "report.md").read_text()
    assert "whole picture, during training" in page
    assert "| Precision |" not in page
    assert not (tmp_path / "pictures.png").exists()


def test_nothing_is_clobbered_unasked(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    (tmp_path / "loss.png").write_text("mine")
    result = report(runs[0], "--out", tmp_path)
    assert result.exit_code == 1
    assert result.stderr == (
        f"error: {tmp_path / 'loss.png'}: exists already; use --overwrite to replace it, "
        "or another --out\n"
    )
    assert (tmp_path / "loss.png").read_text() == "mine"
    assert report(runs[0], "--out", tmp_path, "--overwrite").exit_code == 0
    assert (tmp_path / "loss.png").read_bytes().startswith(b"\x89PNG")


def test_usage(tmp_path: Path) -> None:
    result = report("--out", tmp_path)
    assert result.exit_code == 2
    assert "name at least one run folder" in result.stderr


def test_runs_of_different_classes_are_refused(
    tmp_path: Path, runs: tuple[Path, Path], written: Path
) -> None:
    values = json.loads((written / "skip.eval.json").read_text())
    values["scores"]["class_iou"] = {"cat": 0.5, "dog": 0.5}
    values |= {"confusion": [[1, 0], [0, 1]], "name": "pets", "model": None}
    path = tmp_path / "pets.json"
    path.write_text(json.dumps(values))
    result = report(runs[0], "--eval", path, "--out", tmp_path / "r")
    assert result.exit_code == 1
    assert result.stderr == (
        "error: pets: evaluated on 2 classes (cat, ...), but skip has 11 (sky, ...); "
        "make one report for each list of classes\n"
    )
    assert not (tmp_path / "r" / "report.md").exists()


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("log.csv", "epoch,loss\n1,x\n", "line 2: loss is 'x', not a number"),
        ("best.safetensors", "broken", "not a safetensors file"),
        ("recipe.json", "{", "not a JSON file"),
    ],
)
def test_a_broken_run_is_one_sentence(tmp_path: Path, file: str, text: str, message: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "log.csv").write_text("epoch,loss\n1,0.5\n")
    (folder / file).write_text(text)
    result = report(folder, "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {folder / file}: ")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1
