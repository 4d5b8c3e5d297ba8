"""Events: the times in which a condition holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from streamseg.measures.conditions import Condition
from streamseg.measures.tables import Row


@dataclass(slots=True)
class Event:
    """A time in which a condition holds."""

    when: str
    """The condition."""
    start_seconds: float
    """When its first frame is shown, since the video's first one."""
    end_seconds: float
    """When the frame behind its last one is shown."""
    first_frame: int
    last_frame: int
    frames: int = 1
    """In which the condition holds; others lie in gaps."""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "when": self.when,
            "start_seconds": round(self.start_seconds, 6),
            "end_seconds": round(self.end_seconds, 6),
            "first_frame": self.first_frame,
            "last_frame": self.last_frame,
            "frames": self.frames,
        }


class EventFinder:
    """Finds the events of one condition in rows that come in order.

    Args:
        condition: what makes an event.
        gap_seconds: interruptions up to this long do not end one.
    """

    def __init__(self, condition: Condition, gap_seconds: float) -> None:
        self.condition, self._gap = condition, gap_seconds
        self.events: list[Event] = []
        self._inside = False

    def see(self, row: Row, lasts_seconds: float) -> None:
        """One more frame, and how long it is shown if none follows."""
        last = self.events[-1] if self.events else None
        if last is not None and self._inside:
            last.end_seconds = row.seconds
        self._inside = self.condition.holds(row.shares)
        if not self._inside:
            return
        end = row.seconds + lasts_seconds
        # Times are exact, differences of them in floating point are not.
        if last is not None and row.seconds - last.end_seconds <= self._gap + 1e-6:
            last.end_seconds, last.last_frame = end, row.frame
            last.frames += 1
            return
        self.events.append(Event(self.condition.text, row.seconds, end, row.frame, row.frame))
