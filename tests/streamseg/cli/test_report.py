"""What people read while a run goes on and at its end."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from streamseg.cli.report import (
    ProgressView,
    check_json_target,
    clock_text,
    file_line,
    live_line,
    stage_rows,
    summary_rows,
    write_json,
)
from streamseg.errors import OutputError, UsageError
from streamseg.run.job import RunProgress
from tests.streamseg.run.test_stats import stats

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
    line = live_line(HALF)
    assert line == "0:02  50 frames  25.0 fps  latency p50 42 ms p95 80 ms  dropped 3"


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (61, "1:01"), (3723, "1:02:03")]
)
def test_clocks_read_like_clocks(seconds: float, text: str) -> None:
    assert clock_text(seconds) == text


def test_the_summary_says_what_is_missing() -> None:
    rows = dict(summary_rows(stats()))
    assert rows["frames"] == "3 of 4"
    assert rows["bottleneck"] == "decode"
    assert rows["speed"] == "2.0 fps, 0.08x real time"
    assert stage_rows(stats()) == [("decode", "3", "0.50", "-", "25 %")]


def test_quiet_is_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressView(quiet=True) as view:
        view(HALF)
    assert capsys.readouterr() == ("", "")


def test_a_pipe_gets_a_plain_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamseg.cli.report._PLAIN_LINE_EVERY_SECONDS", 0.0)
    with ProgressView() as view:
        view(HALF)
    assert capsys.readouterr() == ("", file_line(HALF) + "\n")


def test_json_that_cannot_be_written_says_where_and_why(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"gone/s\.json: the statistics cannot be written"):
        write_json(stats(), str(tmp_path / "gone" / "s.json"))


def test_json_never_lands_on_a_video(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "in.mp4")
    for target in ("in.mp4", "link.json"):
        with pytest.raises(UsageError, match="is the video; give --json another file name"):
            check_json_target(str(tmp_path / target), str(tmp_path / "in.mp4"), None)
