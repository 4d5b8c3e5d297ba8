"""Wall-clock timestamps for frames."""

from __future__ import annotations

import time
from fractions import Fraction

from av.video.frame import VideoFrame

from streamseg.video.source import Item

TIME_BASE = Fraction(1, 90_000)
"""Of the timestamps given here: fine enough for any camera, and MPEG's own."""
_LEAST_STEP = round(Fraction(1, 1000) / TIME_BASE)
"""A millisecond: Matroska counts no finer, and frames of a burst would get the same time there."""


class Stamps:
    """Gives frames their capture as timestamp, from 0, a millisecond apart at least."""

    def __init__(self) -> None:
        self._first: float | None = None
        self._first_shown = 0.0
        self._last_pts = -_LEAST_STEP
        self._count = 0

    def running_seconds(self) -> float:
        """Since the first frame was stamped; 0 before that."""
        return 0.0 if self._first is None else time.perf_counter() - self._first_shown

    def stamp(
        self,
        frame: VideoFrame,
        captured: float,
        *,
        shown: float | None = None,
        signal: bool = True,
    ) -> Item:
        """An item whose frame carries its capture.

        Args:
            frame: changed.
            captured: by `time.perf_counter`.
            shown: the time that it is to carry; None takes `captured`.
            signal: whether it is a picture of the camera's.
        """
        at = captured if shown is None else shown
        if self._first is None:
            self._first, self._first_shown = at, time.perf_counter()
        pts = max(self._last_pts + _LEAST_STEP, round((at - self._first) / TIME_BASE))
        frame.pts, frame.time_base = pts, TIME_BASE
        frame.duration = 0  # was in the source's own unit; until the next one comes, nobody knows
        self._last_pts = pts
        self._count += 1
        return Item(self._count - 1, frame, captured=captured, signal=signal)
