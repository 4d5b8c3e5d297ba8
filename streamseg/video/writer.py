"""Frames to a video file: encode, carry the other streams along, and appear only when complete."""

from __future__ import annotations

import errno
import io
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from math import lcm
from pathlib import Path

import av
from av.container import OutputContainer
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamseg.closing import AbortedIfFailed
from streamseg.errors import UsageError
from streamseg.video.adapting import Adapter
from streamseg.video.durations import Durations
from streamseg.video.encoder import EncoderOptions, add_video
from streamseg.video.formats import Format, format_of
from streamseg.video.interlace import keeps_fields
from streamseg.video.journal import Journal
from streamseg.video.luggage import Luggage
from streamseg.video.output import OutputPath, cannot_write
from streamseg.video.shift import Shift
from streamseg.video.source import AnyPacket, SourceInfo
from streamseg.video.starting import start

_TOO_FEW_TO_REORDER = 2
"""Frames of which none can refer to a later one that is not also shown later."""


class VideoWriter(AbortedIfFailed):
    """Encodes frames into a file that gets its final name only in `finish`.

    Frames keep their own `pts` and `time_base`, so a variable frame rate stays variable.

    Args:
        output: where to write.
        info: the source's rate, time base, colour tags and what is to be carried along.
        size: width and height of the frames to come.
        pixel_format: of the frames to come; see `encoder_format`.
        options: encoder, quality, speed.
        tags: text to write about the file, beside what is carried along.
        journal: keeps what is encoded, in segments that another run goes on behind; each has an
            encoder of its own.

    Raises:
        UsageError: an unknown encoder, or one that refuses these options.
        OutputError: the file cannot be created.
    """

    def __init__(
        self,
        output: OutputPath,
        info: SourceInfo,
        *,
        size: tuple[int, int],
        pixel_format: str,
        options: EncoderOptions,
        tags: Mapping[str, str] | None = None,
        journal: Journal | None = None,
    ) -> None:
        self.output = output
        self._journal = journal
        self._tags = dict(tags or {})
        self.frames = 0
        self.warnings: list[str] = []
        self.notes: list[str] = []
        """What was done otherwise than the source has it, without a loss."""
        self._muxed_bytes = 0
        self._format = format_of(output.muxer)
        self._shift = Shift(info, self._format)
        self._durations = Durations()
        options = options.chosen(self._format, info)
        if info.field_order is not None and not keeps_fields(options.codec, size):
            self.warnings.append(
                f"{info.name}: is interlaced, and {options.codec} does not keep that (at "
                f"{size[0]}x{size[1]}): the comb stays, unmarked; --deinterlace makes frames "
                "whole, libx264 keeps fields"
            )
            info = replace(info, field_order=None)
        self._open(info, size, pixel_format, options)

    def _open(
        self,
        info: SourceInfo,
        size: tuple[int, int],
        pixel_format: str,
        options: EncoderOptions,
        *,
        bare: bool = False,
    ) -> None:
        luggage = None
        if info.tracks:
            luggage = Luggage(self._format, info.tracks, self._shift, bare=bare)
        self.output.claim()
        try:
            self._container: OutputContainer = av.open(
                self.output.url,
                mode="w",
                format=self.output.muxer,
                options=_container_options(self.output, self._format, info, luggage),
            )
        except (av.error.FFmpegError, OSError) as error:
            self.output.discard()
            raise cannot_write(self.output, error) from error

        def add_picture() -> VideoStream:
            self._video = add_video(
                self._container, info, size, pixel_format, options, self._format
            )
            return self._video

        try:
            self._container.metadata.update(self._tags)
            if luggage is None:
                add_picture()
            else:
                luggage.pack(self._container, add_picture)
            start(self._video.codec_context, self.output.final)
            self._adapter = Adapter(self._video.codec_context, info.field_order)
            refused = self._start_container()
        except BaseException:
            self.abort()
            raise
        self._luggage = luggage
        if refused is None:
            self._encoder = self._video.codec_context
            self._encoder_frames = 0
            self._last_dts: int | None = None
            self._another = partial(
                _encoder_like, self.output.muxer, info, size, pixel_format, options, self._format
            )
            return
        self.abort()
        if luggage is None or luggage.is_empty:
            raise UsageError(
                f"{self.output.final}: {options.codec} cannot be stored in this kind of file "
                f"({refused.strerror or refused}); choose another --codec or an .mkv output"
            ) from refused
        # Each stream was tried alone; together they are refused.
        self._open(info, size, pixel_format, options, bare=True)

    def _start_container(self) -> av.error.FFmpegError | None:
        """Write the header; the error if the muxer refuses the streams."""
        try:
            self._container.start_encoding()
        except av.error.FFmpegError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
                raise cannot_write(self.output, error) from error
            return error
        return None

    def write(self, frame: VideoFrame, packets: Iterable[AnyPacket] = ()) -> None:
        """Encode one frame, after copying the packets that came before it.

        Raises:
            OutputError: the disk is full, or the encoder or muxer failed.
        """
        try:
            self.copy(packets)
            # The encoder decides on key frames; a decoded picture type would force the source's.
            frame.pict_type = 0
            if self._journal is not None:
                if self._journal.is_full:
                    self._begin_segment(self._journal)
                self._journal.add_frame()
            self._shift.move_frame(frame)
            self._mux_picture(self._encode(self._adapter.adapted(frame)))
        except (av.error.FFmpegError, OSError) as error:
            raise cannot_write(self.output, error) from error
        self.frames += 1
        self._encoder_frames += 1

    def pass_over(self, frame: VideoFrame, packets: Iterable[AnyPacket] = ()) -> None:
        """One frame that the journal has: as `write`, with what was encoded of it before.

        Raises:
            OutputError: as `write`, or the journal cannot be read.
        """
        assert self._journal is not None, "another run's frames are in a journal"
        try:
            segment, inside = divmod(self.frames, self._journal.segment_frames)
            if inside == 0:
                known = self._journal.packets(segment)
                self._durations.received(known)
                for packet in known:
                    packet.stream, self._last_dts = self._video, packet.dts
                self._mux(known)
            self.copy(packets)
            self._shift.move_frame(frame)
            self._adapter.pass_over(frame)
        except (av.error.FFmpegError, OSError) as error:
            raise cannot_write(self.output, error) from error
        self.frames += 1
        if self.frames == self._journal.frames:
            self._begin_encoder()

    def _begin_segment(self, journal: Journal) -> None:
        """End a segment and its encoder, and begin another."""
        last = self._flushed()
        self._durations.received(last)
        self._mux_picture(last)
        journal.end_segment()
        self._begin_encoder()

    def _begin_encoder(self) -> None:
        self._encoder = self._another(self.output.final)
        self._encoder_frames = 0

    def _mux_picture(self, packets: list[AnyPacket]) -> None:
        """What the encoder gave, also into the journal."""
        if self._journal is None:
            self._mux(packets)
            return
        for packet in packets:
            # Where frames are not evenly spaced, an encoder's first decoding times may lie before
            # the last ones of the encoder before it.
            if packet.dts is not None and self._last_dts is not None:
                packet.dts = max(packet.dts, self._last_dts + 1)
            self._last_dts = packet.dts
        self._journal.add(packets)
        self._mux(packets)

    def _encode(self, frame: VideoFrame | None) -> list[AnyPacket]:
        """What the encoder has ready, each packet with the duration of its frame."""
        if frame is None:
            packets = self._flushed()
        else:
            self._durations.sent(frame, self._encoder.time_base)
            packets = self._encoded(frame)
        if frame is None and self._format.starts_at_zero:
            self._durations.close(packets)
        else:
            self._durations.received(packets)
        return packets

    def _flushed(self) -> list[AnyPacket]:
        """The encoder's last packets."""
        packets = self._encoded(None)
        few = self._encoder_frames <= _TOO_FEW_TO_REORDER
        return with_decoding_times(packets) if few else packets

    def _encoded(self, frame: VideoFrame | None) -> list[AnyPacket]:
        packets: list[AnyPacket] = [*self._encoder.encode(frame)]
        for packet in packets:
            packet.stream = self._video  # whichever encoder gave it
        return packets

    def copy(self, packets: Iterable[AnyPacket]) -> None:
        """Mux packets of the source's other streams."""
        if self._luggage is not None:
            self._mux(self._luggage.carry(packets))

    def _mux(self, packets: list[AnyPacket]) -> None:
        self._muxed_bytes += sum(packet.size for packet in packets)
        self._container.mux(packets)

    def finish(self, packets: Iterable[AnyPacket] = ()) -> None:
        """Flush the encoder, copy the last packets, close, and give the file its final name.

        Raises:
            OutputError: as `write`; the partial file is removed.
        """
        try:
            self.copy(packets)
            self._mux_picture(self._encode(None))
            if self._luggage is not None:
                self._mux(self._luggage.flush())
            self._container.close()
            self._tell_losses()
            # FFmpeg drops a write error that happens while the trailer is written: the size tells.
            if not self.output.is_pipe and self.output.partial.stat().st_size < self._muxed_bytes:
                raise OSError(errno.ENOSPC, "the file is shorter than what was written to it")
            self.output.publish()
            if self._journal is not None:
                self._journal.remove()
        except (av.error.FFmpegError, OSError) as error:
            self.abort()
            raise cannot_write(self.output, error) from error

    def _tell_losses(self) -> None:
        self.notes += [self._shift.note] if self._shift.note else []
        self.warnings += [f"{self.output.final}: {said}" for said in self._adapter.warnings]
        if self._luggage is not None:
            self.warnings += self._luggage.warnings
            written = None if self.output.is_pipe else self.output.partial
            self.warnings += self._luggage.losses(written, self.output.final)
            self.notes += self._luggage.notes

    def abort(self) -> None:
        """Close and remove the partial file; a recording stays as far as it came."""
        try:
            self._container.close()
        except (av.error.FFmpegError, OSError):
            self.warnings.append(f"{self.output.partial}: closing it failed")
        if not (self.output.grows and self.frames):
            self.output.discard()


