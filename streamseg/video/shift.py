"""Moves all times of a source alike, so that an output does not begin hours after its start."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from av.video.frame import VideoFrame

from streamseg.video.formats import Format
from streamseg.video.source import AnyPacket, SourceInfo

if TYPE_CHECKING:
    from av.container.core import Chapter

_NOTEWORTHY_SECONDS = 1


class Shift:
    """How far the times of an output lie before its source's.

    Broadcasts, DVDs and HLS begin at any time of a clock that runs on, and their output begins near
    0. Matroska keeps any other late start; in MP4 and MOV it would be an empty stretch.

    Args:
        info: of the source.
        output: what kind of file is written.
    """

    def __init__(self, info: SourceInfo, output: Format) -> None:
        late = output.starts_at_zero and abs(info.start) > _NOTEWORTHY_SECONDS
        self.seconds = info.start if info.clock_is_arbitrary or late else Fraction(0)
        self.note = ""
        """What there is to say of it, or nothing."""
        if abs(self.seconds) > _NOTEWORTHY_SECONDS:
            self.note = (
                f"{info.name}: its clock begins at {float(self.seconds):.3f} s; all streams were "
                "moved alike, to begin near 0"
            )

    def move_frame(self, frame: VideoFrame) -> None:
        """Move a frame."""
        if self.seconds and frame.pts is not None and frame.time_base is not None:
            frame.pts -= round(self.seconds / frame.time_base)

    def moved(self, packets: Iterable[AnyPacket]) -> Iterable[AnyPacket]:
        """Packets of other streams, moved."""
        for packet in packets:
            if self.seconds and packet.time_base:
                ticks = round(self.seconds / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts - ticks
                packet.dts = None if packet.dts is None else packet.dts - ticks
            yield packet

    def chapters(self, chapters: Iterable[Chapter]) -> list[Chapter]:
        """Chapters, moved."""
        return [self._moved_chapter(chapter) for chapter in chapters]

    def _moved_chapter(self, chapter: Chapter) -> Chapter:
        base = chapter["time_base"]
        ticks = round(self.seconds / base) if base else 0
        return {**chapter, "start": chapter["start"] - ticks, "end": chapter["end"] - ticks}
