"""How long frames last, through encoders that do not say: the last of a slide show above all."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from av.video.frame import VideoFrame

from streamseg.video.source import AnyPacket

_MOST_FRAMES_INSIDE = 1000
"""More than any encoder holds."""


class Durations:
    """Gives packets the durations of the frames that they were made of."""

    def __init__(self) -> None:
        self._of: dict[int, int] = {}  # by presentation time, of frames inside the encoder
        self._first: tuple[int, int] | None = None  # pts, dts
        self._end: int | None = None

    def sent(self, frame: VideoFrame, unit: Fraction) -> None:
        """A frame goes to the encoder.

        Args:
            frame: with a time.
            unit: of the encoder's times, seconds.
        """
        if frame.pts is None or not frame.duration:
            return
        in_units = (frame.time_base or unit) / unit
        start, lasts = round(frame.pts * in_units), round(frame.duration * in_units)
        if lasts > 0 and len(self._of) < _MOST_FRAMES_INSIDE:
            self._of[start] = lasts
            self._end = max(self._end or 0, start + lasts)

    def received(self, packets: Sequence[AnyPacket]) -> None:
        """Packets come from the encoder; they get their durations."""
        for packet in packets:
            if packet.pts is None:
                continue
            if self._first is None and packet.dts is not None:
                self._first = packet.pts, packet.dts
            packet.duration = self._of.pop(packet.pts, packet.duration or 0)

    def close(self, packets: Sequence[AnyPacket]) -> None:
        """The last packets come from the encoder, for MP4 or MOV.

        Those count a track's length in decoding times: where frames are reordered, the last packet
        must last as long as the track still does.
        """
        self.received(packets)
        if not packets or self._end is None or self._first is None:
            return
        last, (shown, decoded) = packets[-1], self._first
        if last.pts is not None and last.dts is not None:
            rest = min(self._end - shown + decoded - last.dts, self._end - last.pts)
            last.duration = max(last.duration or 1, rest)
