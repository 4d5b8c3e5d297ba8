"""The numbers of a run: right within a bucket, and ready for JSON."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from streamseg.run.stats import Histogram, RunClock, StageClock, StageStats, Stats


@pytest.mark.parametrize("share", [0.01, 0.5, 0.9, 0.95, 0.99, 1.0])
@pytest.mark.parametrize("scale", [1e-5, 1e-2, 3.0])
def test_percentiles_agree_with_numpy(share: float, scale: float) -> None:
    durations = np.random.default_rng(7).lognormal(sigma=1.0, size=5000) * scale
    histogram = Histogram()
    for duration in durations:
        histogram.add(float(duration))
    exact = np.quantile(durations, share, method="inverted_cdf")
    assert histogram.percentile(share) == pytest.approx(exact, rel=0.02)
    assert histogram.total == pytest.approx(durations.sum())
    assert histogram.count == 5000


def test_nothing_counted_has_no_percentile() -> None:
    assert math.isnan(Histogram().percentile(0.5))


def test_a_duration_of_zero_is_counted() -> None:
    histogram = Histogram()
    histogram.add(0.0)
    assert histogram.percentile(0.5) == pytest.approx(0, abs=1e-6)


def test_utilisation_is_busy_time_over_wall_time_and_workers() -> None:
    clock = StageClock("engine", workers=2)
    for _ in range(4):
        clock.add(0.5, items=3)
    row = clock.summary(wall_seconds=2.0)
    assert (row.name, row.items, row.calls) == ("engine", 12, 4)
    assert row.utilisation == pytest.approx(0.5)
    assert row.p50_ms == pytest.approx(500, rel=0.02)


def test_a_stage_that_was_never_called_has_no_latency() -> None:
    row = StageClock("idle").summary(1.0)
    assert (row.p50_ms, row.p95_ms, row.utilisation) == (None, None, 0)


def test_media_time_reaches_from_the_first_frame_to_the_end_of_the_last() -> None:
    clock = RunClock()
    for at in (5.0, 5.5, 5.25, 6.0):
        clock.written(at, 0.25)
    assert clock.frames == 4
    assert clock.media_seconds == pytest.approx(1.25)
    assert clock.first_frame is not None
    assert clock.latency_ms(0.5) is None, "frames of a file have no latency"


def stats() -> Stats:
    return Stats(
        source="in.mp4",
        output="out.mp4",
        frames=3,
        frames_expected=4,
        wall_seconds=1.5,
        fps=2.0,
        media_seconds=0.12,
        real_time_factor=0.08,
        first_frame_seconds=0.4,
        engine="fake",
        model="toy",
        size=(96, 64),
        batch=1,
        threads=2,
        stages=(
            StageStats(name="decode", items=3, calls=3, p50_ms=0.5, p95_ms=None, utilisation=0.25),
        ),
        bottleneck="decode",
        warnings=("it rained",),
    )


def test_stats_survive_json() -> None:
    values = json.loads(json.dumps(stats().as_dict(), allow_nan=False))
    assert values.pop("size") == [96, 64]
    assert values.pop("warnings") == ["it rained"]
    assert values.pop("engine_notices") == []
    assert values.pop("notes") == []
    (row,) = values.pop("stages")
    assert StageStats(**row) == stats().stages[0]
    again = Stats(**values, size=(96, 64), warnings=("it rained",), stages=stats().stages)
    assert again == stats()


def test_the_last_ten_seconds_forget_what_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("streamseg.run.stats.time.perf_counter", lambda: now[0])
    clock = RunClock()
    for second in range(30):
        now[0] = 100.0 + second
        clock.written(second, 1.0, captured=now[0] - (0.5 if second < 15 else 0.1))
    recent = clock.recent()
    assert recent.fps == pytest.approx(1.1)
    assert recent.latency_p95_ms == pytest.approx(100)
    assert clock.latency_ms(0.95) == pytest.approx(500, rel=0.02)
    now[0] += 60
    assert clock.recent().fps == 0
    assert clock.recent().latency_p50_ms is None
