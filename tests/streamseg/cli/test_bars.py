"""What people see while a run goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from streamseg.cli.bars import RunBar, clock_text, file_line, live_line
from streamseg.run.job import RunProgress
from streamseg.run.stats import Recent

HALF = RunProgress(
    frames=50,
    frames_expected=100,
    seconds=2.0,
    media_seconds=1.0,
    dropped=3,
    latency_p50_ms=41.6,
    latency_p95_ms=80.2,
)


def test_a_file_s_line_has_speed_and_time_left() -> None:
    assert file_line(HALF) == "50/100 frames  25.0 fps  0.50x real time  0:02 left"


def test_a_file_without_a_length_has_no_time_left() -> None:
    line = file_line(replace(HALF, frames_expected=None))
    assert line == "50 frames  25.0 fps  0.50x real time"


def test_nothing_is_divided_by_zero_at_the_start() -> None:
    start = replace(HALF, frames=0, seconds=0.0, media_seconds=0.0)
    assert file_line(start) == "0/100 frames  0.0 fps  0.00x real time"


def test_a_camera_s_line_has_latency_and_drops() -> None:
    line = live_line(replace(HALF, recent=Recent(7.5, 30.2, 60.4), state="live"))
    assert line == (
        "0:02  50 frames  7.5 fps (25.0 in all)  latency p50 30 ms p95 60 ms (80 in all)  dropped 3"
    )


def test_a_camera_that_is_gone_is_said_in_its_line() -> None:
    line = live_line(replace(HALF, recent=Recent(0.0, None, None), state="lost"))
    assert line.startswith("0:02  50 frames  LOST  0.0 fps (25.0 in all)")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3723, "1:02:03")]
)
def test_clocks_read_like_clocks(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with RunBar(quiet=True) as view:
        view(HALF)
    assert capsys.readouterr() == ("", "")


def test_a_pipe_gets_a_plain_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamseg.cli.bars._RUN_LINE_EVERY_SECONDS", 0.0)
    with RunBar() as view:
        view(HALF)
    assert capsys.readouterr() == ("", file_line(HALF) + "\n")
