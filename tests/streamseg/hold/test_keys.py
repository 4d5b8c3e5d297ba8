"""The network sees what the last key does not explain, and no more."""

from __future__ import annotations

import numpy as np

from streamseg.hold.keys import KeyFrames
from tests.streamseg.hold.moving import seen, world


def test_a_picture_that_stands_is_seen_every_nth_time() -> None:
    frame = seen(world()[0], 0)
    keys = KeyFrames(4)
    assert [keys.look(frame).is_key for _ in range(9)] == [n % 4 == 0 for n in range(9)]
    assert keys.held == 6


def test_noise_is_no_change() -> None:
    frame = seen(world()[0], 0)
    noise = np.random.default_rng(1)
    keys = KeyFrames(8)
    for number in range(8):
        noisy = np.clip(frame + noise.normal(0, 4, frame.shape), 0, 255).astype(np.uint8)
        assert keys.look(noisy).is_key == (number == 0)


def test_a_camera_that_moves_is_followed() -> None:
    picture, labels = world()
    keys = KeyFrames(8)
    assert keys.look(seen(picture, 0)).is_key
    for left in (2, 4, 6):
        look = keys.look(seen(picture, left))
        assert not look.is_key
        assert np.mean(look.labels(seen(labels, 0)) == seen(labels, left)) > 0.98


def test_a_cut_is_seen_at_once() -> None:
    one, other = seen(world(0)[0], 0), seen(world(1)[0], 0)
    keys = KeyFrames(100)
    assert [keys.look(f).is_key for f in (one, one, other, other)] == [True, False, True, False]


def test_something_new_of_some_size_is_seen_at_once() -> None:
    frame = seen(world()[0], 0)
    with_a_car = frame.copy()
    with_a_car[40:90, 60:130] = (250, 250, 250)
    keys = KeyFrames(100)
    assert [keys.look(f).is_key for f in (frame, frame, with_a_car)] == [True, False, True]


def test_frames_of_another_size_are_seen() -> None:
    frame = seen(world()[0], 0)
    keys = KeyFrames(100)
    keys.look(frame)
    assert keys.look(frame[:64]).is_key


def test_one_makes_every_frame_a_key() -> None:
    frame = seen(world()[0], 0)
    keys = KeyFrames(1)
    assert all(keys.look(frame).is_key for _ in range(3))
