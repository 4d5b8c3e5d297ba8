"""Histograms and the four ways to choose a range."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamseg.runtime.precision.graph import load_fp32
from streamseg.runtime.precision.ranges import Histogram, Method, observe
from tests.streamseg.runtime.precision.small import pictures


def test_a_range_that_grows_keeps_its_counts() -> None:
    histogram = Histogram()
    random = np.random.default_rng(0)
    for spread in (0.01, 1.0, 30.0):
        histogram.add(random.normal(0, spread, 5000).astype(np.float32))
    assert histogram.counts.sum() == 15000
    inside = histogram.counts[np.abs(histogram.centres) < 1.0].sum()
    assert 5000 + 3000 < inside < 5000 + 3800  # all of the first, 68 % of the second, few others


@pytest.mark.parametrize("method", ["percentile", "entropy"])
def test_one_outlier_does_not_set_the_range(method: Method) -> None:
    values = np.random.default_rng(0).normal(0, 1, 40_000).astype(np.float32)
    values[7] = 100.0
    histogram = Histogram()
    histogram.add(values)
    low, high = histogram.range(method)
    assert histogram.range("minmax")[1] == 100.0
    assert -6 < low < -2
    assert 2 < high < 60


@pytest.mark.parametrize("method", ["minmax", "percentile", "mse", "entropy"])
def test_what_is_cut_at_zero_keeps_zero_as_its_end(method: Method) -> None:
    values = np.random.default_rng(0).normal(0, 2, 40_000).clip(0, 6).astype(np.float32)
    histogram = Histogram()
    histogram.add(values)
    low, high = histogram.range(method)
    assert low == 0.0
    assert 4 < high <= 6.0


def test_nothing_but_zeros_is_no_error() -> None:
    histogram = Histogram()
    histogram.add(np.zeros((2, 2), np.float32))
    assert histogram.range("mse") == (0.0, 0.0)


def test_the_mse_range_has_no_larger_error_than_all_values() -> None:
    values = np.random.default_rng(0).standard_t(3, 40_000).astype(np.float32)
    histogram = Histogram()
    histogram.add(values)

    def error(method: Method) -> float:
        low, high = histogram.range(method)
        step = (high - low) / 255
        return float(np.mean((np.round(values.clip(low, high) / step) * step - values) ** 2))

    assert error("mse") < error("minmax")
    assert error("mse") < error("percentile")


def test_every_feature_map_is_seen_on_every_frame(small: Path) -> None:
    seen = observe(load_fp32(small), [pictures(2), pictures(1)])
    assert seen.frames == 3
    ranges = seen.ranges("minmax")
    assert {"shifted", "stem0", "stem0.clip", "sum", "both", "scores"} <= set(ranges)
    assert ranges["stem0.clip"][0] == 0.0
    assert ranges["stem0.clip"][1] <= 6.0
    assert ranges["sum"][0] < 0 < ranges["sum"][1]
