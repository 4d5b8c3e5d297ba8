"""Frames of another size or shape are seen whole, in their own shape, between black bars."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from av.filter import Graph
from av.video.frame import VideoFrame

from streamseg.video.fitting import Fitter
from tests.streamseg.clips import Picture, rgb_of, to_yuv


def white(width: int, height: int) -> Picture:
    return np.full((height, width, 3), 255, np.uint8)


def with_aspect(frame: VideoFrame, aspect: Fraction) -> VideoFrame:
    """The frame, with pixels of that shape."""
    graph = Graph()
    source = graph.add_buffer(
        width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 25)
    )
    setsar = graph.add("setsar", f"{aspect.numerator}/{aspect.denominator}")
    graph.link_nodes(source, setsar, graph.add("buffersink")).configure()
    graph.push(frame)
    return graph.vpull()


@pytest.mark.parametrize(
    ("size", "aspect", "inside"),
    [
        ((60, 80), 1, (48, 64)),
        ((96, 64), 2, (96, 32)),
        ((32, 64), 3, (96, 64)),
        ((192, 128), 1, (96, 64)),
        ((96, 48), Fraction(1, 2), (64, 64)),
    ],
)
def test_the_whole_picture_is_inside(
    size: tuple[int, int], aspect: Fraction, inside: tuple[int, int]
) -> None:
    first = to_yuv(white(96, 64), "yuv420p", 5, 1)
    fitter = Fitter(first, Fraction(1))
    assert fitter.fitted(first, Fraction(1)) is first
    assert fitter.warnings == []
    other = with_aspect(to_yuv(white(*size), "yuv420p", 5, 1), Fraction(aspect))
    other.pts, other.time_base, other.duration = 77, Fraction(1, 1000), 40
    fitted = fitter.fitted(other, Fraction(aspect))
    assert (fitted.width, fitted.height, fitted.format.name) == (96, 64, "yuv420p")
    assert (fitted.pts, fitted.time_base, fitted.duration) == (77, Fraction(1, 1000), 40)
    bright = rgb_of(fitted).min(-1) > 200
    dark = rgb_of(fitted).max(-1) < 30
    assert (bright.any(0).sum(), bright.any(1).sum()) == inside
    assert (bright | dark).mean() > 0.9
    assert "changes size or shape once; 1 frames of" in fitter.warnings[0]


def test_every_change_counts() -> None:
    first, other = (to_yuv(white(*size), "yuv420p", 5, 1) for size in ((96, 64), (64, 64)))
    fitter = Fitter(first, Fraction(1))
    for frame in (first, other, other, first, other):
        fitter.fitted(frame, Fraction(1))
    assert "3 times; 3 frames of 64x64 were fitted into 96x64" in fitter.warnings[0]


def test_a_shape_counts_from_the_frame_that_has_it() -> None:
    """Decoders tell of a new shape some frames before they hand it out."""
    first = to_yuv(white(96, 64), "yuv420p", 5, 1)
    fitter = Fitter(first, Fraction(1))
    assert fitter.fitted(first, Fraction(2)) is first
    assert fitter.warnings == []
    fitter.fitted(with_aspect(first, Fraction(2)), Fraction(2))
    assert "once; 1 frames of 96x64 with pixels 2:1" in fitter.warnings[0]
