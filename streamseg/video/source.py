"""What a source of frames is: the item that travels through the pipeline, and the protocol.

Knows nothing about engines. `file.py` and `live.py` implement it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from types import TracebackType
from typing import Literal, Protocol, Self, TypeAlias

import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from streamseg.closing import ClosedAtExit
from streamseg.drawing.orientation import Orientation, nearest_to_matrix
from streamseg.drawing.transfer import TRANSFERS
from streamseg.video.hdr import NOT_GRADED, Grading, chroma_site, grading_of
from streamseg.video.orientation import DisplayMatrix, display_matrix
from streamseg.video.tracks import Tracks

AnyPacket: TypeAlias = "Packet[Stream]"
FieldOrder: TypeAlias = Literal["tff", "bff"]


@dataclass(slots=True)
class Item:
    """One frame on its way through the pipeline; stages fill it in."""

    index: int
    """Position in the source, from 0; gaps are frames that were dropped."""
    frame: VideoFrame
    """As decoded, never written to: the decoder may still need it as a reference."""
    packets: list[AnyPacket] = field(default_factory=list)
    """Packets of other streams that came before this frame; to be muxed before it."""
    captured: float | None = None
    """`time.perf_counter()` when a live frame was captured, as far as known; None from a file."""
    anew: bool = False
    """True where nothing before this frame may count: a segment begins, which another run may have
    made. See `streamseg.run.resuming`."""
    signal: bool = True
    """False for a picture that is shown because a camera sends none: there is nothing in it."""
    small_HWC: NDArray[np.uint8] | None = None
    """RGB at the network's size."""
    luma_HW: NDArray[np.float32] | None = None
    """Its blurred luma, where that outlives it: see `streamseg.labelmaps.steady`."""
    labels_HW: NDArray[np.uint8] | None = None
    """Class of every pixel, at the network's size."""
    drawn: VideoFrame | None = None
    """The frame with its segmentation, ready to encode."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """What a source says of itself before the first frame."""

    name: str
    """For messages: path, device or address."""
    width: int
    height: int
    pixel_format: str
    rate: Fraction
    """Average frames per second, exact; an estimate for live sources."""
    time_base: Fraction
    """Unit of the frames' `pts`, seconds."""
    grid_rate: Fraction | None = None
    """The rate of a grid that the times of most frames lie on; None: `rate`."""
    sample_aspect_ratio: Fraction
    """Width of a pixel over its height."""
    duration_seconds_from_header: float | None = None
    frames_from_header: int | None = None
    start: Fraction = Fraction(0)
    """When the first of all streams begins, seconds; 0 where a late start is meant (edit lists)."""
    first_shown: Fraction = Fraction(0)
    """When the file's first frame is shown, seconds: times that people give count from it."""
    clock_is_arbitrary: bool = False
    """The kind of file begins at any time of a clock that runs on: transport streams, DVDs, HLS."""
    field_order: FieldOrder | None = None
    """Of an interlaced picture: which field comes first; None: frames are whole."""
    display_matrix: DisplayMatrix | None = None
    """How a player turns and mirrors the picture, to be copied; None: as it is stored."""
    color_range: int = 0
    colorspace: int = 2
    color_primaries: int = 2
    color_trc: int = 2
    chroma_site: str | None = None
    """Where chroma samples lie, as FFmpeg calls it; None if that is not known."""
    grading: Grading = NOT_GRADED
    """How a picture of high dynamic range was made."""
    tracks: Tracks | None = None
    """What is to be carried along; None if nothing is."""

    @property
    def orientation(self) -> Orientation:
        """How a player turns and mirrors the picture, to the nearest quarter turn."""
        return nearest_to_matrix(self.display_matrix)

    @property
    def is_hdr(self) -> bool:
        """Whether the picture is of high dynamic range: PQ or HLG."""
        return self.color_trc in TRANSFERS

    @property
    def frames_expected(self) -> int | None:
        """How many frames the header promises, or its duration does; None if it says nothing."""
        if self.frames_from_header is not None:
            return self.frames_from_header
        if self.duration_seconds_from_header is None:
            return None
        return round(self.duration_seconds_from_header * self.rate)

    @property
    def display_aspect(self) -> float:
        """Width over height as a player shows it, before it is turned."""
        return self.width * float(self.sample_aspect_ratio) / self.height


_NO_RATE = Fraction(25)
"""For raw streams that carry neither timestamps nor a rate; FFmpeg assumes the same."""


