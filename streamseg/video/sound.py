"""Sound that a container cannot hold as it is, encoded anew."""

from __future__ import annotations

from fractions import Fraction

import av
from av.audio.codeccontext import AudioCodecContext
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer

from streamseg.video.formats import Format
from streamseg.video.source import AnyPacket

_BITS_PER_SECOND_AND_CHANNEL = 96_000
"""Of lossy encoders: transparent for AAC and Opus, or near it."""
_GAP_SECONDS = 0.05
_USUAL_LAYOUTS = ("mono", "stereo", "2.1", "4.0", "5.0", "5.1", "6.1", "7.1")
"""What so many channels are, where a file does not say."""


def sound_encoder(stream: AudioStream, output: Format) -> str | None:
    """The encoder for a sound that cannot be copied: without loss if the source is."""
    lossless = stream.codec_context.codec.lossless or stream.codec_context.name.startswith("pcm_")
    return output.lossless_sound if lossless else output.lossy_sound


class SoundConverter:
    """Decodes a sound and encodes it anew, packet by packet; times are kept.

    Args:
        container: of the output, before its header is written.
        template: the source's stream.
        encoder: FFmpeg's name of the encoder.

    Raises:
        ValueError, av.error.FFmpegError: the container or the encoder refuses it.
    """

    def __init__(self, container: OutputContainer, template: AudioStream, encoder: str) -> None:
        self.left_out = 0
        """Packets that could not be decoded."""
        self._decoder = template.codec_context
        self._next: int | None = None
        self._end = 0
        rate = _nearest_rate(encoder, self._decoder.sample_rate)
        stream = container.add_stream(encoder, rate=rate, layout=_layout(self._decoder))
        assert isinstance(stream, AudioStream)
        self.stream = stream
        if av.Codec(encoder, "w").lossy:
            channels = len(self._decoder.layout.channels)
            stream.codec_context.bit_rate = _BITS_PER_SECOND_AND_CHANNEL * channels
        stream.codec_context.open(strict=False)

    def carry(self, packet: AnyPacket) -> list[AnyPacket]:
        """What the encoder has ready after a packet of the source."""
        return [out for frame in self._decode(packet) for out in self._encode(frame)]

    def flush(self) -> list[AnyPacket]:
        """What decoder and encoder still hold."""
        last = [out for frame in self._decode(None) for out in self._encode(frame)]
        return [*last, *self._encode(None)]

    def _decode(self, packet: AnyPacket | None) -> list[AudioFrame]:
        try:
            frames = self._decoder.decode(packet)
        except av.error.FFmpegError:
            self.left_out += 1
            return []
        for frame in frames:
            self._place(frame)
        return frames

    def _place(self, frame: AudioFrame) -> None:
        """Count time in samples, from the first on, and anew after a gap: containers round it."""
        if frame.pts is not None and frame.time_base is not None:
            said = round(frame.pts * frame.time_base * frame.sample_rate)
            if self._next is None or abs(said - self._next) > _GAP_SECONDS * frame.sample_rate:
                self._next = said
        frame.pts = self._next = self._next or 0
        frame.time_base = Fraction(1, frame.sample_rate)
        self._next += frame.samples

    def _encode(self, frame: AudioFrame | None) -> list[AnyPacket]:
        packets = self.stream.encode(frame)
        for packet in packets:
            if packet.pts is None:  # the last ones
                packet.pts = packet.dts = self._end
            self._end = packet.pts + (packet.duration or 0)
        return packets


def _layout(decoder: AudioCodecContext) -> str:
    name, channels = decoder.layout.name, decoder.layout.nb_channels
    if not name.endswith("channels"):
        return name
    return _USUAL_LAYOUTS[channels - 1] if channels <= len(_USUAL_LAYOUTS) else "stereo"


def _nearest_rate(encoder: str, rate: int) -> int:
    """The sample rate that an encoder takes: the same, else the next higher, else its highest."""
    rates = av.Codec(encoder, "w").audio_rates
    if not rates or rate in rates:
        return rate
    return min((r for r in rates if r > rate), default=max(rates))
