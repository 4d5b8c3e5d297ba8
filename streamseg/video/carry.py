"""Brings a stream of the source into an output: copied, else converted, else left out.

Whether a container holds a stream is asked of FFmpeg's muxer itself, with a scratch file in memory:
its own tables say less than it does.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.stream import AttachmentStream, Stream
from av.subtitles.stream import SubtitleStream

from streamseg.video.formats import Format
from streamseg.video.sound import SoundConverter, sound_encoder
from streamseg.video.source import AnyPacket
from streamseg.video.subtitles import SubtitleConverter, is_text, loses_style
from streamseg.video.tracks import is_cover, name_of

_REFUSED = (av.error.FFmpegError, ValueError)


class Carrier(Protocol):
    """Brings one stream of the source into the output."""

    @property
    def stream(self) -> Stream:
        """Of the output."""
        ...

    def carry(self, packet: AnyPacket) -> list[AnyPacket]:
        """Packets to mux for one of the source."""
        ...

    def flush(self) -> list[AnyPacket]:
        """Packets to mux at the end."""
        ...

    @property
    def left_out(self) -> int:
        """How many packets were left out: damaged, or without a usable time."""
        ...


class Copier:
    """Copies packets as they are.

    Args:
        container: of the output, before its header is written.
        template: the source's stream.

    Raises:
        ValueError, av.error.FFmpegError: the container refuses it.
    """

    def __init__(self, container: OutputContainer, template: Stream) -> None:
        self.left_out = 0
        self.stream: Stream = container.add_stream_from_template(template, opaque=True)
        # What muxers want of sound and pictures.
        self._must_rise = template.type in ("audio", "video")
        self._last_dts: int | None = None
        self._waiting: list[AnyPacket] = []  # for the first decoding time

    def carry(self, packet: AnyPacket) -> list[AnyPacket]:
        """The packet; not if its time is unknown or runs backwards, which costs a whole file."""
        if packet.dts is None and not self._must_rise:
            packet.dts = packet.pts
        if packet.dts is None and packet.pts is not None and self._last_dts is None:
            self._waiting.append(packet)
            return []
        waited = self._release(packet.dts) if packet.dts is not None else []
        return waited + self._passed(packet)

    def _release(self, dts: int) -> list[AnyPacket]:
        """The packets before the first that says when it is decoded: some containers leave it out
        where frames are reordered."""
        waited, self._waiting = self._waiting, []
        passed = []
        for before, packet in zip(range(len(waited), 0, -1), waited, strict=True):
            packet.dts = dts - before * (packet.duration or 1)
            passed += self._passed(packet)
        return passed

    def _passed(self, packet: AnyPacket) -> list[AnyPacket]:
        last = self._last_dts
        if packet.dts is None or (
            last is not None and (packet.dts < last or (self._must_rise and packet.dts == last))
        ):
            self.left_out += 1
            return []
        self._last_dts = packet.dts
        packet.stream = self.stream
        return [packet]

    def flush(self) -> list[AnyPacket]:
        """What still waits."""
        if not self._waiting:
            return []
        last = self._waiting[-1]
        return self._release((last.pts or 0) + (last.duration or 1))


class Cover:
    """A cover picture, as a stream of one packet.

    Args:
        container: of the output, before its header is written.
        template: the source's stream.
        data: the picture, encoded.

    Raises:
        ValueError, av.error.FFmpegError: the container refuses it.
    """

    left_out = 0

    def __init__(self, container: OutputContainer, template: Stream, data: bytes) -> None:
        self.stream = Copier(container, template).stream
        self._data = data

    def carry(self, packet: AnyPacket) -> list[AnyPacket]:
        """Nothing: the picture is known, and follows at the end."""
        return []

    def flush(self) -> list[AnyPacket]:
        """The picture."""
        packet: AnyPacket = av.Packet(self._data)
        packet.pts = packet.dts = 0
        packet.stream = self.stream
        packet.is_keyframe = True
        return [packet]


@dataclass(frozen=True, slots=True)
class Way:
    """A way in which a stream can come into an output."""

    take: Callable[[OutputContainer], Carrier]
    said: str = ""
    """What is said if it is taken."""
    lossy: bool = False


def way_for(stream: Stream, output: Format, cover: bytes = b"") -> Way | None:
    """How a stream comes into an output; None if that cannot hold it.

    Args:
        stream: of the source; no attachment.
        output: what kind of file is written.
        cover: the picture, if the stream is a cover.
    """
    return next((way for way in _ways(stream, output, cover) if _works(way, output)), None)


def _ways(stream: Stream, output: Format, cover: bytes) -> Iterator[Way]:
    if is_cover(stream):
        if output.covers:
            yield Way(lambda container: Cover(container, stream, cover))
        return
    if not output.holds or getattr(stream, "name", None) in output.holds:
        yield Way(lambda container: Copier(container, stream))
    if isinstance(stream, AudioStream) and (encoder := sound_encoder(stream, output)):
        lossy = av.Codec(encoder, "w").lossy
        how = encoder if lossy else f"{encoder}, without loss"
        said = f"{name_of(stream)} cannot be copied into {output.name} and is encoded as {how}"
        yield Way(lambda container: SoundConverter(container, stream, encoder), said, lossy)
    text = output.text_subtitles
    if isinstance(stream, SubtitleStream) and is_text(stream) and text:
        lossy = loses_style(stream, text)
        said = f"{name_of(stream)} is converted to {text}"
        said += "; its fonts and places are lost" if lossy else ""
        yield Way(lambda container: SubtitleConverter(container, stream, text), said, lossy)


def takes_packets(packet: AnyPacket, output: Format) -> bool:
    """Whether a muxer takes the packets of a stream too, not its header alone; asked of the first.

    Some look into packets, and the one that they refuse would end the whole file.
    """
    copy: AnyPacket = av.Packet(bytes(packet))
    copy.time_base, copy.duration, copy.is_keyframe = packet.time_base, packet.duration, True
    copy.pts = copy.dts = 0
    stream = packet.stream
    return _works(Way(lambda container: Copier(container, stream)), output, copy)


def _works(way: Way, output: Format, packet: AnyPacket | None = None) -> bool:
    try:
        scratch = av.open(io.BytesIO(), "w", format=output.muxer)
        try:
            carrier = way.take(scratch)
            scratch.start_encoding()
            if packet is not None:
                packet.stream = carrier.stream
                scratch.mux([packet])
        finally:
            with contextlib.suppress(*_REFUSED):
                scratch.close()
    except _REFUSED:
        return False
    return True


def attach(container: OutputContainer, stream: AttachmentStream) -> None:
    """Copy an attachment; before the header is written."""
    name = stream.metadata.get("filename") or f"attachment{stream.index}"
    container.add_attachment(name, stream.mimetype or "application/octet-stream", stream.data)


_COVER_NAMES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}


def attach_cover(container: OutputContainer, stream: Stream, data: bytes) -> None:
    """Copy a cover picture as an attachment; before the header is written."""
    name, kind = _COVER_NAMES.get(stream.codec_context.name, ("cover", "image/jpeg"))
    container.add_attachment(name, kind, data)
