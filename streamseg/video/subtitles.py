"""Subtitles as text, from one kind to another: SubRip, MOV text, WebVTT, ASS."""

from __future__ import annotations

from fractions import Fraction

import av
from av.container import OutputContainer
from av.subtitles.stream import SubtitleStream

from streamseg.video.source import AnyPacket

_MILLISECOND = Fraction(1, 1000)
_STYLED = ("ass", "ssa")
_PLAIN = ("subrip", "mov_text", "webvtt")


def is_text(stream: SubtitleStream) -> bool:
    """Whether subtitles are text, which can be converted; the others are pictures."""
    return stream.codec_context is not None and stream.codec_context.codec.text_sub


def loses_style(stream: SubtitleStream, encoder: str) -> bool:
    """Whether a conversion drops fonts and places on the picture."""
    return stream.codec_context.name in _STYLED and encoder in _PLAIN


class SubtitleConverter:
    """Reads text subtitles and writes them in another encoding, packet by packet.

    Args:
        container: of the output, before its header is written.
        template: the source's stream.
        encoder: FFmpeg's name of the other encoding.

    Raises:
        ValueError, av.error.FFmpegError: the container refuses it, or the decoder does not start.
    """

    def __init__(self, container: OutputContainer, template: SubtitleStream, encoder: str) -> None:
        self.left_out = 0
        """Packets that could not be read."""
        self._decoder = template.codec_context
        self._decoder.open(strict=False)
        stream = container.add_stream(encoder)
        assert isinstance(stream, SubtitleStream)
        self.stream = stream
        context = stream.codec_context
        context.subtitle_header = self._decoder.subtitle_header
        stream.time_base = context.time_base = _MILLISECOND

    def carry(self, packet: AnyPacket) -> list[AnyPacket]:
        """The same text, as a packet of the output; none for a pause."""
        if not packet.size or packet.pts is None:
            return []
        try:
            text = self._decoder.decode2(packet)
            if text is None:
                return []
            converted = self.stream.codec_context.encode_subtitle(text)
        except av.error.FFmpegError:
            self.left_out += 1
            return []
        lasts_ms = text.end_display_time - text.start_display_time
        known = packet.duration and packet.time_base
        converted.time_base = packet.time_base
        converted.pts = converted.dts = packet.pts
        converted.duration = (
            packet.duration if known else round(lasts_ms * _MILLISECOND / packet.time_base)
        )
        converted.stream = self.stream
        return [converted]

    def flush(self) -> list[AnyPacket]:
        """Nothing: no packet is held back."""
        return []
