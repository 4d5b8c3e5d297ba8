"""Capture times from arrivals, without a stream."""

from __future__ import annotations

from itertools import pairwise

import pytest

from streamseg.live.streamclock import Extreme, Pacer, StreamClock


def test_a_frame_that_came_late_was_not_captured_late() -> None:
    clock = StreamClock(held_back=0, own_time=True)
    late = [0.0, 0.3, 0.02, 0.0, 0.5]
    arrivals = [clock.arrived(100 + i / 25 + late[i], i / 25) for i in range(5)]
    captured = [clock.captured(arrivals[i], i / 25) for i in range(5)]
    assert captured == pytest.approx([100 + i / 25 for i in range(5)])


def test_what_a_demuxer_holds_back_is_part_of_the_age() -> None:
    clock = StreamClock(held_back=2, own_time=True)
    # Handed over two frames, of a second each, after it began to arrive.
    arrivals = [clock.arrived(i + 2.0, float(i)) for i in range(6)]
    assert arrivals[2:] == [2.0, 3.0, 4.0, 5.0]
    assert clock.captured(arrivals[5], 5.0) == 5.0


def test_times_that_are_made_up_from_a_rate_are_not_believed() -> None:
    clock = StreamClock(held_back=0, own_time=False)
    # 10 frames a second, and FFmpeg takes them for 25.
    for i in range(50):
        arrival = clock.arrived(i / 10, i / 25)
        assert clock.captured(arrival, i / 25) == arrival


def test_a_clock_that_jumps_begins_anew() -> None:
    clock = StreamClock(held_back=0, own_time=True)
    for i in range(50):
        clock.arrived(100 + i / 25, 5000 + i / 25)
    for i in range(50):
        arrival = clock.arrived(102 + i / 25 + 0.1 * (i == 20), i / 25)
    assert clock.captured(102 + 0.9, 20 / 25) == pytest.approx(102 + 20 / 25)
    assert clock.captured(arrival, 49 / 25) == pytest.approx(102 + 49 / 25)


def test_a_sender_without_times_gives_arrivals() -> None:
    clock = StreamClock(held_back=0, own_time=True)
    assert clock.captured(clock.arrived(3.0, None), None) == 3.0


def test_an_extreme_is_forgotten() -> None:
    least = Extreme(min, window_seconds=5)
    for second in range(30):
        least.add(second, 1.0 if second == 3 else 2.0)
        assert least.value == (1.0 if 3 <= second < 12 else 2.0)


def test_segments_are_shown_at_their_own_speed() -> None:
    pacer, clock = Pacer(bursts=True), StreamClock(held_back=0, own_time=True)
    shown = []
    for segment in range(4):
        now = 2.0 * (segment + 1)  # complete, and fetched at once
        owns = [2.0 * segment + i / 10 for i in range(20)]
        for own in owns:
            at = clock.arrived(now, own)
            pacer.arrived(now, at - clock.captured(at, own))
        for own in owns:
            captured = clock.captured(now, own)
            shown.append(captured + pacer.waits(now, now - captured))
    steps = [b - a for a, b in pairwise(shown)]
    assert steps == pytest.approx([0.1] * len(steps))


def test_a_smooth_stream_never_waits_and_one_stall_changes_nothing() -> None:
    pacer = Pacer()
    for i in range(100):
        pacer.arrived(i / 25, 3.0 if 50 <= i < 60 else 0.01)
        assert pacer.waits(i / 25, 0.01) == 0


def test_bursts_that_come_again_and_again_are_paced() -> None:
    pacer = Pacer()
    for second in range(8):
        for i in range(10):
            pacer.arrived(float(second), 0.9 - i / 10)
    assert pacer.waits(8.0, 0.0) == pytest.approx(0.9)
