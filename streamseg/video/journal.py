"""What a run that can go on keeps of its video: encoded segments, each whole or not there.

A folder beside the output holds ``run.json`` (what decides the pictures), and ``000000.segment`` …:
the packets of so many frames, from an encoder that began with the first of them. A segment is
written under another name and renamed when it lies on the disk, so that a process, a machine or its
power may end at any moment. Segments that are damaged, and all behind them, are as if not there.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import zlib
from collections.abc import Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av

from streamseg.errors import OutputError, UsageError
from streamseg.video.partfile import hold_now, let_go, with_tail
from streamseg.video.source import AnyPacket

_MAGIC = b"streamseg segment 1\n"
_HEAD = struct.Struct("<qqqqq?I")  # pts, dts, duration, unit (two numbers), is key frame, bytes
_END = struct.Struct("<I")  # checksum
_WHOLE, _UNFINISHED = ".segment", ".unfinished"
_FACTS, _LOCK = "run.json", "lock"
_NONE = -(2**63)
"""In place of a time that is not known."""


def resume_folder(final: Path) -> Path:
    """Where the segments of an output are kept."""
    return with_tail(final, ".resume")


class Journal:
    """The segments of one output, for one run at a time.

    Args:
        folder: of `resume_folder`; made if it is not there.
        facts: all that decides the pictures; values that JSON holds.
        segment_frames: frames of a segment.

    Raises:
        UsageError: the folder is of a run with other facts, or another run is writing to it.
        OutputError: it cannot be made or read.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any], *, segment_frames: int) -> None:
        self.folder, self.segment_frames = folder, segment_frames
        self._facts: dict[str, Any] = json.loads(
            json.dumps({**facts, "segment_frames": segment_frames}, default=str)
        )
        self._lock = folder / _LOCK
        self._open: _Writer | None = None
        self._frames_open = 0
        try:
            folder.mkdir(exist_ok=True)
            alone = hold_now(self._lock)
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot be made or written to ({error.strerror})"
            ) from error
        if not alone:
            raise UsageError(f"{folder}: another run is writing to it; wait for its end")
        try:
            self._check_facts()
            self._segments = self._whole()
        except BaseException:
            self.close()
            raise

    def _check_facts(self) -> None:
        """The run is that of the folder, or its first."""
        place = self.folder / _FACTS
        try:
            known = json.loads(place.read_bytes())
        except FileNotFoundError:
            _write_whole(place, json.dumps(self._facts, indent=1).encode())
            return
        except (OSError, ValueError) as error:
            raise UsageError(
                f"{place}: cannot be read ({error}); remove {self.folder} to begin anew"
            ) from error
        before: dict[str, Any] = known if isinstance(known, dict) else {}
        other = [key for key in self._facts if self._facts[key] != before.get(key)]
        if other:
            key = other[0]
            raise UsageError(
                f"{self.folder}: is of a run with another {' and another '.join(other)} ({key}: "
                f"{_short(before.get(key))}, now {_short(self._facts[key])}); repeat that run's "
                "command, or remove the folder to begin anew"
            )

    def _whole(self) -> list[Path]:
        """The segments that can be used, from the first on without a gap."""
        found: list[Path] = []
        while _is_whole(place := self._place(len(found))):
            found.append(place)
        return found

    def _place(self, number: int) -> Path:
        return self.folder / f"{number:06d}{_WHOLE}"

    @property
    def frames(self) -> int:
        """Frames that need not be segmented again."""
        return len(self._segments) * self.segment_frames

    def packets(self, number: int) -> list[AnyPacket]:
        """Of a whole segment, in the encoder's order.

        Raises:
            OutputError: it cannot be read.
        """
        place = self._segments[number]
        try:
            return list(_packets(place.read_bytes()))
        except (OSError, ValueError, struct.error) as error:
            raise OutputError(
                f"{place}: cannot be read ({error}); run again to do that part anew"
            ) from error

    @property
    def is_full(self) -> bool:
        """Whether the next frame belongs to another segment."""
        return self._frames_open == self.segment_frames

    def add_frame(self) -> None:
        """A frame goes to the encoder."""
        self._frames_open += 1

    def add(self, packets: list[AnyPacket]) -> None:
        """Packets that the encoder gave, as they are muxed.

        Raises:
            OSError: the disk is full, or fails.
        """
        if self._open is None:
            self._open = _Writer(self._place(len(self._segments)))
        self._open.add(packets)

    def end_segment(self) -> None:
        """The encoder gave its last packet.

        Raises:
            OSError: as `add`.
        """
        assert self._open is not None, "a segment has packets"
        self._segments.append(self._open.finish())
        self._open, self._frames_open = None, 0

    def remove(self) -> None:
        """The output is complete: nothing of this is needed any more."""
        self.close()
        self._clear()

    def close(self) -> None:
        """Keep what is whole for another run; nothing is kept of nothing."""
        if self._open is not None:
            self._open.abort()
            self._open = None
        let_go(self._lock)
        if not any(self.folder.glob(f"*{_WHOLE}")):
            self._clear()

    def _clear(self) -> None:
        """Remove what is a journal's, and the folder if that was all."""
        ours = [self.folder / _FACTS, self._lock]
        for kind in (_WHOLE, _UNFINISHED):
            ours += self.folder.glob(f"*{kind}")
        with contextlib.suppress(OSError):
            for path in ours:
                path.unlink(missing_ok=True)
            self.folder.rmdir()


