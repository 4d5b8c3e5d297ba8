"""Pictures are made for those who look, once for all of them."""

from __future__ import annotations

import threading
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

from streamseg.drawing.options import DrawOptions
from streamseg.errors import UsageError
from streamseg.page.screen import Screen
from tests.streamseg.fakes import toy_header
from tests.streamseg.page.player import HEIGHT, WIDTH, Played, item, opened


def decoded(jpeg: bytes) -> np.ndarray:
    return np.asarray(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR))


def test_a_viewer_gets_the_newest_picture_and_waits_for_the_next() -> None:
    screen = opened()
    assert screen.picture(timeout=0.01) is None
    for index in range(3):
        screen.take(item(index))
    first = screen.picture()
    assert first is not None
    assert decoded(first.jpeg).shape == (HEIGHT, WIDTH, 3)
    assert screen.picture(first.number, timeout=0.01) is None
    screen.take(item(3))
    second = screen.picture(first.number)
    assert second is not None
    assert second.number > first.number


def test_all_viewers_share_one_drawing(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = opened()
    made = []
    encode = screen._encode

    def counted(*args: Any) -> bytes:
        made.append(1)
        return encode(*args)

    monkeypatch.setattr(screen, "_encode", counted)
    screen.take(item(0))
    threads = [threading.Thread(target=screen.picture) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1]


def test_what_is_changed_is_drawn_though_no_frame_comes() -> None:
    screen = opened()
    screen.take(item(0))
    before = screen.picture()
    assert before is not None
    screen.redraw(mode="mask")
    after = screen.picture(before.number)
    assert after is not None
    assert np.abs(decoded(after.jpeg).astype(int) - decoded(before.jpeg)).mean() > 5


def test_side_by_side_is_twice_as_wide_and_pixels_become_square() -> None:
    screen = opened(pixel_aspect=Fraction(2))
    screen.take(item(0))
    picture = screen.picture()
    assert picture is not None
    assert decoded(picture.jpeg).shape[1] == 2 * WIDTH
    screen.redraw(mode="side-by-side")
    picture = screen.picture(picture.number)
    assert picture is not None
    assert decoded(picture.jpeg).shape[1] == 4 * WIDTH


@pytest.mark.parametrize(
    "changes", [{"mode": "no"}, {"alpha": 2}, {"classes": ["no"]}, {"mode": "blur"}, {"no": 1}]
)
def test_what_cannot_be_changes_nothing(changes: dict[str, object]) -> None:
    screen = opened()
    before = screen.draw
    with pytest.raises(UsageError):
        screen.redraw(**changes)
    assert screen.draw is before


def test_wrong_classes_end_a_run_before_it_begins() -> None:
    screen = Screen(DrawOptions(classes=["no"]))
    with pytest.raises(UsageError, match="unknown class 'no'"):
        screen.open(Played(), (32, 32), toy_header())  # type: ignore[arg-type]


def test_the_state_adds_up() -> None:
    screen = opened()
    screen.take(item(0))
    state = screen.state()
    assert state["state"] == "live"
    assert sum(entry["share"] for entry in state["classes"]) == pytest.approx(1, abs=0.001)
    assert state["recent"]["fps"] > 0
    assert state["recent"]["latency_p50_ms"] < 10_000
    screen.finish()
    assert screen.state()["state"] == "ended"
    assert screen.picture(timeout=60) is None, "nobody waits for a run that has ended"
