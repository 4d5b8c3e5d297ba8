"""Sinks that measure labels: each class's share of every frame, and when conditions hold."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import ExitStack
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from streamseg.labelmaps.sink import LabelSink
from streamseg.measures.events import Event, EventFinder
from streamseg.measures.options import MeasurePlan
from streamseg.measures.tables import Row, open_table
from streamseg.video.output import OutputPath, cannot_write
from streamseg.video.source import Item, SourceInfo


class Measuring(LabelSink):
    """Measures every frame, and writes a table, a list of events, or both.

    Args:
        info: the source.
        classes: their names, in index order.
        plan: what is measured, and where it goes.

    Raises:
        OutputError: the table cannot be created.
    """

    def __init__(self, info: SourceInfo, classes: Sequence[str], plan: MeasurePlan) -> None:
        super().__init__()
        self.plan = plan
        self._info, self._classes = info, classes
        self._table = None if plan.table is None else open_table(plan.table, classes)
        self._finders = [EventFinder(found, plan.gap_seconds) for found in plan.conditions]
        self.first_seconds = 0.0
        """When the first frame is shown that was measured, since the video's first one."""
        self._frames = 0

    @property
    def events(self) -> list[Event]:
        """All of them, by time."""
        found = [event for finder in self._finders for event in finder.events]
        return sorted(found, key=lambda event: event.start_seconds)

    def take(self, item: Item) -> None:
        """Measure one frame."""
        assert item.labels_HW is not None, "the engine comes before"
        row = Row(item.index, self._seconds(item), shares_of(item.labels_HW, len(self._classes)))
        if not self._frames:
            self.first_seconds = row.seconds
        self._frames += 1
        if self._table is not None:
            self._table.write(row)
        lasts = float(1 / self._info.rate)
        for finder in self._finders:
            finder.see(row, lasts)

    def _seconds(self, item: Item) -> float:
        shown = (item.frame.pts or 0) * (item.frame.time_base or Fraction(0))
        return float(shown - self._info.first_shown)

    def finish(self) -> None:
        """Complete the files and give them their names."""
        if self._table is not None:
            self._table.finish()
        if self.plan.events is not None:
            self._write_events(self.plan.events)

    def _write_events(self, place: OutputPath) -> None:
        values = {
            "source": self._info.name,
            "conditions": [condition.text for condition in self.plan.conditions],
            "events": [event.as_dict() for event in self.events],
        }
        try:
            place.claim()
            text = json.dumps(values, indent=1, ensure_ascii=False) + "\n"
            place.partial.write_text(text, encoding="utf-8")
            place.publish()
        except OSError as error:
            raise cannot_write(place, error) from error
        finally:
            place.discard()

    def abort(self) -> None:
        """Remove unfinished files."""
        if self._table is not None:
            self._table.abort()


def shares_of(labels_HW: NDArray[np.uint8], classes: int) -> NDArray[np.float64]:
    """``[K]``: the share of a label map that is each class; all add up to 1."""
    counts = np.bincount(labels_HW.ravel(), minlength=classes)
    return np.asarray(counts / labels_HW.size, np.float64)


def open_measuring(
    stack: ExitStack, plan: MeasurePlan, info: SourceInfo, classes: Sequence[str]
) -> list[Measuring]:
    """What measures as planned, if anything is; leaving the stack with an error removes its files.

    Raises:
        OutputError: a table cannot be created.
    """
    if plan.table is None and not plan.conditions:
        return []
    return [stack.enter_context(Measuring(info, classes, plan))]
