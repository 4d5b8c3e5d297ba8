from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engines.__main__ import main as engines_main
from streamseg.models.modelfile import read_header
from tests.train.data.drawn_layouts import draw_labelme
from train.__main__ import main
from train.errors import TrainError
from train.evaluation.biases import main as calibrate_main
from train.own.journey import Journey, travel

COMMANDS = {"train": main, "engines": engines_main, "train.calibrate": calibrate_main}


def here(words: Sequence[str]) -> int:
    """Run a command in this process: no torch is imported six times."""
    result = CliRunner().invoke(COMMANDS[words[0]], list(words[1:]))
    assert result.exit_code in (0, 1), result.output
    return result.exit_code


def own(*words: object) -> Result:
    return CliRunner().invoke(main, ["own", *map(str, words)])


def test_from_labelled_pictures_to_a_model_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("train.own.command.run_command", here)
    monkeypatch.setattr("train.own.plan.LEAST_STEPS", 1)
    monkeypatch.setattr("train.own.plan.STEPS_PER_PICTURE", 1)
    data = draw_labelme(tmp_path / "d", train=3, val=0, subfolders=False)
    out = tmp_path / "mine.onnx"
    words = (data, "-o", out, "--minutes", "0.1", "--device", "cpu")
    result = own(*words)
    assert result.exit_code == 0, result.output
    header = read_header(out)
    assert header.name == "mine"
    assert header.classes.names == ("_background_", "building", "car", "road", "sky")
    assert header.accuracy["pictures"] == 1
    assert header.training_data == "3 own pictures"
    assert f"streamseg video IN.mp4 OUT.mp4 --model {out}" in result.output
    assert (tmp_path / "mine-run" / "report" / "report.md").is_file()
    assert "--minutes: " not in result.output
    changed = own(*words, "--from", "mbv2-voc")
    assert changed.exit_code == 2
    assert "holds a run with other words (from: None -> mbv2-voc)" in changed.stderr


def test_what_cannot_be_written_is_refused_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_text("precious")
    (tmp_path / "other-run").mkdir()
    for words, message in (
        (("-o", tmp_path / "mine.pth"), "a model file's name ends in .onnx"),
        (("-o", tmp_path / "no" / "mine.onnx"), "does not exist; create it"),
        (("-o", tmp_path / "mine.onnx"), "exists already; use --overwrite"),
        (("-o", tmp_path / "other.onnx"), "other-run: is not from `train own`"),
    ):
        result = own(tmp_path, *words)
        assert result.exit_code == 2, result.output
        assert message in result.stderr


def test_pictures_that_are_wrong_end_it_in_words(tmp_path: Path) -> None:
    data = draw_labelme(tmp_path / "d", train=3, val=0, subfolders=False)
    (data / "0001.png").write_bytes(b"broken")
    result = own(data, "-o", tmp_path / "mine.onnx")
    assert result.exit_code == 1
    assert "wrong: train: 0001.png: cannot be read as a picture" in result.output
    assert "mend what is wrong, and type the same command again" in result.stderr
    assert not (tmp_path / "mine-run").exists()


def test_a_stage_that_may_fail_is_told_of_and_another_ends_it(tmp_path: Path) -> None:
    stages = Journey(
        folder=tmp_path / "a b",
        output=tmp_path / "mine.onnx",
        init=Path("w.safetensors"),
        size=(352, 480),
        pictures=6,
    ).stages()
    said: list[str] = []
    lost = travel(stages, said.append, lambda words: int("int8" in words))
    assert lost == [f"{tmp_path / 'mine.onnx'} runs in fp32 everywhere"]
    assert said[0].startswith(f"[1/6] train: python -m train '{tmp_path}/a b/recipe.toml' --data ")
    with pytest.raises(TrainError, match="'verify' ended with code 1, for the reason above"):
        travel(stages, said.append, lambda words: int("verify" in words))
    with pytest.raises(KeyboardInterrupt):
        travel(stages, said.append, lambda words: 130)
