from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from streamseg.models.classlists import VOC
from tests.train.drawn import tiny_recipe
from train.__main__ import main
from train.checkpoint import Checkpoint, save_checkpoint
from train.models import build_model
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
    expected |= {"class_curves"}
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


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of other classes than the drawn streets'."""
    path = tmp_path_factory.mktemp("voc") / "voc.safetensors"
    recipe = tiny_recipe()
    recipe = dataclasses.replace(recipe, model=dataclasses.replace(recipe.model, classes=21))
    tensors = {f"model.{k}": v for k, v in build_model(recipe.model).state_dict().items()}
    saved = Checkpoint(recipe=recipe, classes=VOC, epoch=0, metrics={}, tensors=tensors)
    save_checkpoint(path, saved)
    return path


def test_what_a_network_of_other_classes_makes_of_pictures(
    tmp_path: Path, voc: Path, data: Path
) -> None:
    refused = report(voc, "--data", data, "--out", tmp_path / "a")
    assert refused.exit_code == 1
    assert "--pictures-only shows what it makes of them" in refused.stderr
    result = report(voc, "--data", data, "--pictures-only", "--out", tmp_path / "b")
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in (tmp_path / "b").iterdir()) == ["pictures.png", "report.md"]
    assert "|" not in (tmp_path / "b" / "report.md").read_text()


def test_other_formats_views_and_published_numbers(
    tmp_path: Path, runs: tuple[Path, Path], written: Path, data: Path
) -> None:
    numbers = tmp_path / "published.toml"
    numbers.write_text('[[row]]\nname = "SegNet"\nsource = "a paper & more"\nmiou = 60.1\n')
    result = report(
        *(runs[0], "--eval", written / "skip.eval.json", "--data", data, "--pictures", 1),
        *("--format", "pdf", "--format", "svg", "--dpi", 60, "--out", tmp_path / "out"),
        *("--tables", "csv", "--tables", "latex", "--published", numbers),
        *("--view", f"mirrored={runs[0]}:flip", "--view", f"{runs[0]}:crf+scales=1"),
    )
    assert result.exit_code == 0, result.output
    out = tmp_path / "out"
    assert (out / "class_iou.pdf").read_bytes().startswith(b"%PDF")
    assert "<svg" in (out / "class_iou.svg").read_text()
    assert "| SegNet † | - | 60.10 | - |" in (out / "report.md").read_text()
    latex = (out / "tables.tex").read_text()
    assert r"SegNet \dag{} & - & 60.10 & - &" in latex
    assert r"a paper \& more" in latex
    assert latex.count(r"\begin{table}") == latex.count(r"\end{table}") > 4
    tables = (out / "tables.csv").read_text()
    assert "SegNet †,-,60.10,-,-,-,-,-,-" in tables
    with Image.open(out / "class_iou.png") as few, Image.open(out / "pictures.png") as grid:
        assert few.size[0] == 7.5 * 60  # inches, dots an inch
        assert grid.size[0] > few.size[0]  # five columns need more than the page's width


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--view", "x"], "--view x: write [NAME=]RUN:HOW"),
        (["--view", "x:blur"], "--view x:blur: unknown: blur; write"),
        (["--view", "x:scales=a"], "--view x:scales=a: could not convert"),
    ],
)
def test_a_view_that_is_not_understood(
    arguments: list[str], message: str, tmp_path: Path, runs: tuple[Path, Path], data: Path
) -> None:
    result = report(runs[0], "--data", data, "--out", tmp_path / "o", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1", "it has no [[row]]"),
        ("[[row]]\nname = 'a'", "a row needs source = a text"),
        ("[[row]]\nname = 'a'\nsource = 'b'\nmIoU = 1", "unknown key 'mIoU'; known: miou"),
        ("[[row]]\nname = 'a'\nsource = 'b'\nmiou = '1'", "miou must be a number, got '1'"),
    ],
)
def test_a_file_of_published_numbers_that_is_not_understood(
    text: str, message: str, tmp_path: Path, runs: tuple[Path, Path]
) -> None:
    file = tmp_path / "p.toml"
    file.write_text(text)
    result = report(runs[0], "--published", file, "--out", tmp_path / "o")
    assert result.exit_code == 1
    assert message in result.stderr
