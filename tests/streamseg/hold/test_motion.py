"""Labels move with the picture."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.hold.motion import Flow, carried, half_grey, residual
from tests.streamseg.hold.moving import seen, world


def test_a_flow_finds_how_far_the_camera_went() -> None:
    picture, _ = world()
    before, now = half_grey(seen(picture, 0)), half_grey(seen(picture, 8))
    flow = Flow()(now, before)
    assert flow.shape == (64, 96, 2)
    inner = flow[8:-8, 8:-12]
    assert np.median(inner[..., 0]) == pytest.approx(4, abs=0.3)  # of the half picture
    assert np.median(inner[..., 1]) == pytest.approx(0, abs=0.3)


def test_moved_along_it_a_picture_explains_the_next() -> None:
    picture, _ = world()
    before, now = half_grey(seen(picture, 0)), half_grey(seen(picture, 8))
    left = residual(now, before, Flow()(now, before))
    assert left[:, :-8].mean() < 0.25 * residual(now, before)[:, :-8].mean()


def test_labels_are_carried_to_where_things_are_now() -> None:
    picture, labels = world()
    before, now = half_grey(seen(picture, 0)), half_grey(seen(picture, 8))
    moved = carried(seen(labels, 0), Flow()(now, before))
    truth = seen(labels, 8)
    assert np.mean(moved == truth) > 0.98
    assert np.mean(moved == truth) > np.mean(seen(labels, 0) == truth)


def test_no_flow_leaves_labels_where_they_are() -> None:
    _, labels = world()
    still = np.zeros((64, 192, 2), np.float32)
    np.testing.assert_array_equal(carried(labels, still), labels)


@pytest.mark.parametrize("shape", [(1, 1, 3), (8, 200, 3), (32, 32, 3)])
def test_tiny_pictures_have_a_flow_too(shape: tuple[int, int, int]) -> None:
    grey = half_grey(np.full(shape, 90, np.uint8))
    assert not Flow()(grey, grey).any()
