"""Frames to a video file: encode, copy the audio, and appear only when complete."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import lcm
from pathlib import Path
from types import TracebackType
from typing import Self

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from streamseg.errors import OutputError, UsageError
from streamseg.video.source import AnyPacket, SourceInfo
from streamseg.yuv import LAYOUTS

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Suffix of an output file -> FFmpeg's muxer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncoderOptions:
    """How the output is encoded."""

    codec: str = "libx264"
    """Any video encoder of this FFmpeg: libx264, libx265, libsvtav1, h264_nvenc …"""
    crf: int | None = None
    """Constant rate factor, 0..63, lower is better; None takes the default of this package."""
    preset: str | None = None
    """The encoder's speed preset; None takes veryfast where the encoder has such presets."""
    tune: str | None = None
    """The encoder's tuning, e.g. ``zerolatency`` for x264."""
    threads: int = 0
    """Encoder threads; 0 lets the encoder choose."""

    def __post_init__(self) -> None:
        if self.crf is not None and not 0 <= self.crf <= 63:
            raise UsageError(f"--crf must be 0..63, got {self.crf}")

    def as_options(self) -> dict[str, str]:
        """The options FFmpeg's encoder gets."""
        options: dict[str, str] = {}
        preset = self.preset
        if self.codec in ("libx264", "libx265"):
            preset = preset or "veryfast"
            options["crf"] = str(20 if self.crf is None else self.crf)
        elif self.crf is not None:
            options["cq" if self.codec.endswith("_nvenc") else "crf"] = str(self.crf)
        if preset is not None:
            options["preset"] = preset
        if self.codec == "libx265":
            options["x265-params"] = "log-level=error"  # it reports every file on stderr
        if self.tune is not None:
            options["tune"] = self.tune
        return options


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPath:
    """A checked place for an output file, and the name it has until it is complete."""

    final: Path
    partial: Path
    muxer: str = field(default="mp4")

    @classmethod
    def check(cls, path: Path, *, overwrite: bool, source: Path | None = None) -> OutputPath:
        """Refuse, before any work, a place where the output cannot go.

        Raises:
            UsageError: another suffix than the known ones, a missing folder, an existing file
                without `overwrite`, or the source itself.
        """
        muxer = CONTAINERS.get(path.suffix.lower())
        if muxer is None:
            known = ", ".join(CONTAINERS)
            raise UsageError(f"{path}: unknown kind of output; give a name that ends in {known}")
        if path.is_dir():
            raise UsageError(f"{path}: is a folder; give a file name")
        if not path.parent.is_dir():
            raise UsageError(f"{path}: the folder {path.parent} does not exist; create it first")
        if source is not None and path.exists() and source.exists() and path.samefile(source):
            raise UsageError(f"{path}: input and output are the same file; choose another name")
        if path.exists() and not overwrite:
            raise UsageError(f"{path}: already exists; use --overwrite or choose another name")
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        return cls(final=path, partial=partial, muxer=muxer)


