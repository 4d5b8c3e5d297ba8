"""What of a file could not be read: counted while it is read, said at its end."""

from __future__ import annotations

import av

from streamseg.video.source import SourceInfo

_CLOSE_ENOUGH_SECONDS = 0.25
"""How far the last packet may end before the length that a header gives in seconds."""


class Damage:
    """What went wrong with a file.

    Args:
        name: for messages.
    """

    def __init__(self, name: str) -> None:
        self.packets = 0
        """Of the picture, read."""
        self.packets_hurt = 0
        """Of these, not decoded, or with errors."""
        self.end_seconds = 0.0
        """How far the file reaches."""
        self.trouble = ""
        """The latest error, in FFmpeg's words."""
        self._name = name

    def found(self, info: SourceInfo, duration: int | None, frames: int) -> list[str]:
        """What there is to say, in sentences.

        Args:
            info: of the file.
            duration: as its header says, in FFmpeg's microseconds.
            frames: how many could be decoded.
        """
        said = []
        if self.packets_hurt:
            said.append(
                f"{self._name}: {self.packets_hurt} damaged packets "
                f"({self.trouble or 'found by demuxer or decoder'}); "
                "their frames may be missing or show decoding errors"
            )
        lost, promised = self._missing(info, duration)
        if lost:
            reason = f": {self.trouble}" if self.trouble and not self.packets_hurt else ""
            said.append(
                f"{self._name}: the file ends early{reason}; its header promises {promised}, "
                f"{frames} frames could be read (about {lost} lost)"
            )
        return said

    def _missing(self, info: SourceInfo, duration: int | None) -> tuple[int, str]:
        """Frames the header promises beyond the end of the file, and how it puts that."""
        seconds = None if duration is None else duration / av.time_base
        end = self.end_seconds - (float(info.start) if info.clock_is_arbitrary else 0)
        # Where the time is reached a header counts frames that were never there: an AVI's counts
        # those that a recorder dropped, too.
        reached = seconds is not None and (
            seconds - end < max(_CLOSE_ENOUGH_SECONDS, seconds / 100)
        )
        expected = info.frames_from_header
        if reached or (seconds is None and expected is None):
            return 0, ""
        if expected is not None:
            # Packets, not frames: an edit list hides frames that are all there.
            lost = expected - self.packets
            return (lost if lost > max(2, expected // 100) else 0), f"{expected} frames"
        assert seconds is not None
        return round((seconds - end) * info.rate), f"{seconds:.1f} s"
