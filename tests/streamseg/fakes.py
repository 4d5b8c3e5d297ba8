"""A real little engine and source: they keep the protocols, without a model or a file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from streamseg.closing import ClosedAtExit
from streamseg.models.modelfile import ModelHeader
from streamseg.models.palette import Palette
from streamseg.runtime.engine import EngineSpec, check_frames
from streamseg.video.source import AnyPacket, Item, SourceInfo
from tests.streamseg.clips import HEIGHT, WIDTH, paint, scene, to_yuv

COLOURS = ((250, 120, 10), (10, 160, 250), (240, 240, 60))
"""What the toy classes are drawn in: none of the inks they are recognised by."""


def toy_header() -> ModelHeader:
    """The header of the toy model: three classes, small pictures."""
    return ModelHeader(
        name="toy",
        architecture="argmax over red, green and blue",
        classes=Palette(names=("red", "green", "blue"), colours=COLOURS),
        default_size=(WIDTH, HEIGHT),
        training_data="none",
        training_data_licence="CC0",
        accuracy={"miou": 1.0},
        checkpoint_sha256="0" * 64,
        streamseg_version="0",
    )


class FakeEngine(ClosedAtExit):
    """Labels by the strongest channel, and remembers what it was given.

    Args:
        batch: as in `EngineSpec`, with `workers`.
        before: called with the number of the call, before it answers; may raise or block.
    """

    def __init__(
        self, *, batch: int = 1, workers: int = 1, before: Callable[[int], None] | None = None
    ) -> None:
        self.spec = EngineSpec(
            backend="fake",
            model=toy_header(),
            path=Path("fake.onnx"),
            batch=batch,
            workers=workers,
            threads=1,
        )
        self.batches: list[tuple[int, ...]] = []
        self.closed = False
        self._before = before
        self._lock = threading.Lock()

    def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        check_frames(frames_NHWC, self.spec.model)
        with self._lock:
            self.batches.append(frames_NHWC.shape)
            call = len(self.batches)
        if self._before is not None:
            self._before(call)
        return np.asarray(frames_NHWC.argmax(axis=3), np.uint8)

    def close(self) -> None:
        self.closed = True


class FakeSource(ClosedAtExit):
    """Painted frames at 25 fps.

    Args:
        count: how many.
        before: called with the index of each frame before it is handed over; may raise or block.
    """

    def __init__(self, count: int, before: Callable[[int], None] | None = None) -> None:
        self.count = count
        self.brought = 0
        self.leftover: list[AnyPacket] = []
        self.warnings: list[str] = []
        self._before = before
        self.info = SourceInfo(
            name="fake source",
            width=WIDTH,
            height=HEIGHT,
            pixel_format="yuv420p",
            rate=Fraction(25),
            time_base=Fraction(1, 25),
            sample_aspect_ratio=Fraction(1),
            frames_from_header=count,
        )

    def __iter__(self) -> Iterator[Item]:
        for index in range(self.count):
            if self._before is not None:
                self._before(index)
            self.brought += 1
            yield Item(index, self.frame(index), captured=0.0)

    def frame(self, index: int) -> VideoFrame:
        frame = to_yuv(paint(scene(index)), "yuv420p", 5, 1)
        frame.pts, frame.time_base = index, self.info.time_base
        return frame

    def close(self) -> None: ...
