from __future__ import annotations

import pytest

from train.data.classnames import edits, match, slip_of


@pytest.mark.parametrize(
    ("a", "b", "distance"),
    [("car", "car", 0), ("cra", "car", 1), ("cat", "car", 1), ("rode", "road", 2), ("", "sky", 3)],
)
def test_edits_are_counted(a: str, b: str, distance: int) -> None:
    assert edits(a, b) == edits(b, a) == distance


def test_slips_are_found_and_other_words_are_not() -> None:
    assert slip_of("cra", ["road", "car"]) == "car"
    assert slip_of("Traffic_Light", ["traffic light"]) == "traffic light"
    assert slip_of("pedetsrain", ["pedestrian"]) == "pedestrian"
    assert slip_of("bus", ["car", "road"]) is None
    assert slip_of("a", ["b"]) is None


def test_classes_are_matched_by_name_first_then_by_meaning() -> None:
    assert match("person", ["pedestrian", "person"]) == 1
    assert match("Sidewalk", ["road", "pavement"]) == 1
    assert match("potted plant", ["pottedplant"]) == 0
    assert match("unicorn", ["road"]) is None
