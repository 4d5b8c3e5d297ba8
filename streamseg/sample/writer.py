"""Write the sample street as a video file: H.264 and AAC, complete or not at all.

Knows nothing about what is drawn.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream
from numpy.typing import NDArray

from streamseg.sample.audio import SAMPLE_RATE, scene_audio
from streamseg.sample.scene import StreetScene
from streamseg.sample.spec import DEFAULT_SPEC, SampleSpec
from streamseg.video.output import OutputPath, cannot_write

_X264 = {"crf": "18", "preset": "veryfast"}
_AAC_BITS = 96_000
_AAC_FRAME = 1024
"""Samples in an AAC packet; the encoder takes no other number."""

Progress = Callable[[int, int], None]
"""Called with frames done and frames in all."""


def write_sample(
    path: str | os.PathLike[str],
    *,
    spec: SampleSpec = DEFAULT_SPEC,
    overwrite: bool = False,
    progress: Progress | None = None,
) -> None:
    """Draw the street and write it to `path`, under a temporary name until it is complete.

    Raises:
        UsageError, OutputError: as `streamseg.video.output.OutputPath.check`; or the disk is full.
    """
    place = OutputPath.check(Path(path), overwrite=overwrite)
    try:
        with av.open(f"file:{place.partial}", "w", format=place.muxer) as output:
            _encode(output, spec, progress)
        place.publish()
    except (av.FFmpegError, OSError) as error:
        raise cannot_write(place, error) from error
    finally:
        # after the rename there is none; after any failure, an interrupt too, half a file
        place.discard()


def _video_stream(output: OutputContainer, spec: SampleSpec) -> VideoStream:
    stream = output.add_stream("libx264", rate=spec.rate, options=_X264)
    stream.width, stream.height, stream.pix_fmt = spec.width, spec.height, "yuv420p"
    context = stream.codec_context
    context.time_base = 1 / spec.rate
    # an untagged file is BT.601 to one player and BT.709 to the next
    context.colorspace = Colorspace.ITU709
    context.color_range = ColorRange.MPEG
    context.color_primaries = ColorPrimaries.BT709
    context.color_trc = ColorTrc.BT709
    return stream


def _video_frame(rgb: NDArray[np.uint8], index: int, spec: SampleSpec) -> av.VideoFrame:
    """RGB to limited-range BT.709, as the stream's tags say."""
    frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(
        format="yuv420p",
        src_color_range=ColorRange.JPEG,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
    )
    frame.pts, frame.time_base = index, 1 / spec.rate
    return frame


def _encode(output: OutputContainer, spec: SampleSpec, progress: Progress | None) -> None:
    video = _video_stream(output, spec)
    audio = output.add_stream("aac", rate=SAMPLE_RATE, layout="stereo")
    audio.bit_rate = _AAC_BITS
    scene, sound, heard = StreetScene(spec), scene_audio(spec), 0
    for index in range(spec.frames):
        rgb, _ = scene.frame(index)
        output.mux(video.encode(_video_frame(rgb, index, spec)))
        until = round((index + 1) / spec.rate * SAMPLE_RATE)
        heard = _encode_sound(output, audio, sound, heard, until)
        if progress is not None:
            progress(index + 1, spec.frames)
    _encode_sound(output, audio, sound, heard, sound.shape[1] + _AAC_FRAME)
    output.mux(video.encode(None))
    output.mux(audio.encode(None))


def _encode_sound(
    output: OutputContainer,
    stream: AudioStream,
    sound: NDArray[np.float32],
    start: int,
    until: int,
) -> int:
    """Encode whole packets of `sound` up to sample `until`; return where the next one starts."""
    while start + _AAC_FRAME <= until and start < sound.shape[1]:
        piece = np.ascontiguousarray(sound[:, start : start + _AAC_FRAME])
        frame = av.AudioFrame.from_ndarray(piece, format="fltp", layout="stereo")
        frame.sample_rate, frame.pts = SAMPLE_RATE, start
        frame.time_base = Fraction(1, SAMPLE_RATE)
        output.mux(stream.encode(frame))
        start += piece.shape[1]
    return start
