"""Conditions mean what they say, and what cannot be read is refused in words."""

from __future__ import annotations

import numpy as np
import pytest

from streamseg.errors import UsageError
from streamseg.measures.conditions import Condition
from streamseg.measures.events import EventFinder
from streamseg.measures.tables import Row

CLASSES = ("car", "bus", "traffic light", "2 wheeler", "sand", "and")


def holds(text: str, *shares: float) -> bool:
    padded = np.zeros(len(CLASSES))
    padded[: len(shares)] = shares
    return Condition.parse(text, CLASSES).holds(padded)


@pytest.mark.parametrize(
    ("text", "shares", "wanted"),
    [
        ("car > 2%", [0.03], True),
        ("car > 2%", [0.02], False),
        ("car >= 2 %", [0.02], True),
        ("CAR<.5", [0.4], True),
        ("car<=0.4", [0.4], True),
        ("car + bus > 10%", [0.06, 0.05], True),
        ("car+bus>10%", [0.06, 0.03], False),
        ("traffic light > 1% and car > 1%", [0.5, 0, 0.5], True),
        ("traffic light > 1% and car > 1%", [0, 0, 0.5], False),
        ("car > 1% or bus > 1% and sand > 1%", [0.5], True),
        ("(car > 1% or bus > 1%) and sand > 1%", [0.5], False),
        ("2 wheeler > 1% or sand > 1%", [0, 0, 0, 0, 0.02], True),
        ("'and' > 1% and \"car\" < 1%", [0, 0, 0, 0, 0, 0.5], True),
    ],
)
def test_a_condition_holds_when_it_says_so(text: str, shares: list[float], wanted: bool) -> None:
    assert holds(text, *shares) is wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "a class is expected at its end"),
        ("cars > 2%", "unknown class 'cars'; known: car, bus, traffic light"),
        ("car", "> or >= or < or <= is expected at its end"),
        ("car > 2", "2 is more than the whole picture; write 2%"),
        ("car > 120%", "120% is more than the whole picture"),
        ("car > bus", "a share as 2% is expected before 'bus'"),
        ("car > 2% bus", "'and' or 'or' is expected before 'bus'"),
        ("(car > 2%", r"\) is expected at its end"),
        ("car > 2%%", "unknown class '%'"),
        ("car = 2%", "unknown class '='"),
    ],
)
def test_what_cannot_be_read_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Condition.parse(text, CLASSES)


def test_events_last_to_the_next_frame_and_pass_over_short_gaps() -> None:
    finder = EventFinder(Condition.parse("car > 50%", CLASSES), gap_seconds=0.5)
    shown = [0.0, 1.0, 1.2, 1.3, 1.8, 2.0, 4.0, 5.0]
    there = [0, 1, 1, 0, 1, 0, 0, 1]
    for frame, (seconds, car) in enumerate(zip(shown, there, strict=True)):
        shares = np.array([car, 0, 0, 0, 0, 0], float)
        finder.see(Row(frame, seconds, shares), lasts_seconds=0.25)
    first, second = finder.events
    assert (first.start_seconds, first.end_seconds) == (1.0, 2.0)
    assert (first.first_frame, first.last_frame, first.frames) == (1, 4, 3)
    assert (second.start_seconds, second.end_seconds, second.frames) == (5.0, 5.25, 1)