class _Writer:
    """Writes a segment under another name."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._partial = place.with_suffix(_UNFINISHED)
        self._file: BinaryIO = self._partial.open("wb")
        self._checksum = 0
        self._write(_MAGIC)

    def _write(self, data: bytes) -> None:
        self._checksum = zlib.crc32(data, self._checksum)
        self._file.write(data)

    def add(self, packets: list[AnyPacket]) -> None:
        for packet in packets:
            unit = packet.time_base or Fraction(1)
            times = (packet.pts, packet.dts, packet.duration or 0)
            pts, dts, duration = (_NONE if time is None else time for time in times)
            data = bytes(packet)
            head = (pts, dts, duration, unit.numerator, unit.denominator)
            self._write(_HEAD.pack(*head, packet.is_keyframe, len(data)))
            self._write(data)

    def finish(self) -> Path:
        self._file.write(_END.pack(self._checksum))
        _appear(self._file, self._partial, self._place)
        return self._place

    def abort(self) -> None:
        with contextlib.suppress(OSError):
            self._file.close()
            self._partial.unlink()


def _is_whole(place: Path) -> bool:
    try:
        data = place.read_bytes()
    except OSError:
        return False
    body = data[: -_END.size]
    if not body.startswith(_MAGIC):
        return False
    return _END.unpack(data[-_END.size :]) == (zlib.crc32(body),)


def _packets(data: bytes) -> Iterator[AnyPacket]:
    at, end = len(_MAGIC), len(data) - _END.size
    while at < end:
        pts, dts, duration, parts, whole, is_key, size = _HEAD.unpack_from(data, at)
        at += _HEAD.size
        packet = av.Packet(data[at : at + size])
        at += size
        packet.time_base = Fraction(parts, whole)
        packet.pts = None if pts == _NONE else pts
        packet.dts = None if dts == _NONE else dts
        packet.duration = duration
        packet.is_keyframe = is_key
        yield packet


def _write_whole(place: Path, data: bytes) -> None:
    partial = place.with_suffix(_UNFINISHED)
    try:
        with partial.open("wb") as file:
            file.write(data)
            _appear(file, partial, place)
    except OSError as error:
        raise OutputError(f"{place}: cannot be written ({error.strerror})") from error


def _appear(file: BinaryIO, partial: Path, place: Path) -> None:
    """Close a file, and give it its name when all of it lies on the disk."""
    with file:
        file.flush()
        os.fsync(file.fileno())
    partial.replace(place)
    with contextlib.suppress(OSError):  # the name must outlive the power, too, where it can
        fd = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def _short(value: Any, most: int = 60) -> str:
    text = json.dumps(value)
    return text if len(text) <= most else f"{text[:most]}…"