_IMPLAUSIBLE_RATE = 300
"""Frames per second from which on a rate is believed only if the first frame lasts so short."""


def plausible_rate(stream: VideoStream, frame: VideoFrame) -> Fraction:
    """Average frames per second, exact; FFmpeg's guess or 25 where a file does not say.

    Some files give the unit of their clock as a rate: 60,000 frames a second in raw DV, 1,000 in
    screen recordings.

    Args:
        stream: what the file says.
        frame: the first, with how long it lasts.
    """
    rate = stream.average_rate or stream.guessed_rate or _NO_RATE
    lasts = (frame.duration or 0) * (frame.time_base or Fraction(0))
    if rate <= _IMPLAUSIBLE_RATE or Fraction(1, 2) < lasts * rate < 2:
        return rate
    if lasts and 1 / lasts <= _IMPLAUSIBLE_RATE:
        return 1 / lasts
    guess = stream.guessed_rate
    return guess if guess and guess <= _IMPLAUSIBLE_RATE else _NO_RATE


# AVFieldOrder (libavcodec/defs.h): the field that is shown first.
_TOP_FIRST, _BOTTOM_FIRST = (2, 5), (3, 4)


def _field_order(frame: VideoFrame, stream: VideoStream) -> FieldOrder | None:
    declared = int(getattr(stream.codec_context, "field_order", 0) or 0)
    if declared in _BOTTOM_FIRST:
        return "bff"
    if declared in _TOP_FIRST:
        return "tff"
    if not frame.interlaced_frame:
        return None
    return "bff" if stream.codec_context.name == "dvvideo" else "tff"


def _grid_rate(stream: VideoStream) -> Fraction | None:
    guess = stream.guessed_rate
    return guess if guess and guess <= _IMPLAUSIBLE_RATE else None


def describe(
    name: str,
    frame: VideoFrame,
    stream: VideoStream,
    *,
    time_base: Fraction,
    tracks: Tracks | None = None,
    duration_seconds: float | None = None,
    frames: int | None = None,
    start: Fraction = Fraction(0),
    first_shown: Fraction = Fraction(0),
    clock_is_arbitrary: bool = False,
) -> SourceInfo:
    """What a stream and its first frame say; the frame knows what a header may not."""
    return SourceInfo(
        name=name,
        width=frame.width,
        height=frame.height,
        pixel_format=frame.format.name,
        rate=plausible_rate(stream, frame),
        grid_rate=_grid_rate(stream),
        time_base=time_base,
        sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        duration_seconds_from_header=duration_seconds,
        frames_from_header=frames,
        start=start,
        first_shown=first_shown,
        clock_is_arbitrary=clock_is_arbitrary,
        field_order=_field_order(frame, stream),
        display_matrix=display_matrix(frame),
        color_range=int(frame.color_range),
        colorspace=int(frame.colorspace),
        color_primaries=int(frame.color_primaries),
        color_trc=int(frame.color_trc),
        chroma_site=chroma_site(stream),
        grading=grading_of(frame),
        tracks=tracks,
    )


class ContainerReader(ClosedAtExit):
    """Something that reads one container, perhaps in another thread than the one that closes it."""

    _container: InputContainer

    def __init__(self) -> None:
        self._reading = threading.Lock()
        """Held while frames are being read."""

    def close(self) -> None:
        """Close it, unless a thread still waits inside it: a pipe, a network disk, a camera.

        That thread ends with the process; closing under it would crash FFmpeg.
        """
        if self._reading.acquire(timeout=0.5):
            try:
                self._container.close()
            finally:
                self._reading.release()


def interruptible(work: Callable[[], None]) -> None:
    """Do `work` in a thread: Ctrl-C must not wait for a silent sender, pipe or disk."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            work()
        except BaseException as error:  # raised below, in the caller's thread
            errors.append(error)

    thread = threading.Thread(target=run, name="streamseg-open", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    if errors:
        raise errors[0]


class Source(Protocol):
    """Frames from somewhere, in presentation order; iterated once, from one thread."""

    @property
    def info(self) -> SourceInfo:
        """Known before the first frame."""
        ...

    @property
    def leftover(self) -> list[AnyPacket]:
        """After the last frame: packets of other streams that no frame took along."""
        ...

    @property
    def warnings(self) -> list[str]:
        """After the last frame: what was lost, in sentences."""
        ...

    def __iter__(self) -> Iterator[Item]: ...

    def close(self) -> None:
        """Close the file or device; calling twice is fine."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...
