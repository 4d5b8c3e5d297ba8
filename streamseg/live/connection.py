"""One connection to a sender: an open container, its picture's decoder, and its clock."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

import av
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamseg.live.address import Address
from streamseg.live.opening import open_address
from streamseg.live.streamclock import Pacer, StreamClock
from streamseg.video.tracks import pick_video

VideoPacket: TypeAlias = "Packet[VideoStream]"

_PARSED = {"h264", "hevc", "mpeg4", "mpeg2video", "mpeg1video"}
"""Codecs whose frames end, in a bare stream, where the next begins."""
_BARE = {"mpegts", "rtsp", "sdp", "rtp", "h264", "hevc", "m4v", "mpegvideo", "mpeg"}
"""Containers in which these are bare."""
_TIMELESS = {"mpjpeg", "mjpeg", "jpeg_pipe", "image2pipe", "h264", "hevc", "m4v", "mpegvideo"}
"""Containers that carry no times: FFmpeg makes them up from a rate."""
_SEGMENTED = {"hls", "dash"}
"""Containers whose frames come by the segment, seconds at once."""
_FEWEST_STEPS = 8
_REGULAR = 0.25
"""How far a step may be from the median, as a share of it, to be called regular."""
_LONGEST_GAP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """A frame as it was received, or the end of a connection."""

    connection: Connection | None
    """What it came through; None if none could be made."""
    packet: VideoPacket | None
    """None says that the connection has ended."""
    at: float = 0.0
    """When it began to arrive, by `time.perf_counter`."""
    missing: int = 0
    """Frames that never came before this one, going by the stream's own times."""
    ended: str = ""
    """Why there will be no more; empty for a frame."""
    final: bool = False
    """Whether no other connection will be tried."""

    @property
    def is_key(self) -> bool:
        """Whether a decoder can begin here."""
        return self.packet is None or self.packet.is_keyframe

    @property
    def size(self) -> int:
        """Bytes."""
        return 0 if self.packet is None else self.packet.size


class Connection:
    """A sender's picture, received and decoded.

    One thread calls `packets`, one calls `decode` and `flush`.

    Args:
        address: where it is.

    Raises:
        SourceError: it cannot be reached, or sends no video.
    """

    def __init__(self, address: Address) -> None:
        self.name = address.name
        self._container = open_address(address)
        try:
            self.video = pick_video(address.name, self._container)
        except BaseException:
            self._container.close()
            raise
        context = self.video.codec_context
        # Frame threads would hold back a frame per thread.
        context.thread_type = "SLICE"
        context.flags |= av.codec.context.Flags.copy_opaque
        self.codec = context.name
        formats = set(self._container.format.name.split(","))
        parsed = bool(formats & _BARE) and self.codec in _PARSED
        self.clock = StreamClock(
            held_back=int("mpegts" in formats) + int(parsed), own_time=not formats & _TIMELESS
        )
        self.pacer = Pacer(bursts=bool(formats & _SEGMENTED))
        self.steps = Steps()
        self.reading = threading.Lock()
        """Held by the thread that receives."""

    def packets(self) -> Iterator[Arrival]:
        """What is received, until the connection ends.

        Raises:
            av.error.FFmpegError, OSError: how it ended, if not in peace.
        """
        for packet in self._container.demux(self.video):
            if packet.size == 0:
                return  # FFmpeg's mark for the end
            now = time.perf_counter()
            own = own_seconds(packet)
            at = self.clock.arrived(now, own)
            missing = self.steps.missing(own_seconds(packet, decoding=True))
            packet.opaque = Origin(at, packet.is_corrupt or missing > 0)
            self.pacer.arrived(now, at - self.clock.captured(at, own))
            yield Arrival(self, packet, at, missing=missing)

    def decode(self, packet: VideoPacket | None) -> list[VideoFrame]:
        """The frames that are complete with this packet; None gives those that still wait.

        Raises:
            av.error.FFmpegError: it is damaged.
        """
        return self.video.codec_context.decode(packet)

    def close(self) -> None:
        """Close it, unless a thread still waits inside it; that one ends with its time limit."""
        if self.reading.acquire(timeout=0.5):
            try:
                self._container.close()
            finally:
                self.reading.release()


@dataclass(frozen=True, slots=True)
class Origin:
    """What is known of a frame's packet; travels through the decoder."""

    arrival: float
    """When its first byte came, by `time.perf_counter`."""
    is_hurt: bool
    """Whether it is damaged, or one before it never came."""


def own_seconds(packet: VideoPacket | VideoFrame, *, decoding: bool = False) -> float | None:
    """The stream's time of a packet or frame, seconds; None if it has none.

    Args:
        packet: or frame.
        decoding: when it is to be decoded instead of shown.
    """
    ticks = packet.dts if decoding else packet.pts
    if ticks is None or packet.time_base is None:
        return None
    return float(ticks * Fraction(packet.time_base))


class Steps:
    """How far apart the frames of a stream are, and how many are missing between two."""

    def __init__(self) -> None:
        self._steps: deque[float] = deque(maxlen=32)
        self._last: float | None = None
        self._suspected = 0

    @property
    def frame_seconds(self) -> float | None:
        """The usual time between two frames; None while too few were seen."""
        if len(self._steps) < _FEWEST_STEPS:
            return None
        return sorted(self._steps)[len(self._steps) // 2]

    def missing(self, at: float | None) -> int:
        """How many frames are missing, as far as that is certain with this one.

        A frame that only was late is told apart by the next, which then follows soon. Streams whose
        frames come at uneven steps miss none.

        Args:
            at: when the frame is to be decoded, in the stream's time, seconds; None where that is
                not known.
        """
        last, self._last = self._last, at
        suspected, self._suspected = self._suspected, 0
        if at is None or last is None or not 0 < at - last < _LONGEST_GAP_SECONDS:
            return 0
        step, usual = at - last, self.frame_seconds
        self._steps.append(step)
        if usual is None or not self._is_regular(usual):
            return 0
        self._suspected = max(0, round(step / usual) - 1)
        return suspected if abs(step / usual - 1) <= _REGULAR or self._suspected else 0

    def _is_regular(self, usual: float) -> bool:
        even = sum(abs(step - usual) <= _REGULAR * usual for step in self._steps)
        return even >= 0.75 * len(self._steps)
