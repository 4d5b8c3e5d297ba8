"""Keeps the timestamps of joined files rising, and sorts an AVI's. Pure arithmetic.

Two transport streams put one behind the other (``cat a.ts b.ts``) start over in the middle, and a
muxer refuses time that runs backwards. What starts over is moved behind what came before, by the
same amount for picture and sound; a single damaged timestamp moves nothing that follows it.
"""

from __future__ import annotations

import heapq
from fractions import Fraction

_BACKWARDS = Fraction(1, 10)
"""Seconds by which a stream's decoding times may go back without being a new beginning."""
_NEAR = Fraction(2)
"""Seconds within which a packet follows the one before it."""


class Timeline:
    """Moves the packets of a container's streams, one call per packet in file order."""

    def __init__(self) -> None:
        self.joints = 0
        """How often time started over."""
        self._offset: dict[int, Fraction] = {}
        self._before: dict[int, Fraction] = {}
        self._last: dict[int, Fraction] = {}
        self._newest = Fraction(0)
        self._end = Fraction(0)

    def current(self, stream: int) -> Fraction:
        """Seconds to add to the times of a packet that has no decoding time."""
        return self._offset.get(stream, Fraction(0))

    def offset(self, stream: int, start: Fraction, duration: Fraction) -> Fraction:
        """Seconds to add to the times of a packet.

        Args:
            stream: its index in the container.
            start: its decoding time as read, seconds.
            duration: how long it lasts, seconds; 0 if unknown.
        """
        offset = self.current(stream)
        last = self._last.get(stream)
        if last is not None and not self._follows(last, start + offset):
            offset = self._other_offset(stream, offset, last, start)
        self._offset[stream] = offset
        self._last[stream] = start + offset
        self._end = max(self._end, start + offset + duration)
        return offset

    def _follows(self, last: Fraction, start: Fraction) -> bool:
        return last - _BACKWARDS <= start <= last + _NEAR

    def _other_offset(
        self, stream: int, offset: Fraction, last: Fraction, start: Fraction
    ) -> Fraction:
        before = self._before.get(stream, Fraction(0))
        for known in (self._newest, before):  # the other stream's joint; the end of a bad timestamp
            if known != offset and self._follows(last, start + known):
                self._before[stream] = offset
                return known
        if start + offset > last:
            return offset  # a gap, as a camera leaves that was switched off
        self._before[stream] = offset
        self._newest = self._end - start
        self.joints += 1
        return self._newest


class DisplayOrder:
    """When frames are shown, of a container that only says when they are decoded (AVI).

    Where frames are reordered, what a decoder hands out bears the decoding times in another order
    than they were sent; in their own order they are when frames are shown.
    """

    def __init__(self) -> None:
        self._waiting: list[int] = []
        self._latest: int | None = None

    def sent(self, dts: int) -> None:
        """A packet goes to the decoder."""
        heapq.heappush(self._waiting, dts)
        self._latest = dts

    def lost(self) -> None:
        """The latest packet gives no frame."""
        if self._latest in self._waiting:
            self._waiting.remove(self._latest)
            heapq.heapify(self._waiting)

    def shown(self) -> int | None:
        """When the next frame is shown; None if nothing is known of it."""
        return heapq.heappop(self._waiting) if self._waiting else None
