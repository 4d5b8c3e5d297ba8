"""Smooth borders: closer to the line that was labelled; nothing moved or lost away from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from streamseg.drawing.composite import Compositor
from streamseg.drawing.edges import edge_strokes, find_edges
from streamseg.drawing.options import EDGES, DrawOptions, Edges
from streamseg.drawing.orientation import ALL, AS_STORED, Orientation
from streamseg.drawing.picture import draw_on_picture
from streamseg.drawing.stretch import stretch
from streamseg.drawing.yuv import planes_of
from streamseg.models.palette import Palette
from tests.streamseg.clips import at_zero

PALETTE = Palette(("dark", "light", "third"), ((0, 0, 0), (255, 255, 255), (255, 0, 0)))
NOISE = np.random.default_rng(8)
SCALE = 8


def slanted(width: int, height: int, slope: float, offset: float = 0.0) -> NDArray[np.uint8]:
    """1 below a line through the middle, 0 above it."""
    y, x = np.mgrid[:height, :width]
    line = (x + 0.5 - width / 2) * slope + offset * height
    return np.asarray(y + 0.5 - height / 2 > line, np.uint8)


def drawn(
    labels_HW: NDArray[np.uint8],
    size: tuple[int, int],
    edges: Edges,
    orientation: Orientation = AS_STORED,
    pixel_format: str = "yuv444p",
    **options: Any,
) -> list[NDArray[Any]]:
    """Planes of a frame of noise with labels drawn."""
    frame = at_zero(VideoFrame(*size, pixel_format))
    frame.color_range = 2
    seed = np.random.default_rng(1)
    upright = orientation.shown_size(*size)
    for plane in planes_of(frame):
        shape = upright[::-1] if pixel_format == "yuv444p" else plane.shape
        noise = seed.integers(0, 256, shape).astype(np.uint8)
        plane[:] = orientation.stored(noise) if pixel_format == "yuv444p" else noise
    compositor = Compositor(
        PALETTE,
        source_size=size,
        pixel_format=pixel_format,
        draw=DrawOptions(edges=edges, **options),
        orientation=orientation,
    )
    stored = np.ascontiguousarray(orientation.stored(labels_HW))
    return [plane.copy() for plane in planes_of(compositor.compose(frame, stored))]


@pytest.mark.parametrize(
    ("slope", "most"), [(0.05, 0.9), (0.2, 0.6), (0.35, 0.5), (0.6, 0.5), (0.9, 0.7), (3.1, 0.7)]
)
def test_a_slanted_border_is_closer_to_the_line(slope: float, most: float) -> None:
    small = slanted(64, 36, slope, 0.004)
    fine = slanted(64 * SCALE, 36 * SCALE, slope, 0.004).astype(float) * 255
    size = (64 * SCALE, 36 * SCALE)
    error = {
        edges: float(np.abs(drawn(small, size, edges, mode="mask")[0] - fine).sum())
        for edges in EDGES
    }
    assert error["smooth"] < most * error["exact"]


@pytest.mark.parametrize("scale", [(3.75, 3.75), (7.5, 7.5), (2, 3), (1.3, 1.3)])
@pytest.mark.parametrize("classes", [None, ["light"]])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "nv12", "yuv444p"])
def test_away_from_borders_nothing_changes(
    pixel_format: str, classes: list[str] | None, scale: tuple[float, float]
) -> None:
    labels = np.zeros((32, 40), np.uint8)
    labels[8:20, 10:30] = 1
    labels[12:28, 24:36] = 2
    width, height = (int(n * s) // 2 * 2 for n, s in zip((40, 32), scale, strict=True))
    exact, smooth = (
        drawn(labels, (width, height), edges, pixel_format=pixel_format, classes=classes)
        for edges in EDGES[::-1]
    )
    edge = np.zeros(labels.shape, np.uint8)
    for axis in (0, 1):
        for step in (-1, 1):
            edge |= (np.roll(labels, step, axis) != labels).astype(np.uint8)
    for a, b in zip(exact, smooth, strict=True):
        if a.shape[1] < labels.shape[1]:
            continue  # a chroma sample that spans several labels is near a border sooner
        away = stretch(edge, a.shape[1], a.shape[0]) == 0
        # Both ways of rounding a blend are within a level; what is not drawn is exact.
        np.testing.assert_allclose(a[away], b[away].astype(int), atol=1 if classes else 0)
        away &= stretch(labels, a.shape[1], a.shape[0]) != 1
        np.testing.assert_array_equal(a[away], b[away])
    assert any((a != b).any() for a, b in zip(exact, smooth, strict=True))


def test_every_centre_keeps_its_class() -> None:
    labels = NOISE.integers(0, 3, (20, 30)).astype(np.uint8)
    size = (30 * 9, 20 * 9)
    shares = np.zeros((3, size[1], size[0]))
    shares[stretch(labels, *size), np.arange(size[1])[:, None], np.arange(size[0])] = 1
    for stroke in edge_strokes(find_edges(labels), size, every=True):
        shares[:, stroke.y, stroke.x] = 0
        for candidate, share in enumerate(stroke.shares):
            np.add.at(shares, (stroke.classes[candidate], stroke.y, stroke.x), share)
    centres = shares[:, 4::9, 4::9]
    np.testing.assert_array_equal(centres.argmax(axis=0), labels)


def test_shares_add_up_to_one_and_a_border_is_a_pixel_wide() -> None:
    labels = slanted(40, 30, 0.3)
    for stroke in edge_strokes(find_edges(labels), (320, 240), every=True):
        np.testing.assert_allclose(np.sum(stroke.shares, axis=0), 1, atol=1e-5)
        mixed = (stroke.shares[0] > 0.01) & (stroke.shares[0] < 0.99)
        columns = np.bincount(stroke.x[mixed], minlength=320)
        assert columns[20:300].max() <= 4
        assert columns[20:300].min() >= 1


def test_what_is_one_label_wide_stays() -> None:
    labels = np.zeros((20, 20), np.uint8)
    labels[3:17, 10] = 1
    luma = drawn(labels, (160, 160), "smooth", mode="mask")[0]
    widths = (luma[40:120] > 127).sum(axis=1)
    assert widths.min() >= 5, "of 8"


@pytest.mark.parametrize("orientation", ALL[1:])
def test_turned_frames_have_the_same_borders(orientation: Orientation) -> None:
    labels = np.zeros((24, 32), np.uint8)
    labels[5:15, 8:20] = 1
    labels[10:20, 15:28] = 2
    expected = drawn(labels, (256, 192), "smooth", alpha=0.7)
    turned = drawn(labels, orientation.shown_size(256, 192), "smooth", orientation, alpha=0.7)
    for plane, shown in zip(turned, expected, strict=True):
        np.testing.assert_allclose(plane, orientation.stored(shown), atol=1)


def test_pictures_are_drawn_with_the_same_borders() -> None:
    small = slanted(32, 32, 0.4)
    picture = np.zeros((256, 256, 3), np.uint8)
    options = DrawOptions(mode="mask")
    rgb = draw_on_picture(picture, small, PALETTE, options)
    luma = drawn(small, (256, 256), "smooth", mode="mask")[0]
    np.testing.assert_allclose(rgb[..., 1], luma, atol=1)


def test_labels_of_one_class_have_no_border() -> None:
    edges = find_edges(np.full((9, 16), 2, np.uint8))
    assert edge_strokes(edges, (64, 36)) == []
