from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.train.report.kit import COUNTS, LATENCIES, evaluation, run
from train.errors import TrainError
from train.report.cost import read_latencies
from train.report.entry import Entry, join, with_latencies
from train.report.evaluation import from_log, in_words, read_evaluation
from train.report.logs import read_log, read_steps
from train.report.runs import read_run, read_runs

OLD = "epoch,loss,seconds,miou,mean_accuracy,pixel_accuracy,road,car\n"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_log_of_the_first_version(tmp_path: Path) -> None:
    text = OLD + "1,0.5,9.0,,,,,\n2,0.4,8.0,0.6,0.7,0.8,0.5,nan\n"
    first, second = read_log(write(tmp_path / "log.csv", text))
    assert (first.epoch, first.step, first.loss, first.scores) == (1, None, 0.5, {})
    assert second.scores == {"miou": 0.6, "mean_accuracy": 0.7, "pixel_accuracy": 0.8}
    assert second.class_iou == {"road": 0.5, "car": None}


def test_a_log_with_steps_and_a_class_called_like_a_column(tmp_path: Path) -> None:
    header = "epoch,step,loss,seconds,lr,val_loss,miou,mean_accuracy,pixel_accuracy,fw_iou"
    text = f"{header},class step,car\n1,7,0.5,1,0.01,0.6,0.1,0.2,0.3,0.4,0.5,0.6\n"
    (row,) = read_log(write(tmp_path / "log.csv", text))
    assert (row.step, row.val_loss) == (7, 0.6)
    assert row.scores["frequency_weighted_iou"] == 0.4
    assert row.class_iou == {"step": 0.5, "car": 0.6}


def test_steps(tmp_path: Path) -> None:
    path = write(tmp_path / "steps.csv", "step,epoch,loss,lr\n1,1,2.5,0.1\n2,1,2.25,0.1\n")
    np.testing.assert_array_equal(read_steps(path), [[1, 2.5], [2, 2.25]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n", "no column 'epoch'; is it the log of a run"),
        (OLD + "1,much,,,,,,\n", r"line 2: loss is 'much', not a number"),
        (OLD + "1,0.5\n", "line 2 has not as many values"),
        (OLD + "1,,,,,,,\n", "line 2: loss is empty"),
        ("\0", "no column 'epoch'|cannot be read as a log"),
    ],
)
def test_a_broken_log_is_named_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "log.csv", text)
    with pytest.raises(TrainError, match=message) as caught:
        read_log(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_real_run_folder(runs: tuple[Path, Path]) -> None:
    found = read_run(str(runs[0]))
    assert found.name == "skip"
    assert len(found.rows) == len(found.validations) == 2
    assert found.setting("model", "decoder") == "skip"
    assert found.setting("model", "no such key", 7) == 7
    assert found.best is not None
    logged = from_log(found)
    assert logged is not None
    assert logged.value("miou") == found.best.scores["miou"]
    assert found.classes is not None
    assert logged.classes == found.classes.names
    assert read_run(str(runs[0] / "best.safetensors")).name == "skip"
    assert read_run(f"other={runs[0]}").name == "other"


def test_what_is_no_run(tmp_path: Path, runs: tuple[Path, Path]) -> None:
    with pytest.raises(TrainError, match="no such run folder or checkpoint"):
        read_run(str(tmp_path / "nothing"))
    with pytest.raises(TrainError, match=r"neither log\.csv nor best\.safetensors"):
        read_run(str(tmp_path))
    with pytest.raises(TrainError, match=r"another run is called 'skip' too; name them: A="):
        read_runs((str(runs[0]), str(runs[0] / "best.safetensors")))
    write(tmp_path / "log.csv", OLD)
    write(tmp_path / "recipe.json", "[1]")
    with pytest.raises(TrainError, match="must hold a JSON object, got list"):
        read_run(str(tmp_path))


def test_a_run_in_its_first_epoch(tmp_path: Path) -> None:
    write(tmp_path / "log.csv", "epoch,step,loss,seconds,lr\n")
    with pytest.raises(TrainError, match=r"log\.csv: no epoch has ended yet; let the run go on"):
        read_run(str(tmp_path))


def test_an_evaluation_is_counted_again_from_its_matrix(tmp_path: Path) -> None:
    values = evaluation("m").as_json()
    values["scores"]["miou"] = 0.99  # as an older version, with another definition, might say
    path = write(tmp_path / "e.json", json.dumps(values))
    found = read_evaluation(str(path))
    assert found.value("miou") == pytest.approx(0.625)
    assert found.counts is not None
    assert found.counts.tolist() == COUNTS
    assert read_evaluation(f"n={path}").name == "n"


@pytest.mark.parametrize("text", ["{}", "[]", "not JSON", '{"scores": {"class_iou": {"a": 1}}}'])
def test_what_is_no_evaluation(tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "e.json", text)
    with pytest.raises(TrainError, match=r"not an evaluation \(.*train eval --json"):
        read_evaluation(str(path))


def test_protocols_in_words() -> None:
    switched = {"scales": [0.5, 1.0], "flip": True, "slide": None, "crf": False}
    assert in_words(switched) == "scales 0.5 1.0, flip"
    assert in_words({"flip": False, "crf": None}) == in_words(None) == "whole picture"


def test_latencies(tmp_path: Path) -> None:
    values = {"engine": "E", "machine": "M", "size": [64, 32], "batch": 1, "milliseconds": {"a": 2}}
    path = write(tmp_path / "l.json", json.dumps(values))
    assert read_latencies(path).regime == "E, batch 1, 64x32"
    faults: list[dict[str, object]] = [
        {"milliseconds": {}},
        {"milliseconds": {"a": 0}},
        {"size": [1]},
        {"size": None},
    ]
    for broken in faults:
        write(path, json.dumps(values | broken))
        with pytest.raises(TrainError, match="not a latency file"):
            read_latencies(path)


def test_an_evaluation_finds_its_run_by_name_or_by_checkpoint(tmp_path: Path) -> None:
    entries = join([run("a"), run("b")], [evaluation("b"), evaluation("file")])
    assert [(e.name, len(e.evaluations)) for e in entries] == [("a", 0), ("b", 1), ("file", 1)]
    assert with_latencies(entries, LATENCIES)[1].milliseconds == 40.0
    with pytest.raises(TrainError, match=r"times a, b, none of which is in this report \(x\)"):
        with_latencies([Entry(name="x")], LATENCIES)