def _encoder_like(
    muxer: str,
    info: SourceInfo,
    size: tuple[int, int],
    pixel_format: str,
    options: EncoderOptions,
    output: Format,
    name: Path,
) -> VideoCodecContext:
    """Another encoder, started, that gives what the first one gave."""
    # An encoder outlives the file it was made for, which nothing is written to.
    with av.open(io.BytesIO(), mode="w", format=muxer) as nowhere:
        encoder = add_video(nowhere, info, size, pixel_format, options, output).codec_context
        start(encoder, name)
    return encoder


def with_decoding_times(packets: list[AnyPacket]) -> list[AnyPacket]:
    """Packets of a stream too short to be reordered, decoded when they are shown.

    x265 leaves the decoding times of one or two frames uninitialised, and MP4 refuses what that
    turns out to be.
    """
    for packet in packets:
        packet.dts = packet.pts
    return packets


def _container_options(
    place: OutputPath, output: Format, info: SourceInfo, luggage: Luggage | None
) -> dict[str, str]:
    """The muxer's options."""
    options = luggage.options if luggage else {}
    if place.grows:
        # No second waits in memory: for more bytes, or for a sound that does not come.
        options |= {"flush_packets": "1", "max_interleave_delta": "1000000"}
        if output.muxer in ("matroska", "webm"):
            options["cluster_time_limit"] = "1000"
        elif output.muxer in ("mp4", "mov"):
            options["frag_duration"] = "1000000"
    if output.muxer in ("matroska", "webm"):
        # AAC begins before 0, and sound cut from a longer film up to a second before: Matroska
        # would move all streams until nothing does.
        return {**options, "avoid_negative_ts": "disabled"}
    if place.final.suffix.lower() in (".m2ts", ".mts"):
        return {**options, "mpegts_m2ts_mode": "1"}  # camcorders' and discs' longer packets
    if output.muxer not in ("mp4", "mov"):
        return options
    # The index goes in front, so that a browser plays what it has not loaded whole.
    order = "+faststart"
    if place.grows:
        order = "+delay_moov+default_base_moof"
    elif place.is_pipe:
        order = "+frag_keyframe+delay_moov+default_base_moof"
    options = {**options, "movflags": order + options.get("movflags", "")}
    # MP4 keeps the start of a stream in units of the movie: milliseconds by default, and sound
    # and picture that do not start at 0 would shift.
    unit = 1
    for base in (info.time_base, *(luggage.time_bases if luggage else ())):
        if lcm(unit, base.denominator) < 2**31:
            unit = lcm(unit, base.denominator)
    return {**options, "movie_timescale": str(unit)} if unit > 1 else options
