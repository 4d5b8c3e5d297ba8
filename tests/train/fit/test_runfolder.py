from __future__ import annotations

import builtins
import csv
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from train.errors import TrainError
from train.fit.runfolder import RunFolder
from train.metrics import Scores

SCORES = Scores.from_counts(np.array([[6, 2, 0], [1, 1, 0], [0, 0, 0]], dtype=np.int64))


def opened(path: Path, *, step: int = 0, tensorboard: bool = False) -> RunFolder:
    folder = RunFolder(path, classes=("loss", "road", "sky"), tensorboard=tensorboard)
    folder.open(recipe={"name": "x"}, source="name = 'x'", environment={"torch": "2"}, step=step)
    return folder


def log(folder: RunFolder, steps: range) -> None:
    """Two steps an epoch, a validation at each epoch's end."""
    for step in steps:
        folder.add_step(step=step, epoch=(step + 1) // 2, loss=1 / step, lr=0.5)
        if step % 2 == 0:
            validation = (SCORES, 0.25)
            folder.add_row(
                epoch=step // 2, step=step, loss=0.5, seconds=1, lr=0.5, validation=validation
            )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_documented_columns(tmp_path: Path) -> None:
    folder = opened(tmp_path / "run")
    log(folder, range(1, 3))
    folder.add_row(epoch=2, step=4, loss=0.5, seconds=1, lr=0.5, validation=None)
    folder.close()
    first, second = rows(tmp_path / "run" / "log.csv")
    assert list(first) == [
        *("epoch", "step", "loss", "seconds", "lr", "val_loss", "miou", "mean_accuracy"),
        *("pixel_accuracy", "fw_iou", "class loss", "road", "sky"),
    ]
    assert (first["epoch"], first["step"], first["val_loss"]) == ("1", "2", "0.25000")
    assert float(first["class loss"]) == pytest.approx(6 / 9, abs=1e-5)
    assert math.isnan(float(first["sky"]))
    assert second["loss"] == "0.50000"
    assert second["miou"] == second["road"] == ""
    assert rows(tmp_path / "run" / "steps.csv") == [
        {"step": "1", "epoch": "1", "loss": "1", "lr": "0.5"},
        {"step": "2", "epoch": "1", "loss": "0.5", "lr": "0.5"},
    ]
    assert (tmp_path / "run" / "recipe.toml").read_text() == "name = 'x'"
    assert json.loads((tmp_path / "run" / "environment.json").read_text()) == {"torch": "2"}


def test_logs_go_back_to_the_checkpoint_they_go_on_from(tmp_path: Path) -> None:
    whole, parts = opened(tmp_path / "whole"), opened(tmp_path / "parts")
    log(whole, range(1, 9))
    whole.close()
    log(parts, range(1, 8))
    parts.close()
    with (tmp_path / "parts" / "steps.csv").open("a") as file:
        file.write("8,4")  # a kill cut this line off
    again = opened(tmp_path / "parts", step=4)
    log(again, range(5, 9))
    again.close()
    for name in ("log.csv", "steps.csv"):
        assert rows(tmp_path / "parts" / name) == rows(tmp_path / "whole" / name)


def test_weights_of_another_run_are_not_written_over(tmp_path: Path) -> None:
    opened(tmp_path).close()
    (tmp_path / "best.safetensors").write_bytes(b"hours of work")
    opened(tmp_path).close()  # its own run, killed before its first resumable checkpoint
    other = RunFolder(tmp_path, classes=("road",), tensorboard=False)
    for name in ("another", None):
        if name is None:
            (tmp_path / "recipe.json").unlink()
        with pytest.raises(TrainError, match=r"weights of another run; choose another --out"):
            other.open(recipe={"name": name or "x"}, source=None, environment={}, step=0)


def test_a_log_that_is_not_ours_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("date,weight\n")
    with pytest.raises(TrainError, match=r"log\.csv: is not from a run .*choose another --out"):
        opened(tmp_path)
    assert (tmp_path / "log.csv").read_text() == "date,weight\n"
    assert [path.name for path in tmp_path.iterdir()] == ["log.csv"]


def test_a_log_that_somebody_spoilt(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    log(folder, range(1, 5))
    folder.close()
    path = tmp_path / "log.csv"
    path.write_text(path.read_text().replace("\n1,2,", "\n1,two,"))
    with pytest.raises(TrainError, match=r"log\.csv: not a log of this run any more"):
        opened(tmp_path, step=4)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    folder = opened(tmp_path)
    folder._steps = Path("/dev/full").open("w")  # noqa: SIM115
    folder.add_step(step=1, epoch=1, loss=1.0, lr=0.5)
    with pytest.raises(TrainError, match=r"cannot be written \(No space left.*last checkpoint"):
        folder.flush()
    with pytest.raises(TrainError, match="No space left"):
        folder.close()


def test_tensorboard_reads_the_events(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = opened(tmp_path, tensorboard=True)
    log(folder, range(1, 5))
    folder.close()
    folder = opened(tmp_path, tensorboard=True, step=2)  # a kill after step 4, a resume at 2
    log(folder, range(3, 5))
    folder.close()
    events: Any = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    assert [e.step for e in events.Scalars("train/loss")] == [1, 2, 3, 4]
    assert [e.value for e in events.Scalars("val/miou")] == pytest.approx([SCORES.miou] * 2)
    assert "val_iou/road" in events.Tags()["scalars"]
    assert "val_iou/sky" not in events.Tags()["scalars"]


def test_a_missing_tensorboard_says_how_to_do_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.startswith("torch.utils.tensorboard"):
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(TrainError, match=r"pip install tensorboard, or set train\.tensorboard"):
        opened(tmp_path, tensorboard=True)
