"""A live run without an engine: a screen that is shown the drawn street of the tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction

import numpy as np
from av.video.frame import VideoFrame

from streamseg.page.screen import Screen
from streamseg.video.source import Item, SourceInfo
from tests.streamseg.clips import scene, to_yuv
from tests.streamseg.fakes import toy_header

WIDTH, HEIGHT = 320, 192


class Played:
    """A source that says what `Screen` asks of one."""

    state = "live"
    events = ()

    def __init__(self, *, pixel_aspect: Fraction = Fraction(1)) -> None:
        self.info = SourceInfo(
            name="played.mp4",
            width=WIDTH,
            height=HEIGHT,
            pixel_format="yuv420p",
            rate=Fraction(25),
            time_base=Fraction(1, 1000),
            sample_aspect_ratio=pixel_aspect,
        )


def frame(index: int) -> VideoFrame:
    """A frame of the street."""
    labels = scene(index, WIDTH, HEIGHT)
    drawn = to_yuv(np.stack([labels * 80] * 3, axis=-1).astype(np.uint8), "yuv420p", 1, 1)
    drawn.pts, drawn.time_base = 40 * index, Fraction(1, 1000)
    return drawn


def item(index: int) -> Item:
    """The same with its labels, captured now."""
    taken = Item(index, frame(index))
    taken.labels_HW = scene(index, WIDTH // 2, HEIGHT // 2).astype(np.uint8) % 3
    taken.captured = time.perf_counter()
    return taken


def opened(**source: Fraction) -> Screen:
    """A screen whose run has begun."""
    screen = Screen()
    screen.open(Played(**source), (WIDTH // 2, HEIGHT // 2), toy_header())  # type: ignore[arg-type]
    return screen


@contextmanager
def playing(screen: Screen) -> Iterator[None]:
    """Show it frames, 25 a second, inside the block."""
    over = threading.Event()

    def play() -> None:
        for index in range(100_000):
            if over.wait(0.04):
                return
            screen.take(item(index % 100))

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
