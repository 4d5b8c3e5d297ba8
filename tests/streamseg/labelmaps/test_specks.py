"""Specks go to their surroundings; what is large enough stays as it is."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.errors import UsageError
from streamseg.labelmaps.options import CleanOptions
from streamseg.labelmaps.specks import without_specks


def test_small_areas_take_the_class_around_them_and_large_ones_stay() -> None:
    labels = np.zeros((40, 60), np.uint8)
    labels[:, 30:] = 3
    labels[5:7, 5:8] = 1  # 6 labels
    labels[20:24, 40:44] = 2  # 16
    labels[0, 59] = 7  # a corner of the picture
    cleaned = without_specks(labels, 10)
    expected = np.zeros((40, 60), np.uint8)
    expected[:, 30:] = 3
    expected[20:24, 40:44] = 2
    np.testing.assert_array_equal(cleaned, expected)
    assert labels[5, 5] == 1, "the map that was given is not changed"


def test_a_speck_of_specks_takes_what_stays() -> None:
    labels = np.full((30, 30), 4, np.uint8)
    labels[10:13, 10:13] = 1
    labels[11, 11] = 2  # inside of a speck
    assert (without_specks(labels, 10) == 4).all()


@pytest.mark.parametrize("min_area", [0, 1])
def test_nothing_is_small_enough(min_area: int) -> None:
    labels = np.random.default_rng(0).integers(0, 5, (20, 20)).astype(np.uint8)
    np.testing.assert_array_equal(without_specks(labels, min_area), labels)


def test_where_everything_is_a_speck_nothing_changes() -> None:
    labels = np.arange(16, dtype=np.uint8).reshape(4, 4)
    np.testing.assert_array_equal(without_specks(labels, 5), labels)


def test_diagonals_hold_together() -> None:
    labels = np.zeros((20, 20), np.uint8)
    np.fill_diagonal(labels, 1)
    np.testing.assert_array_equal(without_specks(labels, 15), labels)


def test_a_negative_area_is_refused() -> None:
    with pytest.raises(UsageError, match="--min-area must be 0 or more labels, got -1"):
        CleanOptions(min_area=-1)
