"""What became of every frame that a sender sent, as far as it can be known here.

received = skipped + unreadable + delivered + waiting
delivered + no_signal = written + dropped, which the run behind this source counts
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCounts:
    """Frames by what became of them; `lost` ones were never received."""

    received: int = 0
    """Frames that came over the wire, whole or not."""
    skipped: int = 0
    """Not decoded, because decoding could not keep up."""
    unreadable: int = 0
    """Decoded to nothing: damaged, or without the key frame they are predicted from."""
    delivered: int = 0
    """Decoded and handed on."""
    damaged: int = 0
    """Of those delivered: hurt themselves, or predicted from one that was."""
    lost: int = 0
    """Never received, going by a regular stream's own times."""
    no_signal: int = 0
    """Pictures made here while there was no other, for the recording to go on."""

    @property
    def waiting(self) -> int:
        """Received, and not decoded yet; none at the end of a stream."""
        return self.received - self.skipped - self.unreadable - self.delivered


@dataclass(frozen=True, slots=True, kw_only=True)
class CameraStats:
    """A live source, beside the run that it was in."""

    counts: FrameCounts
    reconnects: int = 0
    connected_seconds: float | None = None
    """From the beginning to the first connection."""
    lag_p50_ms: float | None = None
    """From a frame's capture to its decoded picture, milliseconds; part of the run's latency."""
    lag_p95_ms: float | None = None
    lost: bool = False
    """Whether the run ended because it was gone."""