class VideoWriter:
    """Encodes frames into a file that gets its final name only in `finish`.

    Frames keep their own `pts` and `time_base`, so a variable frame rate stays variable.

    Args:
        output: where to write.
        info: the source's rate, time base, colour tags and audio stream to copy.
        size: width and height of the frames to come.
        pixel_format: of the frames to come; see `encoder_format`.
        options: encoder, quality, speed.

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
    ) -> None:
        self.output = output
        self.frames = 0
        self.warnings: list[str] = []
        self._muxed_bytes = 0
        self._skipped = 0
        self._last_dts: int | None = None
        self._open(info, size, pixel_format, options, info.audio)

    def _open(
        self,
        info: SourceInfo,
        size: tuple[int, int],
        pixel_format: str,
        options: EncoderOptions,
        audio: AudioStream | None,
    ) -> None:
        try:
            self._container: OutputContainer = av.open(
                f"file:{self.output.partial}",
                mode="w",
                format=self.output.muxer,
                options=_container_options(self.output.muxer, info, audio),
            )
        except (av.error.FFmpegError, OSError) as error:
            raise _cannot_write(self.output, error) from error
        try:
            self._video = _add_video(self._container, info, size, pixel_format, options)
            self._audio = self._add_audio(audio)
            self._start_encoder()
            refused = self._start_container()
        except BaseException:
            self.abort()
            raise
        if refused is None:
            return
        self.abort()
        if self._audio is None:
            raise UsageError(
                f"{self.output.final}: {options.codec} cannot be stored in this kind of file "
                f"({refused.strerror or refused}); choose another --codec or an .mkv output"
            ) from refused
        # Some muxers find out only here that they cannot hold a sound format.
        self._leave_out(self._audio, refused.strerror or str(refused))
        self._open(info, size, pixel_format, options, None)

    def _start_encoder(self) -> None:
        context = self._video.codec_context
        try:
            context.open(strict=False)
        except av.error.FFmpegError as error:
            raise UsageError(
                f"{self.output.final}: {context.name} with options {context.options} refused to "
                f"start ({error.strerror or error}); check --codec, --preset and --crf"
            ) from error

    def _start_container(self) -> av.error.FFmpegError | None:
        """Write the header; the error if the muxer refuses the streams."""
        try:
            self._container.start_encoding()
        except av.error.FFmpegError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
                raise _cannot_write(self.output, error) from error
            return error
        return None

    def _add_audio(self, template: AudioStream | None) -> AudioStream | None:
        if template is None:
            return None
        try:
            return self._container.add_stream_from_template(template)
        except (av.error.FFmpegError, ValueError) as error:
            self._leave_out(template, str(error))
            return None

    def _leave_out(self, audio: AudioStream, reason: str) -> None:
        self.warnings.append(
            f"{self.output.final}: the audio ({audio.codec_context.name}) cannot be copied into "
            f"this kind of file ({reason}) and is left out; an .mkv output can hold it"
        )

    def write(self, frame: VideoFrame, packets: Iterable[AnyPacket] = ()) -> None:
        """Encode one frame, after copying the packets that came before it.

        Raises:
            OutputError: the disk is full, or the encoder or muxer failed.
        """
        try:
            self.copy(packets)
            # The encoder decides on key frames; a decoded picture type would force the source's.
            frame.pict_type = 0
            self._mux(self._video.encode(frame))
        except (av.error.FFmpegError, OSError) as error:
            raise _cannot_write(self.output, error) from error
        self.frames += 1

    def copy(self, packets: Iterable[AnyPacket]) -> None:
        """Mux packets of the copied audio stream."""
        if self._audio is None:
            return
        for packet in packets:
            # A muxer refuses a whole file for one sound packet whose time runs backwards.
            if packet.dts is None or (self._last_dts is not None and packet.dts <= self._last_dts):
                self._skipped += 1
                continue
            self._last_dts = packet.dts
            packet.stream = self._audio
            self._mux([packet])

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
            self._mux(self._video.encode(None))
            self._container.close()
            if self._skipped:
                self.warnings.append(
                    f"{self.output.final}: {self._skipped} sound packets without a usable "
                    "timestamp were left out"
                )
            # FFmpeg drops a write error that happens while the trailer is written: the size tells.
            if self.output.partial.stat().st_size < self._muxed_bytes:
                raise OSError(errno.ENOSPC, "the file is shorter than what was written to it")
            self.output.partial.replace(self.output.final)
        except (av.error.FFmpegError, OSError) as error:
            self.abort()
            raise _cannot_write(self.output, error) from error

    def abort(self) -> None:
        """Close and remove the partial file; nothing appears under the final name."""
        try:
            self._container.close()
        except (av.error.FFmpegError, OSError):
            self.warnings.append(f"{self.output.partial}: closing it failed")
        self.output.partial.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None:
            self.abort()


def encoder_format(codec: str, wanted: str) -> str:
    """The pixel format to encode in: the source's own if the encoder takes it, else yuv420p.

    Raises:
        UsageError: no such encoder, or one without a format that can be drawn on.
    """
    formats = [f.name for f in _find_encoder(codec).video_formats or []]
    if not formats or wanted in formats:
        return wanted
    for candidate in ("yuv420p", "nv12", *formats):
        if candidate in formats and candidate in LAYOUTS and not LAYOUTS[candidate].grey:
            return candidate
    raise UsageError(f"{codec} takes no colour pictures in YUV; try libx264, libx265 or libsvtav1")


def _find_encoder(codec: str) -> av.Codec:
    try:
        found = av.Codec(codec, "w")
    except (av.error.FFmpegError, ValueError) as error:
        raise UsageError(
            f"unknown video encoder {codec!r}; try libx264, libx265, libsvtav1 or h264_nvenc"
        ) from error
    if found.type != "video":
        raise UsageError(f"{codec!r} is no video encoder; try libx264, libx265 or libsvtav1")
    return found


def _container_options(muxer: str, info: SourceInfo, audio: AudioStream | None) -> dict[str, str]:
    """The muxer's options."""
    if muxer == "matroska":
        return {}
    # MP4 keeps the start of a stream in units of the movie: milliseconds by default, and sound
    # and picture that do not start at 0 would shift.
    bases = [info.time_base] + ([audio.time_base] if audio and audio.time_base else [])
    unit = lcm(*(base.denominator for base in bases))
    return {"movie_timescale": str(unit)} if unit < 2**31 else {}


def _add_video(
    container: OutputContainer,
    info: SourceInfo,
    size: tuple[int, int],
    pixel_format: str,
    options: EncoderOptions,
) -> VideoStream:
    _find_encoder(options.codec)
    try:
        stream = container.add_stream(
            options.codec, rate=info.rate.limit_denominator(100_000), options=options.as_options()
        )
    except (av.error.FFmpegError, ValueError) as error:
        raise UsageError(
            f"{options.codec} cannot be stored in a {container.format.name} file "
            f"({error}); choose another --codec or output name"
        ) from error
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = size
    stream.pix_fmt = pixel_format
    stream.time_base = info.time_base
    context = stream.codec_context
    context.time_base = info.time_base
    context.thread_count = options.threads
    context.sample_aspect_ratio = info.sample_aspect_ratio
    context.color_range = info.color_range
    context.colorspace = info.colorspace
    context.color_primaries = info.color_primaries
    context.color_trc = info.color_trc
    if info.rotation:
        stream.set_display_rotation(info.rotation)
    return stream


def _cannot_write(output: OutputPath, error: BaseException) -> OutputError:
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(
            f"{output.final}: the disk is full ({error.strerror}); the unfinished file was "
            "removed: free space or write to another disk"
        )
    if isinstance(error, PermissionError):
        return OutputError(f"{output.final}: the folder may not be written to")
    detail = getattr(error, "strerror", None) or error
    return OutputError(f"{output.final}: writing failed ({detail})")
