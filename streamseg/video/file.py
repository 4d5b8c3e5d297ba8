"""Frames of a video file, with the packets of all other streams."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamseg.errors import SourceError
from streamseg.video.damage import Damage
from streamseg.video.fitting import Fitter
from streamseg.video.opening import InputOptions, open_place, place_of, why_no_frame
from streamseg.video.source import (
    AnyPacket,
    ContainerReader,
    Item,
    describe,
    interruptible,
    plausible_rate,
)
from streamseg.video.timeline import DisplayOrder, Timeline
from streamseg.video.tracks import Tracks, is_cover, pick_video, tracks_of

_STARTS_ANYWHERE = 0x0200
"""AVFMT_TS_DISCONT (libavformat/avformat.h): kinds of file whose clocks run on and on."""


class FileSource(ContainerReader):
    """A video file; see `streamseg.video.source.Source`.

    Frames that cannot be decoded are skipped and counted; a file that ends early is read as far as
    it goes. Both are told in `warnings`.

    Args:
        path: the file; ``-`` for standard input, or an http address of a file.
        threads: decoder threads.
        all_streams: collect the packets of the other streams, sound first of all.
        skip_seconds: of the beginning, what need not be read where the file has an index; frames
            before it may come all the same.
        options: how it is read.

    Raises:
        UsageError: no such file.
        SourceError: not a video, or one without a video stream.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        threads: int = 0,
        all_streams: bool = True,
        skip_seconds: float = 0.0,
        options: InputOptions | None = None,
    ) -> None:
        self._skip_seconds = skip_seconds
        self._source = place_of(path)
        options = options or InputOptions()
        self._hwaccel, self._deinterlaced = options.hwaccel, options.deinterlace
        self.name = self._source.name
        """As the user wrote it."""
        self.leftover: list[AnyPacket] = []
        self.warnings: list[str] = []
        self._frames = 0
        self._interlaced = 0
        self._damage = Damage(self.name)
        self._timeline = Timeline()
        self._order = DisplayOrder()
        self._fitter: Fitter | None = None
        super().__init__()
        self._threads, self._all_streams = threads, all_streams
        interruptible(self._start)

    def _start(self) -> None:
        self._container, self._decoded_how = open_place(self._source, self._hwaccel)
        try:
            self._video = pick_video(self.name, self._container)
            self._video.thread_type = "AUTO"
            self._video.thread_count = self._threads
            self._stores_decoding_times = self._container.format.name == "avi"
            self._covers: dict[int, bytes] = {}
            self._pending: list[AnyPacket] = []
            self._skip()
            self._frames_iterator = self._decode()
            # The first frame knows what the header may not: format, colour tags, rotation.
            self._first = next(self._frames_iterator, None)
            if self._first is None:
                detail = f" ({self._damage.trouble})" if self._damage.trouble else ""
                why = why_no_frame(self._source)
                raise SourceError(f"{self.name}: not one frame could be decoded{detail}; {why}")
            self.first_frame = self._first.frame
            self.info = describe(
                self.name,
                self.first_frame,
                self._video,
                time_base=self._video.time_base or Fraction(1, 90_000),
                tracks=self._tracks() if self._all_streams else None,
                duration_seconds=self._duration_from_header(),
                frames=self._video.frames or None,
                start=self._start_of_clock(),
                first_shown=self._first_shown(),
                clock_is_arbitrary=bool(self._container.format.flags & _STARTS_ANYWHERE),
            )
        except BaseException:
            self._container.close()
            raise

    @property
    def stream(self) -> VideoStream:
        """The video stream that is read."""
        return self._video

    def _first_shown(self) -> Fraction:
        if self._video.start_time is not None and self._video.time_base is not None:
            return self._video.start_time * self._video.time_base
        frame = self.first_frame
        return (frame.pts or 0) * (frame.time_base or Fraction(0))

    def _skip(self) -> None:
        kinds = set(self._container.format.name.split(","))
        indexed = self._source.can_skip and bool({"mp4", "matroska"} & kinds)
        if not self._skip_seconds or not indexed or self._video.start_time is None:
            return
        start = self._video.start_time * (self._video.time_base or Fraction(0))
        # Half a second early: some files store the times of decoding, not those of showing.
        target = start + Fraction(self._skip_seconds) - Fraction(1, 2)
        if target > start:
            self._container.seek(round(target * av.time_base))

    @property
    def metadata(self) -> Mapping[str, str]:
        """What is written about the whole file."""
        return self._container.metadata

    def _duration_from_header(self) -> float | None:
        if self._video.duration is not None and self._video.time_base is not None:
            return float(self._video.duration * self._video.time_base)
        if self._container.duration is not None:
            return self._container.duration / av.time_base
        return None

    def _start_of_clock(self) -> Fraction:
        """When the first of all streams begins, seconds; 0 where a late start is meant."""
        if "mp4" in self._container.format.name:
            return Fraction(0)
        starts = [
            s.start_time * s.time_base
            for s in self._container.streams.get()
            if s.type in ("video", "audio") and s.start_time is not None and s.time_base
        ]
        return min(starts, default=Fraction(0))

    def __iter__(self) -> Iterator[Item]:
        """Every frame in presentation order; after the last, `warnings` and `leftover` are set."""
        with self._reading:
            assert self._first is not None, "a source is iterated once"
            first, self._first = self._first, None
            yield first
            yield from self._frames_iterator
            self.warnings += self._damage.found(self.info, self._container.duration, self._frames)
            if self._fitter is not None:
                self.warnings += [f"{self.name}: {said}" for said in self._fitter.warnings]
            if self._interlaced and self.info.field_order is None and not self._deinterlaced:
                self.warnings.append(
                    f"{self.name}: {self._interlaced} of its frames are interlaced, and the first "
                    "is not: all are written as whole ones; --deinterlace makes them whole"
                )
            if self._timeline.joints:
                self.warnings.append(
                    f"{self.name}: its timestamps start over {self._timeline.joints} times (joined "
                    "files?); each part was put behind the one before it"
                )

    def _decode(self) -> Iterator[Item]:
        # By name: a stream that turns up later (damage can make one) is none of our business.
        packets = self._container.demux(*self._container.streams.get())
        last_pts: int | None = None
        while True:
            try:
                packet = next(packets, None)
            except av.error.FFmpegError as error:
                self._damage.trouble = error.strerror or str(error)
                packet = None
            if packet is None:
                break
            self._place(packet)
            if packet.stream is not self._video:
                self._set_aside(packet)
                continue
            for frame in self._decode_packet(packet):
                last_pts = self._timestamp(frame, last_pts)
                self._interlaced += frame.interlaced_frame
                item = Item(self._frames, self._fitted(frame), self._pending)
                self._pending = []
                self._frames += 1
                yield item
        self.leftover = self._pending

    def _fitted(self, frame: VideoFrame) -> VideoFrame:
        aspect = self._video.codec_context.sample_aspect_ratio or Fraction(1)
        if self._fitter is None:
            self._fitter = Fitter(frame, aspect)
        return self._fitter.fitted(frame, aspect)

    def _tracks(self) -> Tracks:
        tracks = tracks_of(self.name, self._container, self._video, self._covers)
        self.warnings += tracks.warnings
        if self._video.metadata.get("alpha_mode") == "1":
            self.warnings.append(
                f"{self.name}: has transparency that this FFmpeg does not decode; it is left out"
            )
        if self._decoded_how:
            said = f"{self.name}: {self._decoded_how}"
            tracks = replace(tracks, notes=(*tracks.notes, said))
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
        self._damage.end_seconds = max(self._damage.end_seconds, float(shown + duration))

    def _decode_packet(self, packet: AnyPacket) -> list[VideoFrame]:
        self._damage.packets += packet.size > 0
        if self._stores_decoding_times and packet.size and packet.dts is not None:
            self._order.sent(packet.dts)
        try:
            frames = self._video.decode(packet)
        except av.error.EOFError:
            return []
        except av.error.FFmpegError as error:
            self._damage.packets_hurt += 1
            self._damage.trouble = error.strerror or str(error)
            self._order.lost()
            return []
        if packet.is_corrupt or any(frame.is_corrupt for frame in frames):
            self._damage.packets_hurt += 1
        return frames

    def _timestamp(self, frame: VideoFrame, last_pts: int | None) -> int:
        """Give a frame without a pts one, and keep presentation times rising."""
        time_base = frame.time_base or self._video.time_base or Fraction(1, 90_000)
        if (shown := self._order.shown()) is not None:
            frame.pts = shown
        if frame.pts is None:
            rate = plausible_rate(self._video, frame)
            step = max(1, round(1 / (rate * time_base)))
            frame.pts = 0 if last_pts is None else last_pts + step
            frame.time_base = time_base
        elif last_pts is not None and frame.pts <= last_pts:
            # Damaged files repeat timestamps; a muxer refuses them, a frame lost is worse.
            frame.pts = last_pts + 1
        return frame.pts
