"""Time never runs backwards, and only a new beginning moves what follows it."""

from __future__ import annotations

from fractions import Fraction

from streamseg.video.timeline import DisplayOrder, Timeline

STEP = Fraction(1, 25)


def placed(timeline: Timeline, stream: int, *starts: Fraction | int) -> list[Fraction]:
    return [start + timeline.offset(stream, Fraction(start), STEP) for start in starts]


def test_what_rises_stays_as_it_is() -> None:
    starts = [Fraction(5) + i * STEP for i in range(20)]
    timeline = Timeline()
    assert placed(timeline, 0, *starts) == starts
    assert timeline.joints == 0


def test_a_second_file_follows_the_first_in_every_stream() -> None:
    timeline = Timeline()
    placed(timeline, 0, *[i * STEP for i in range(250)])
    placed(timeline, 1, *[i * STEP for i in range(240)])
    assert placed(timeline, 0, 0, STEP) == [10, 10 + STEP]
    assert placed(timeline, 1, Fraction(1, 100)) == [10 + Fraction(1, 100)]
    assert timeline.joints == 1


def test_a_gap_is_left_alone() -> None:
    timeline = Timeline()
    assert placed(timeline, 0, 0, STEP, 3600, 3600 + STEP) == [0, STEP, 3600, 3600 + STEP]


def test_one_damaged_time_does_not_move_what_follows() -> None:
    timeline = Timeline()
    starts = [100 + i * STEP for i in range(20)]
    starts[10] = Fraction(3)
    after = placed(timeline, 0, *starts)
    assert after[11:] == starts[11:]
    assert after[:10] == starts[:10]


def test_a_packet_without_decoding_time_moves_with_the_others() -> None:
    timeline = Timeline()
    placed(timeline, 0, 0, STEP, 2 * STEP)
    assert timeline.current(0) == 0
    placed(timeline, 0, -1)
    assert timeline.current(0) == 1 + 3 * STEP


def test_reordered_frames_are_shown_when_packets_were_decoded() -> None:
    order = DisplayOrder()
    assert order.shown() is None
    for dts in (0, 1, 2):
        order.sent(dts)
    assert [order.shown(), order.shown()] == [0, 1]
    order.sent(10)
    assert [order.shown(), order.shown(), order.shown()] == [2, 10, None]


def test_a_packet_without_a_frame_shifts_none_that_follow() -> None:
    order = DisplayOrder()
    order.sent(0)
    order.sent(1)
    order.lost()
    order.sent(2)
    assert [order.shown(), order.shown(), order.shown()] == [0, 2, None]
