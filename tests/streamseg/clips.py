"""Draws small clips with known labels, and reads clips back: what the tests measure with."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from streamseg.drawing.orientation import Orientation
from streamseg.video.orientation import orientation_of

Picture = NDArray[np.uint8]
WIDTH, HEIGHT = 96, 64
RED, GREEN, BLUE = 0, 1, 2
"""Classes of the toy model: the strongest of a pixel's three channels."""

INKS = np.array([(200, 30, 40), (30, 180, 40), (30, 40, 200)], np.uint8)
"""What is painted where the toy model shall see its class."""


def scene(index: int, width: int = WIDTH, height: int = HEIGHT) -> NDArray[np.uint8]:
    """Labels ``[H, W]``: red above, blue below, and a green block whose place tells `index`."""
    labels = np.full((height, width), BLUE, np.uint8)
    labels[: height // 2] = RED
    left = index % 10 * (width // 12)
    labels[height // 4 : height * 3 // 4, left : left + width // 4] = GREEN
    return labels


def paint(labels_HW: NDArray[np.uint8]) -> Picture:
    """RGB ``[H, W, 3]`` that the toy model labels so."""
    return INKS[labels_HW]


@dataclass(frozen=True, slots=True, kw_only=True)
class Clip:
    """How a test clip is made."""

    frames: int = 12
    rate: Fraction = Fraction(25)
    pts: Sequence[int] | None = None
    """In units of `time_base`; None takes one frame every 1/rate."""
    time_base: Fraction | None = None
    width: int = WIDTH
    height: int = HEIGHT
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    options: tuple[tuple[str, str], ...] = (("crf", "10"), ("g", "12"))
    audio: tuple[str, ...] = ()
    """Encoders, one per audio stream."""
    audio_first: bool = False
    audio_seconds: float | None = None
    matrix: tuple[int, ...] | None = None
    """Display matrix; see `matrix_of`."""
    colour: tuple[int, int] | None = None
    """Colour space and range tags."""
    sample_aspect_ratio: Fraction | None = None
    format: str | None = None
    container_options: tuple[tuple[str, str], ...] = ()
    draw: Callable[[int], Picture] | None = None
    """RGB of frame i; None paints `scene`."""

    def picture(self, index: int) -> Picture:
        """RGB of a frame as it is stored."""
        if self.draw is not None:
            return self.draw(index)
        return paint(scene(index, self.width, self.height))

    def write(self, path: Path) -> Path:
        """Encode the clip; returns `path`."""
        options = dict(self.container_options)
        with av.open(f"file:{path}", "w", format=self.format, options=options) as container:
            sounds = self.add_audio(container) if self.audio_first else []
            video = self._add_video(container)
            sounds = sounds or self.add_audio(container)
            for sound in sounds:
                _write_tone(container, sound, self._sound_seconds())
            for index in range(self.frames):
                container.mux(video.encode(self._frame(video, index)))
            container.mux(video.encode(None))
        return path

    def _sound_seconds(self) -> float:
        return self.audio_seconds or float(self.frames / self.rate)

    def add_audio(self, container: OutputContainer) -> list[AudioStream]:
        streams = []
        for codec in self.audio:
            stream = container.add_stream(codec, rate=48000, layout="mono")
            assert isinstance(stream, AudioStream)
            streams.append(stream)
        return streams

    def _add_video(self, container: OutputContainer) -> VideoStream:
        stream = container.add_stream(self.codec, rate=self.rate, options=dict(self.options))
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = self.width, self.height
        stream.pix_fmt = self.pixel_format
        base = self.time_base or 1 / self.rate
        stream.time_base = base
        stream.codec_context.time_base = base
        stream.codec_context.thread_count = 1
        if self.sample_aspect_ratio is not None:
            stream.codec_context.sample_aspect_ratio = self.sample_aspect_ratio
        if self.colour is not None:
            stream.codec_context.colorspace, stream.codec_context.color_range = self.colour
        if self.matrix is not None:
            stream.set_display_matrix(self.matrix)
        return stream

    def _frame(self, video: VideoStream, index: int) -> VideoFrame:
        space, colour_range = self.colour or (5, 1)
        frame = to_yuv(self.picture(index), self.pixel_format, space, colour_range)
        base = self.time_base or 1 / self.rate
        frame.time_base = base
        frame.pts = round(index / (self.rate * base)) if self.pts is None else self.pts[index]
        return frame


def to_yuv(picture: Picture, pixel_format: str, space: int, colour_range: int) -> VideoFrame:
    """A frame of an RGB picture; `space` and `colour_range` as libavutil numbers them."""
    rgb = VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    rgb.color_range = 2
    frame = rgb.reformat(
        format=pixel_format,
        dst_colorspace=space,
        src_color_range=2,
        dst_color_range=colour_range,
        interpolation="POINT",
    )
    return at_zero(frame)


def at_zero(frame: VideoFrame) -> VideoFrame:
    """The frame, shown at the start: a decoded frame always has a time."""
    frame.pts, frame.time_base = 0, Fraction(1, 25)
    return frame


def noise(index: int) -> Picture:
    """A picture that does not compress."""
    return np.random.default_rng(index).integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8)


def write_sound(path: Path) -> Path:
    """A second of sound without pictures."""
    with av.open(str(path), "w") as container:
        (stream,) = Clip(audio=("aac",)).add_audio(container)
        _write_tone(container, stream, 1)
    return path


def _write_tone(container: OutputContainer, stream: AudioStream, seconds: float) -> None:
    samples = round(48000 * seconds)
    tone = np.sin(np.arange(samples) * (2 * np.pi * 330 / 48000)) * 0.3
    fifo = av.AudioFifo()
    resampler = av.AudioResampler(format=stream.format, layout="mono", rate=48000)
    whole = AudioFrame.from_ndarray(tone[None].astype(np.float32), format="fltp", layout="mono")
    whole.sample_rate, whole.pts, whole.time_base = 48000, 0, Fraction(1, 48000)
    for frame in resampler.resample(whole):
        fifo.write(frame)
    size = stream.codec_context.frame_size or 1024
    while (chunk := fifo.read(size, partial=True)) is not None:
        container.mux(stream.encode(chunk))
    container.mux(stream.encode(None))


def read_frames(path: Path) -> list[VideoFrame]:
    """Every frame of the first video stream that is no cover picture."""
    with av.open(f"file:{path}") as container:
        streams = [s for s in container.streams.video if not int(s.disposition) & 0x400]
        return list(container.decode(streams[0]))


def times(frames: Iterable[VideoFrame]) -> list[Fraction]:
    """Exact presentation times, seconds."""
    result = []
    for frame in frames:
        assert frame.pts is not None
        assert frame.time_base is not None
        result.append(frame.pts * frame.time_base)
    return result


def read_times(path: Path) -> list[Fraction]:
    """Exact presentation times of a file's frames, seconds."""
    return times(read_frames(path))


def audio_packets(path: Path, index: int = 0) -> list[tuple[Fraction, bytes]]:
    """Time and bytes of every packet of an audio stream; none if there is no such stream."""
    with av.open(f"file:{path}") as container:
        if index >= len(container.streams.audio):
            return []
        packets = container.demux(container.streams.audio[index])
        return [(p.pts * p.time_base, bytes(p)) for p in packets if p.pts is not None]


def matrix_of(orientation: Orientation, degrees_off: float = 0) -> tuple[int, ...]:
    """A display matrix, turned a little further if asked."""
    a, b, c, d = orientation.matrix
    cos, sin = np.cos(np.radians(degrees_off)), np.sin(np.radians(degrees_off))
    turned = np.array([[a, b], [c, d]]) @ np.array([[cos, sin], [-sin, cos]])
    (a, b), (c, d) = (turned * 65536).round().astype(int).tolist()
    return a, b, 0, c, d, 0, 0, 0, 1 << 30


def upright(frame: VideoFrame) -> Picture:
    """RGB of a frame, turned and mirrored as a player does."""
    return orientation_of(frame).upright(rgb_of(frame))


def rgb_of(frame: VideoFrame) -> Picture:
    """RGB of a frame as it is stored, converted by swscale."""
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def inner(labels_HW: NDArray[Any], margin: int = 3) -> NDArray[np.bool_]:
    """True where all pixels within `margin` have the same label: away from blurred edges."""
    same = np.ones(labels_HW.shape, np.bool_)
    for axis in (0, 1):
        for shift in range(-margin, margin + 1):
            same &= np.roll(labels_HW, shift, axis) == labels_HW
    same[:margin], same[-margin:], same[:, :margin], same[:, -margin:] = False, False, False, False
    return same
