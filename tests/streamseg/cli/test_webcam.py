"""`streamseg webcam` as it is typed: exit codes, secrets, the list of cameras."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamseg.cli.main import main
from tests.streamseg.live.senders import Sender


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["webcam", *words])
    return result.exit_code, result.stdout, result.stderr


def test_a_camera_that_is_given_up_is_exit_code_3_and_every_frame_adds_up(
    toy_model: Path, tmp_path: Path
) -> None:
    words = ["--model", str(toy_model), "--give-up-after", "0", "--json", str(tmp_path / "s.json")]
    with Sender(frames=20).listening() as url:
        code, _, said = run("--source", url, "--out", str(tmp_path / "rec.mkv"), *words)
    assert code == 3
    assert "the stream ended; the recording is kept" in said
    stats = json.loads((tmp_path / "s.json").read_text())
    counts = stats["camera"]["counts"]
    assert (
        counts["received"] == counts["skipped"] + counts["unreadable"] + counts["delivered"] == 20
    )
    assert counts["delivered"] + counts["no_signal"] == stats["frames"] + stats["dropped"]
    assert stats["camera"]["lost"]
    assert 0 < stats["camera"]["lag_p50_ms"] < stats["latency_p50_ms"]


def test_a_password_is_in_no_message(monkeypatch: pytest.MonkeyPatch, toy_model: Path) -> None:
    monkeypatch.setenv("CAM1", "tcp://admin:S3cret@127.0.0.1:1")
    code, out, said = run("--source", "env:CAM1", "--model", str(toy_model))
    assert code == 1
    assert "tcp://***@127.0.0.1:1: cannot be reached" in said
    assert "S3cret" not in out + said


def test_cameras_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamseg.live.address.find_cameras", lambda: ["/dev/video0", "Desk"])
    assert run("--list")[:2] == (0, "0: /dev/video0\n1: Desk\n")
    monkeypatch.setattr("streamseg.live.address.find_cameras", list)
    code, out, _ = run("--list")
    assert code == 0
    assert "no camera was found; --source takes addresses too" in out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--camera-size", "720p"], "--camera-size must be WIDTHxHEIGHT"),
        (["--source", "env:NOT_THERE_AT_ALL"], "no environment variable NOT_THERE_AT_ALL"),
        (["--source", "srt://127.0.0.1:9"], "built without SRT; put ffmpeg"),
    ],
)
def test_what_cannot_be_is_one_sentence(words: list[str], message: str, toy_model: Path) -> None:
    code, _, said = run(*words, "--model", str(toy_model))
    assert code in (1, 2)
    assert message in said
    assert said.count("\n") == 1
