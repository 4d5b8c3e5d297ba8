"""Frames of a video file, with the packets of all other streams."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamseg.errors import SourceError, UsageError
from streamseg.video.source import (
    AnyPacket,
    ContainerReader,
    Item,
    describe,
    interruptible,
    stream_rate,
)
from streamseg.video.timeline import Timeline
from streamseg.video.tracks import Tracks, is_cover, pick_video, tracks_of

_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
_PATTERN = re.compile(r"%\d*d|[*?]")
_CLOSE_ENOUGH_SECONDS = 0.25
"""How far the last packet may end before the length that a header gives in seconds."""


class FileSource(ContainerReader):
    """A video file; see `streamseg.video.source.Source`.

    Frames that cannot be decoded are skipped and counted; a file that ends early is read as far as
    it goes. Both are told in `warnings`.

    Args:
        path: the file; one that is text is not taken for an address, a pattern or standard input.
        threads: decoder threads.
        all_streams: collect the packets of the other streams, sound first of all.

    Raises:
        UsageError: no such file.
        SourceError: not a video, or one without a video stream.
    """

    def __init__(self, path: str | Path, *, threads: int = 0, all_streams: bool = True) -> None:
        self.path = checked_path(path)
        self.leftover: list[AnyPacket] = []
        self.warnings: list[str] = []
        self._damaged = 0
        self._frames = 0
        self._video_packets = 0
        self._end_seconds = 0.0
        self._trouble = ""
        self._timeline = Timeline()
        super().__init__()
        self._threads, self._all_streams = threads, all_streams
        interruptible(self._start)

    def _start(self) -> None:
        self._container = _open(self.path)
        try:
            self._video = pick_video(self.path, self._container)
            self._video.thread_type = "AUTO"
            self._video.thread_count = self._threads
            self._covers: dict[int, bytes] = {}
            self._pending: list[AnyPacket] = []
            self._frames_iterator = self._decode()
            # The first frame knows what the header may not: format, colour tags, rotation.
            self._first = next(self._frames_iterator, None)
            if self._first is None:
                detail = f" ({self._trouble})" if self._trouble else ""
                raise SourceError(
                    f"{self.path}: not one frame could be decoded{detail}; {_why_none(self.path)}"
                )
            self.first_frame = self._first.frame
            self.info = describe(
                str(self.path),
                self.first_frame,
                self._video,
                time_base=self._video.time_base or Fraction(1, 90_000),
                tracks=self._tracks() if self._all_streams else None,
                duration_seconds=self._duration_from_header(),
                frames=self._video.frames or None,
            )
        except BaseException:
            self._container.close()
            raise

    @property
    def stream(self) -> VideoStream:
        """The video stream that is read."""
        return self._video

    def _duration_from_header(self) -> float | None:
        if self._video.duration is not None and self._video.time_base is not None:
            return float(self._video.duration * self._video.time_base)
        if self._container.duration is not None:
            return self._container.duration / av.time_base
        return None

    def __iter__(self) -> Iterator[Item]:
        """Every frame in presentation order; after the last, `warnings` and `leftover` are set."""
        with self._reading:
            assert self._first is not None, "a source is iterated once"
            first, self._first = self._first, None
            yield first
            yield from self._frames_iterator
            self._judge()

    def _decode(self) -> Iterator[Item]:
        # By name: a stream that turns up later (damage can make one) is none of our business.
        packets = self._container.demux(*self._container.streams.get())
        last_pts: int | None = None
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                self._trouble = error.strerror or str(error)
                packet = None
            if packet is None:
                break
            self._place(packet)
            if packet.stream is not self._video:
                self._set_aside(packet)
                continue
            for frame in self._decode_packet(packet):
                last_pts = self._timestamp(frame, last_pts)
                item = Item(self._frames, frame, self._pending)
                self._pending = []
                self._frames += 1
                yield item
        self.leftover = self._pending

    def _tracks(self) -> Tracks:
        tracks = tracks_of(self.path, self._container, self._video, self._covers)
        self.warnings += tracks.warnings
        return tracks

    def _set_aside(self, packet: AnyPacket) -> None:
        """Keep what is to be carried along."""
        if is_cover(packet.stream):
            self._covers.setdefault(packet.stream.index, bytes(packet))
        elif self._all_streams and packet.size and (packet.dts, packet.pts) != (None, None):
            self._pending.append(packet)

    def _place(self, packet: AnyPacket) -> None:
        """Put a packet behind those before it, and note how far the file reaches."""
        start = packet.pts if packet.dts is None else packet.dts
        if start is None or packet.time_base is None:
            return
        seconds, duration = start * packet.time_base, (packet.duration or 0) * packet.time_base
        # Other streams jump as they like (subtitles, data): they follow the picture. Presentation
        # times alone go back and forth where frames are reordered.
        steady = packet.stream is self._video or packet.stream.type == "audio"
        if steady and packet.dts is not None:
            offset = self._timeline.offset(packet.stream.index, seconds, duration)
        else:
            offset = self._timeline.current((packet.stream if steady else self._video).index)
        if offset:
            ticks = round(offset / packet.time_base)
            packet.dts = None if packet.dts is None else packet.dts + ticks
            packet.pts = None if packet.pts is None else packet.pts + ticks
        shown = max(start, packet.pts or start) * packet.time_base
        self._end_seconds = max(self._end_seconds, float(shown + duration))

    def _decode_packet(self, packet: AnyPacket) -> list[VideoFrame]:
        self._video_packets += packet.size > 0
        try:
            frames = self._video.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError as error:
            self._damaged += 1
            self._trouble = error.strerror or str(error)
            return []
        if packet.is_corrupt or any(frame.is_corrupt for frame in frames):
            self._damaged += 1
        return frames

    def _timestamp(self, frame: VideoFrame, last_pts: int | None) -> int:
        """Give a frame without a pts one, and keep presentation times rising."""
        time_base = frame.time_base or self._video.time_base or Fraction(1, 90_000)
        if frame.pts is None:
            rate = stream_rate(self._video)
            step = max(1, round(1 / (rate * time_base)))
            frame.pts = 0 if last_pts is None else last_pts + step
            frame.time_base = time_base
        elif last_pts is not None and frame.pts <= last_pts:
            # Damaged files repeat timestamps; a muxer refuses them, a frame lost is worse.
            frame.pts = last_pts + 1
        return frame.pts

    def _judge(self) -> None:
        """Say what of the file could not be read."""
        if self._damaged:
            self.warnings.append(
                f"{self.path}: {self._damaged} damaged packets "
                f"({self._trouble or 'found by demuxer or decoder'}); "
                "their frames are missing or show decoding errors"
            )
        lost, promised = self._missing()
        if lost:
            reason = f": {self._trouble}" if self._trouble and not self._damaged else ""
            self.warnings.append(
                f"{self.path}: the file ends early{reason}; its header promises {promised}, "
                f"{self._frames} frames could be read (about {lost} lost)"
            )
        if self._timeline.joints:
            self.warnings.append(
                f"{self.path}: its timestamps start over {self._timeline.joints} times (joined "
                "files?); each part was put behind the one before it"
            )

    def _missing(self) -> tuple[int, str]:
        """Frames the header promises beyond the end of the file, and how it puts that."""
        expected = self.info.frames_from_header
        if expected is not None:
            # Packets, not frames: an edit list hides frames that are all there.
            lost = expected - self._video_packets
            return (lost if lost > max(2, expected // 100) else 0), f"{expected} frames"
        if self._container.duration is None:
            return 0, ""
        promised = self._container.duration / av.time_base
        missing = promised - self._end_seconds
        if missing < max(_CLOSE_ENOUGH_SECONDS, promised / 100):
            return 0, ""
        return round(missing * self.info.rate), f"{promised:.1f} s"


def checked_path(src: str | Path) -> Path:
    """What a user wrote, as the path of a file.

    Raises:
        UsageError: nothing of that name is there, and it reads like something that is no file.
    """
    text = str(src)
    path = Path(src)
    try:
        if path.exists():
            return path
    except OSError:  # a name that cannot be looked up: said when it is opened
        return path
    if _ADDRESS.match(text):
        raise UsageError(
            f"{text}: is an address; use 'streamseg webcam --source {text}', or give a file that "
            "was downloaded"
        )
    if text == "-":
        raise UsageError("-: standard input is not read; give a file, or a named pipe (mkfifo)")
    if _PATTERN.search(text):
        raise UsageError(
            f"{text}: no such file, and patterns are not followed; make a video of the pictures "
            f"first, as with 'ffmpeg -i PATTERN video.mkv'"
        )
    return path


def _why_none(path: Path) -> str:
    """Why a file that could be opened has no frame, by what it is."""
    if path.is_fifo():
        return (
            "an MP4 cannot be read through a pipe, mostly: send MPEG-TS or Matroska, or write it "
            "to a file first"
        )
    with contextlib.suppress(OSError), path.open("rb") as file:
        head = file.read(21)
        if head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and head[20:21] > b"" and head[20] & 2:
            return "FFmpeg decodes no animated WebP; convert it to a video first"
    return "the file is damaged or empty"


def _open(path: Path) -> InputContainer:
    try:
        folder, exists = path.is_dir(), path.exists()
    except OSError as error:  # a name too long, a folder that may not be searched
        raise UsageError(f"{path}: cannot be looked up ({error.strerror})") from error
    if folder:
        raise UsageError(f"{path}: is a folder; give a video file")
    if not exists:
        raise UsageError(f"{path}: no such file")
    try:
        # The plain-file protocol: a name such as "concat:..." stays the name of a file.
        return av.open(f"file:{path}", mode="r", metadata_errors="replace")
    except PermissionError as error:
        raise SourceError(f"{path}: may not be read; check its permissions") from error
    except av.error.FFmpegError as error:
        if path.is_fifo():
            raise SourceError(
                f"{path}: what comes through this pipe is not a video that can be read in one go "
                f"({error.strerror or error}); an MP4 cannot, mostly: send MPEG-TS or Matroska, or "
                "write it to a file first"
            ) from error
        if path.stat().st_size == 0:
            raise SourceError(f"{path}: the file is empty") from error
        raise SourceError(
            f"{path}: not a video that FFmpeg can read, or its index is cut off "
            f"({error.strerror or error})"
        ) from error
