"""What people read at the end of a run."""

from __future__ import annotations

from streamseg.cli.tables import stage_rows, summary_rows
from tests.streamseg.run.test_stats import stats


def test_the_summary_says_what_is_missing() -> None:
    rows = dict(summary_rows(stats()))
    assert rows["frames"] == "3 of 4"
    assert rows["bottleneck"] == "decode"
    assert rows["speed"] == "2.0 fps, 0.08x real time"
    assert stage_rows(stats()) == [("decode", "3", "0.50", "-", "25 %")]
