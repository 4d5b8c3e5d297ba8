from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tests.train.drawn import draw_dataset
from train.__main__ import main
from train.fit.trainer import Trainer

RECIPE = """
[model]
head_channels = 8
[data]
crop = 64
workers = 0
[train]
epochs = 1
batch = 2
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw_dataset(tmp_path_factory.mktemp("data") / "d", train=2, val=1)


def run(folder: Path, data: Path, *extra: str) -> Result:
    recipe = folder / "tiny.toml"
    recipe.write_text(RECIPE)
    arguments = [str(recipe), "--data", str(data), "--out", str(folder / "run"), *extra]
    return CliRunner().invoke(
        main, [*arguments, "--device", "cpu"] if "--device" not in extra else arguments
    )


def test_a_run_prints_plain_lines_and_goes_on_where_it_ended(tmp_path: Path, data: Path) -> None:
    result = run(tmp_path, data)
    assert result.exit_code == 0, result.output
    assert "epoch   1/1  step 1/1  loss" in result.output
    assert "\x1b" not in result.output
    assert "best validation mIoU" in result.output
    again = run(tmp_path, data)
    assert again.exit_code == 0
    assert "after step 1 of 1" in again.output


def test_epochs_without_a_validation_have_their_line_too(tmp_path: Path, data: Path) -> None:
    result = run(tmp_path, data, "--set", "train.epochs=2", "--set", "train.validate_every=2")
    lines = [line for line in result.output.splitlines() if line.startswith("epoch")]
    assert ["val mIoU" in line for line in lines] == [False, True]
    assert lines[0].startswith("epoch   1/2  step 1/2  loss ")


@pytest.mark.parametrize(
    "extra", [("--threads", "0"), ("--nonsense",), ("--device", "abacus"), ("--device", "cuda:99")]
)
def test_usage_errors_exit_with_2(tmp_path: Path, data: Path, extra: tuple[str, ...]) -> None:
    result = run(tmp_path, data, *extra)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_what_can_be_mended_is_one_sentence_and_exit_1(tmp_path: Path, data: Path) -> None:
    (tmp_path / "tiny.toml").write_text("[train]\nepoch = 3\n")
    result = CliRunner().invoke(
        main, [str(tmp_path / "tiny.toml"), "--data", str(data), "--out", str(tmp_path / "run")]
    )
    assert result.exit_code == 1
    assert result.stderr.startswith("error: ")
    assert "unknown key 'epoch'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("train.epoch=3", "unknown key 'epoch'"),
        ("train.batch=0", "batch must be at least 2 (BatchNorm), got 0"),
        ("optim.lr=inf", "lr must be of type float, got inf"),
        ("train.seed=99999999999", "seed must be below 2**24"),
        ("model.output_stride=7", "output_stride is 7; known: [8, 16, 32]"),
        ("epochs=3", "write table.key=value"),
    ],
)
def test_what_was_set_wrong_is_the_command_lines_fault(
    tmp_path: Path, data: Path, override: str, message: str
) -> None:
    result = run(tmp_path, data, "--set", "data.crop=32", "--set", override)
    assert result.exit_code == 2
    assert message in result.stderr
    assert "--set" in result.stderr
    assert not (tmp_path / "run").exists()


def test_ctrl_c_says_how_to_go_on(
    tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(trainer: Trainer, _: object) -> float:
        trainer.state.step = 7
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "fit", interrupted)
    result = run(tmp_path, data)
    assert result.exit_code == 130
    assert result.stderr == "stopped after step 7; run the same command to go on\n"
