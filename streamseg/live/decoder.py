"""Frames of one connection, as many of them as keep up with the present."""

from __future__ import annotations

import time
from dataclasses import dataclass

import av
from av.video.frame import VideoFrame

from streamseg.live.arrivals import Arrivals
from streamseg.live.connection import Arrival, Connection, Origin, VideoPacket, own_seconds
from streamseg.live.skipping import Haste, is_disposable


@dataclass(frozen=True, slots=True)
class Decoded:
    """A frame, and what is known of it."""

    frame: VideoFrame
    captured: float
    """By `time.perf_counter`, as far as can be known."""
    arrived: float
    is_hurt: bool
    """Damaged, or predicted from a frame that was."""


class Decoder:
    """Decodes what comes through a connection; used by one thread.

    Args:
        connection: what it comes through.
        arrivals: what waits behind the frame that is to be decoded.
    """

    def __init__(self, connection: Connection, arrivals: Arrivals) -> None:
        self.connection = connection
        self.skipped = 0
        """Frames left out here; `arrivals` counts those that it drops."""
        self.unreadable = 0
        """Frames of which nothing came out, as far as is known before `finish`."""
        self.decoded = 0
        """Frames that came out."""
        self._arrivals = arrivals
        self._haste = Haste()
        self._held = 0
        """Frames that went in and of which nothing was heard yet."""
        self._hurt = False

    def decode(self, arrival: Arrival, packet: VideoPacket) -> list[Decoded]:
        """The frames that are complete with this one; none if it is left out."""
        if self._leaves_out(arrival, packet):
            self.skipped += 1
            return []
        began = time.perf_counter()
        self._held += 1
        try:
            frames = self.connection.decode(packet)
        except av.error.FFmpegError:
            self._held -= 1
            self.unreadable += 1
            self._hurt = True
            return []
        finally:
            self._haste.decoded(time.perf_counter() - began)
        return [self._described(frame) for frame in frames]

    def finish(self) -> list[Decoded]:
        """The frames that were held back; afterwards every one is accounted for."""
        try:
            frames = self.connection.decode(None)
        except av.error.FFmpegError:
            frames = []
        last = [self._described(frame) for frame in frames]
        self.unreadable += self._held
        self._held = 0
        return last

    def _described(self, frame: VideoFrame) -> Decoded:
        self.decoded += 1
        # Two fields of a picture may come one by one.
        self._held = max(0, self._held - 1)
        origin = frame.opaque
        assert isinstance(origin, Origin), "a decoder hands it through"
        # A damaged frame hurts all that are predicted from it.
        self._hurt = origin.is_hurt or frame.is_corrupt or (self._hurt and not frame.key_frame)
        captured = self.connection.clock.captured(origin.arrival, own_seconds(frame))
        return Decoded(frame, captured, origin.arrival, self._hurt)

    def _leaves_out(self, arrival: Arrival, packet: VideoPacket) -> bool:
        """Whether a frame is not to be decoded, to stay near the present."""
        connection, now = self.connection, time.perf_counter()
        disposable = is_disposable(packet, connection.codec)
        self._haste.seen(disposable=disposable)
        captured = connection.clock.captured(arrival.at, own_seconds(packet))
        lag = now - captured - connection.pacer.planned(now)
        wanted = self._haste.wants(lag, len(self._arrivals))
        if wanted == "disposable":
            return disposable
        if wanted == "non-key":
            newer = self._arrivals.skip_to_newest_key(or_all=not packet.is_keyframe)
            return newer or not packet.is_keyframe
        return False
