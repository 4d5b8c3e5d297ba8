"""Labels of a picture: shares, drawings, and files that hold exactly what they should."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from streamseg import DrawOptions, Labels
from streamseg.errors import UsageError
from tests.streamseg.clips import BLUE, GREEN, RED, paint, scene
from tests.streamseg.fakes import COLOURS, toy_header


@pytest.fixture
def labels() -> Labels:
    truth = scene(1)
    return Labels(truth, toy_header().classes, paint(truth))


def test_shares_add_up_and_the_largest_is_first(labels: Labels) -> None:
    shares = labels.shares()
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["green"] == pytest.approx(1 / 8, abs=0.02)
    assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert repr(labels).startswith("Labels(96x64: ")


def test_a_class_that_is_not_there_has_no_share() -> None:
    only_red = np.zeros((4, 4), np.uint8)
    assert Labels(only_red, toy_header().classes, paint(only_red)).shares() == {"red": 1.0}


def test_what_is_not_drawn_stays_as_it_is(labels: Labels) -> None:
    drawn = labels.draw(DrawOptions(alpha=1.0, classes=["green"]))
    green = labels.array == GREEN
    assert np.all(drawn[green] == COLOURS[GREEN])
    assert np.array_equal(drawn[~green], labels.picture[~green])
    assert np.array_equal(labels.draw(DrawOptions(alpha=0)), labels.picture)


def test_an_overlay_is_the_mean_of_both(labels: Labels) -> None:
    drawn = labels.draw(DrawOptions(alpha=0.25)).astype(float)
    for index in (RED, GREEN, BLUE):
        where = labels.array == index
        wanted = 0.75 * labels.picture[where].astype(float) + 0.25 * np.array(COLOURS[index])
        assert np.abs(drawn[where] - wanted).max() <= 0.5


def test_a_mask_is_black_where_nothing_is_drawn(labels: Labels) -> None:
    drawn = labels.draw(DrawOptions(mode="mask", classes=["red"]))
    assert np.all(drawn[labels.array != RED] == 0)
    assert np.all(drawn[labels.array == RED] == COLOURS[RED])


def test_side_by_side_has_the_picture_at_the_left(labels: Labels) -> None:
    drawn = labels.draw(DrawOptions(mode="side-by-side"))
    assert drawn.shape == (64, 192, 3)
    assert np.array_equal(drawn[:, :96], labels.picture)
    assert np.array_equal(drawn[:, 96:], labels.draw())


def test_the_legend_lies_in_the_corner() -> None:
    truth = scene(4, 480, 320)
    labels = Labels(truth, toy_header().classes, paint(truth))
    plain, with_legend = labels.draw(), labels.draw(DrawOptions(legend=True))
    changed = np.argwhere((plain != with_legend).any(axis=2))
    assert len(changed)
    assert changed.max(axis=0)[0] < 160
    assert (changed.min(axis=0) < 20).all()


def test_the_map_file_holds_every_index(labels: Labels, tmp_path: Path) -> None:
    labels.save_array(tmp_path / "map.png")
    back = cv2.imread(str(tmp_path / "map.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(np.asarray(back), labels.array)


@pytest.mark.parametrize(("suffix", "exact"), [(".png", True), (".webp", True), (".jpg", False)])
def test_a_drawing_is_saved_whole(labels: Labels, tmp_path: Path, suffix: str, exact: bool) -> None:
    path = tmp_path / f"drawn{suffix}"
    labels.save(path)
    back = np.asarray(cv2.imread(str(path)))[..., ::-1].astype(int)
    difference = np.abs(back - labels.draw())
    assert difference.max() == 0 if exact else difference.mean() < 8
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_nothing_is_replaced_unasked(labels: Labels, tmp_path: Path) -> None:
    path = tmp_path / "drawn.png"
    path.write_text("mine")
    with pytest.raises(UsageError, match="already exists"):
        labels.save(path)
    assert path.read_text() == "mine"
    labels.save(path, overwrite=True)
    assert path.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["map.jpg", "map.webp", "map"])
def test_a_map_is_not_saved_with_loss(labels: Labels, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=r"ends in \.png"):
        labels.save_array(tmp_path / name)


def test_labels_lie_over_their_picture() -> None:
    with pytest.raises(ValueError, match="lie over a picture"):
        Labels(np.zeros((4, 4), np.uint8), toy_header().classes, np.zeros((4, 5, 3), np.uint8))
