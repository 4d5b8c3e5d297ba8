"""What need not be decoded when a decoder cannot keep up."""

from __future__ import annotations

from streamseg.live.connection import VideoPacket

LAG_LIMIT_SECONDS = 0.5
"""Beyond that, frames are skipped before they are decoded."""
_WORTH_IT = 0.2
"""Share of frames that no other needs, from which on leaving them out is tried first."""
_H264_PICTURES = range(1, 6)
_HEVC_PICTURES = range(32)
_HEVC_LAST_SUBLAYER_KIND = 14


def is_disposable(packet: VideoPacket, codec: str) -> bool:
    """Whether no other frame is predicted from this one; False where that cannot be seen.

    Args:
        packet: one frame of H.264 or HEVC, in either of their forms.
        codec: FFmpeg's name of it.
    """
    if packet.is_disposable:
        return True
    if packet.is_keyframe or codec not in ("h264", "hevc"):
        return False
    data = bytes(memoryview(packet)[:_LOOK_AT])
    return _says_disposable(data, codec)


_LOOK_AT = 4096
"""Bytes of a packet in which its first slice begins, behind parameters and messages."""


def _says_disposable(data: bytes, codec: str) -> bool:
    for header in _unit_headers(data):
        if codec == "h264" and header & 31 in _H264_PICTURES:
            return header & 0x60 == 0  # nal_ref_idc
        kind = header >> 1 & 63
        if codec == "hevc" and kind in _HEVC_PICTURES:
            return kind <= _HEVC_LAST_SUBLAYER_KIND and kind % 2 == 0
    return False


def _unit_headers(data: bytes) -> list[int]:
    """First byte of every unit that begins in `data`."""
    headers = []
    if data[:3] == b"\0\0\1" or data[:4] == b"\0\0\0\1":
        at = data.find(b"\0\0\1")
        while at >= 0 and at + 3 < len(data):
            headers.append(data[at + 3])
            at = data.find(b"\0\0\1", at + 3)
        return headers
    at = 0
    while at + 4 < len(data):  # lengths of four bytes, as in MP4 and FLV
        headers.append(data[at + 4])
        at += 4 + int.from_bytes(data[at : at + 4], "big")
    return headers


class Haste:
    """Decides, frame by frame, what a decoder leaves out to stay near the present.

    It leaves out nothing while decoding what waits would take less than the limit: what comes in a
    burst is decoded faster than a key frame could be waited for.
    """

    def __init__(self) -> None:
        self._decode_seconds = 0.0
        self._disposable = 0.0
        self._hurries = False

    def decoded(self, seconds: float) -> None:
        """Take into account how long a frame took."""
        self._decode_seconds += (seconds - self._decode_seconds) / 8

    def seen(self, *, disposable: bool) -> None:
        """Take into account what kind of frame came."""
        self._disposable += (disposable - self._disposable) / 32

    def wants(self, lag_seconds: float, waiting: int) -> str:
        """What is to be left out now: ``"nothing"``, ``"disposable"`` or ``"non-key"``.

        Args:
            lag_seconds: how old the frame is that is to be decoded, beyond what was planned.
            waiting: frames received behind it.
        """
        if lag_seconds < LAG_LIMIT_SECONDS / 2 or not waiting:
            self._hurries = False
        elif lag_seconds > LAG_LIMIT_SECONDS:
            self._hurries = self._decode_seconds * waiting > LAG_LIMIT_SECONDS / 2
        if not self._hurries:
            return "nothing"
        if lag_seconds < 2 * LAG_LIMIT_SECONDS and self._disposable > _WORTH_IT:
            return "disposable"
        return "non-key" if lag_seconds > LAG_LIMIT_SECONDS else "nothing"
