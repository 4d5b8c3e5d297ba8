"""What people read at the end of a run."""

from __future__ import annotations

from dataclasses import replace

from streamseg.cli.tables import stage_rows, summary_rows
from tests.streamseg.run.test_stats import stats


def test_the_summary_says_what_is_missing() -> None:
    rows = dict(summary_rows(stats()))
    assert rows["frames"] == "3 of 4"
    assert rows["bottleneck"] == "decode"
    assert rows["speed"] == "2.0 fps, 0.08x real time"
    assert stage_rows(stats()) == [("decode", "3", "0.50", "-", "25 %")]


def test_the_summary_says_how_many_frames_the_network_saw() -> None:
    rows = dict(summary_rows(replace(stats(), held=1)))
    assert rows["network saw"] == "2 of them"
    assert "network saw" not in dict(summary_rows(stats()))


def test_who_misses_real_time_is_told_what_is_faster() -> None:
    slow = replace(stats(), bottleneck="engine", real_time_factor=0.8, size=(512, 288))
    row = dict(summary_rows(slow))["to go faster"]
    assert row == "--hold auto or --size 256x160"
    held = dict(summary_rows(replace(slow, held=1)))["to go faster"]
    assert held == "--size 256x160"
    for other in (
        replace(slow, bottleneck="encode+write"),
        replace(slow, real_time_factor=1.2),
    ):
        assert "to go faster" not in dict(summary_rows(other))
    live = replace(slow, real_time_factor=1.0, frames=60, dropped=40)
    assert "to go faster" in dict(summary_rows(live))
    assert "to go faster" not in dict(summary_rows(replace(live, dropped=1)))
