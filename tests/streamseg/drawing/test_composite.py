"""Drawing: the right colour where a class is, and not one sample changed where it is not."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from streamseg.drawing.composite import Compositor
from streamseg.drawing.options import BACKGROUND_MODES, MODES, DrawOptions, Mode
from streamseg.drawing.orientation import ALL, AS_STORED, Orientation
from streamseg.drawing.stretch import stretch
from streamseg.drawing.yuv import LAYOUTS, ColourSpec, Plane, planes_of
from streamseg.errors import UsageError
from streamseg.models.palette import Palette
from tests.streamseg.clips import (
    BLUE,
    GREEN,
    HEIGHT,
    RED,
    WIDTH,
    at_zero,
    inner,
    rgb_of,
    scene,
    to_yuv,
)
from tests.streamseg.fakes import toy_header

PALETTE = toy_header().classes
FORMATS = ["yuv420p", "yuv422p", "yuv444p", "nv12", "nv16", "gray", "yuvj420p", "yuv420p10le"]
NOISE = np.random.default_rng(3)


def noisy(
    pixel_format: str, width: int = WIDTH, height: int = HEIGHT, space: int = 5
) -> VideoFrame:
    """A frame of random samples, every one of them different from its neighbours'."""
    frame = at_zero(VideoFrame(width, height, pixel_format))
    frame.colorspace = space
    for plane in planes_of(frame):
        top = 2 ** LAYOUTS[pixel_format].bits
        plane[:] = NOISE.integers(0, top, plane.shape)
    return frame


def copies(frame: VideoFrame) -> list[Plane]:
    return [plane.copy() for plane in planes_of(frame)]


def compositor(
    frame: VideoFrame, orientation: Orientation = AS_STORED, threads: int = 1, **options: Any
) -> Compositor:
    return Compositor(
        PALETTE,
        source_size=(frame.width, frame.height),
        pixel_format=frame.format.name,
        draw=DrawOptions(**options),
        orientation=orientation,
        threads=threads,
    )


def chroma_covered(covered_HW: NDArray[np.bool_], plane: Plane) -> NDArray[np.bool_]:
    """Chroma samples all of whose pixels are covered."""
    y, x = covered_HW.shape[0] // plane.shape[0], covered_HW.shape[1] // plane.shape[1]
    blocks = covered_HW.reshape(plane.shape[0], y, plane.shape[1], x)
    return np.asarray(blocks.all(axis=(1, 3)))


@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_covered_samples_are_blended_and_the_others_untouched(
    pixel_format: str, alpha: float
) -> None:
    frame, labels = noisy(pixel_format), scene(2)
    before = copies(frame)
    out = compositor(frame, alpha=alpha, classes=["green"]).compose(frame, labels)
    colour = ColourSpec.of(frame).from_rgb(np.array(PALETTE.colours[GREEN], np.uint8))
    for index, (old, new) in enumerate(zip(before, planes_of(out), strict=True)):
        covered = chroma_covered(labels == GREEN, new)
        np.testing.assert_array_equal(new[~covered], old[~covered])
        target = np.stack(colour[1:]) if new.ndim == 3 else colour[index]
        blend = old[covered] * (1 - alpha) + np.asarray(target, float) * alpha
        np.testing.assert_allclose(new[covered], blend, atol=1.5)
    for old, now in zip(before, planes_of(frame), strict=True):
        np.testing.assert_array_equal(old, now, err_msg="the source frame was written to")


@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize("alpha", [0.0, 0.3, 0.5, 1.0])
def test_where_every_class_is_drawn_the_blend_is_as_close_as_samples_are(
    pixel_format: str, alpha: float
) -> None:
    frame = noisy(pixel_format)
    labels = np.full((HEIGHT, WIDTH), GREEN, np.uint8)
    out = compositor(frame, alpha=alpha).compose(frame, labels)
    colour = ColourSpec.of(frame).from_rgb(np.array(PALETTE.colours[GREEN], np.uint8))
    for index, (old, new) in enumerate(zip(planes_of(frame), planes_of(out), strict=True)):
        target = np.stack(colour[1:]) if new.ndim == 3 else colour[index]
        blend = old * (1 - alpha) + np.asarray(target, float) * alpha
        np.testing.assert_allclose(new, blend, atol=0.51)


def of_mode(mode: Mode) -> dict[str, Any]:
    """Options that a mode needs."""
    background = "#204060" if mode == "replace" else None
    return {"mode": mode, "background": background}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("classes", [None, ["green", "blue"]])
def test_threads_and_strips_change_nothing(classes: list[str] | None, mode: Mode) -> None:
    frame, labels = noisy("yuv420p", 2050, 1030), scene(4, 510, 290)
    options: dict[str, Any] = {**of_mode(mode), "classes": classes, "alpha": 0.4}
    if mode in BACKGROUND_MODES:
        options["classes"] = classes or ["red"]
    alone, several = compositor(frame, **options), compositor(frame, threads=3, **options)
    expected, drawn = alone.compose(frame, labels), several.compose(frame, labels)
    several.close()
    for a, b in zip(planes_of(expected), planes_of(drawn), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_the_source_frame_is_never_modified(pixel_format: str, mode: Mode) -> None:
    frame = noisy(pixel_format)
    before = copies(frame)
    options = {**of_mode(mode), "legend": mode not in BACKGROUND_MODES, "contours": True}
    compositor(frame, classes=["red"], **options).compose(frame, scene(0))
    for old, now in zip(before, planes_of(frame), strict=True):
        np.testing.assert_array_equal(old, now)


@pytest.mark.parametrize("colour_range", [1, 2])
@pytest.mark.parametrize("space", [1, 5])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "nv12", "yuv420p10le"])
def test_a_mask_shows_the_palette_s_colours(
    pixel_format: str, space: int, colour_range: int
) -> None:
    frame = to_yuv(np.zeros((HEIGHT, WIDTH, 3), np.uint8), pixel_format, space, colour_range)
    frame.colorspace, frame.color_range = space, colour_range
    out = compositor(frame, mode="mask").compose(frame, scene(3))
    # Independent of our formulas: swscale takes the drawn frame back to RGB.
    rgb = out.reformat(
        format="rgb24", src_colorspace=space, src_color_range=colour_range, dst_color_range=2
    ).to_ndarray()
    for label in (RED, GREEN, BLUE):
        y, x = np.argwhere(inner(scene(3), 4) & (scene(3) == label))[0]
        np.testing.assert_allclose(rgb[y, x], PALETTE.colours[label], atol=4)


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_classes_that_are_not_drawn_are_black_in_a_mask(pixel_format: str) -> None:
    frame, labels = noisy(pixel_format), scene(2)
    out = compositor(frame, mode="mask", classes=["red"]).compose(frame, labels)
    black = ColourSpec.of(frame).from_rgb(np.zeros(3, np.uint8))
    assert (planes_of(out)[0][labels != RED] == black[0]).all()


@pytest.mark.parametrize("size", [(96, 64), (95, 63), (97, 65)])
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_side_by_side_has_the_source_at_the_left_and_the_overlay_at_the_right(
    pixel_format: str, size: tuple[int, int]
) -> None:
    frame, labels = noisy(pixel_format, *size), scene(5)
    both = compositor(frame, mode="side-by-side").compose(frame, labels)
    overlay = compositor(frame).compose(frame, labels)
    for source, wide, alone in zip(*map(planes_of, (frame, both, overlay)), strict=True):
        height, width = alone.shape[:2]
        np.testing.assert_array_equal(wide[:, :width], source[:height, :width])
        np.testing.assert_array_equal(wide[:, width:], alone)


@pytest.mark.parametrize("size", [(95, 63), (97, 64), (31, 33)])
@pytest.mark.parametrize("pixel_format", FORMATS)
def test_an_odd_row_or_column_goes_where_chroma_cannot_hold_it(
    pixel_format: str, size: tuple[int, int]
) -> None:
    frame, layout = noisy(pixel_format, *size), LAYOUTS[pixel_format]
    drawing = compositor(frame, alpha=0.0)
    out = drawing.compose(frame, scene(1))
    assert (out.width, out.height) == drawing.size
    assert drawing.size == (
        size[0] - size[0] % layout.chroma_x,
        size[1] - size[1] % layout.chroma_y,
    )
    for source, new in zip(planes_of(frame), planes_of(out), strict=True):
        np.testing.assert_array_equal(new, source[: new.shape[0], : new.shape[1]])


def test_labels_are_stretched_over_the_frame() -> None:
    frame = noisy("yuv444p")
    small = np.array([[RED, GREEN], [BLUE, RED]], np.uint8)
    large = np.kron(small, np.ones((HEIGHT // 2, WIDTH // 2), np.uint8))
    drawing = compositor(frame, mode="mask", edges="exact")
    for a, b in zip(
        planes_of(drawing.compose(frame, small)),
        planes_of(drawing.compose(frame, large)),
        strict=True,
    ):
        np.testing.assert_array_equal(a, b)


def test_colours_follow_a_change_of_tags_between_frames() -> None:
    first, second = noisy("yuv444p", space=5), noisy("yuv444p", space=1)
    drawing = compositor(first, mode="mask")
    labels = np.full((HEIGHT, WIDTH), GREEN, np.uint8)
    ink = np.array(PALETTE.colours[GREEN], np.uint8)
    for frame in (first, second, first):
        planes = planes_of(drawing.compose(frame, labels))
        expected = [int(v) for v in ColourSpec.of(frame).from_rgb(ink)]
        assert [int(plane[0, 0]) for plane in planes] == expected


def test_frames_of_another_size_and_format_are_brought_to_the_first_one_s() -> None:
    first = noisy("yuv420p")
    drawing = compositor(first)
    for other in (noisy("yuv444p", 128, 96), noisy("nv12", 31, 17)):
        out = drawing.compose(other, scene(0))
        assert (out.width, out.height, out.format.name) == (WIDTH, HEIGHT, "yuv420p")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("orientation", ALL[1:])
def test_whatever_a_player_turns_looks_as_if_nothing_was_turned(
    orientation: Orientation, mode: Mode
) -> None:
    upright, labels = noisy("yuv444p", 200, 120), scene(1, 200, 120)
    turned = noisy("yuv444p", *orientation.shown_size(200, 120))
    for plane, shown in zip(planes_of(turned), planes_of(upright), strict=True):
        plane[:] = orientation.stored(shown)
    legend = mode not in BACKGROUND_MODES
    options: dict[str, Any] = {**of_mode(mode), "legend": legend, "classes": ["red", "blue"]}
    options |= {"contours": True, "class_alpha": {"red": 0.9}}
    expected = compositor(upright, **options).compose(upright, labels)
    drawing = compositor(turned, orientation, **options)
    out = drawing.compose(turned, np.ascontiguousarray(orientation.stored(labels)))
    for plane, shown in zip(planes_of(out), planes_of(expected), strict=True):
        np.testing.assert_array_equal(plane, orientation.stored(shown))


@pytest.mark.parametrize("size", [(2, 2), (16, 16), (32, 200), (4096, 16), (8, 480)])
def test_a_legend_is_never_larger_than_the_frame(size: tuple[int, int]) -> None:
    frame = noisy("yuv420p", *size)
    out = compositor(frame, legend=True).compose(frame, scene(0))
    assert (out.width, out.height) == size


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "hologram"}, "unknown mode 'hologram'; known: overlay, mask, side-by-side"),
        ({"edges": "fuzzy"}, "unknown edges 'fuzzy'; known: smooth, exact"),
        ({"alpha": 1.5}, "alpha must be between 0 and 1, got 1.5"),
        ({"alpha": float("nan")}, "alpha must be between 0 and 1, got nan"),
        ({"classes": "red"}, r"classes is 'red'; give a list of names, as \['red'\]"),
        ({"classes": ["dog"]}, "unknown class 'dog'; known: red, green, blue"),
        ({"classes": []}, "no class to draw; known: red, green, blue"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compositor(noisy("yuv420p"), **options)


def test_rgb_frames_are_drawn_in_yuv() -> None:
    rgb = np.full((HEIGHT, WIDTH, 3), (90, 140, 60), np.uint8)
    frame = at_zero(VideoFrame.from_ndarray(rgb, format="rgb24"))
    drawing = Compositor(
        PALETTE, source_size=(WIDTH, HEIGHT), draw=DrawOptions(classes=["green"], alpha=1.0)
    )
    out = drawing.compose(frame, scene(4))
    back = rgb_of(out)
    np.testing.assert_allclose(back[2, 2], (90, 140, 60), atol=4)
    y, x = np.argwhere(inner(scene(4), 4) & (scene(4) == GREEN))[0]
    np.testing.assert_allclose(back[y, x], PALETTE.colours[GREEN], atol=4)


def test_a_palette_of_255_classes_is_drawn_right() -> None:
    names = tuple(f"c{i}" for i in range(255))
    palette = Palette(names, tuple((i, 255 - i, i // 2) for i in range(255)))
    frame = noisy("yuv444p", 256, 2)
    labels = np.tile(np.arange(256, dtype=np.uint8), (2, 1))
    drawing = Compositor(
        palette,
        source_size=(256, 2),
        pixel_format="yuv444p",
        draw=DrawOptions(mode="mask"),
    )
    luma = planes_of(drawing.compose(frame, labels))[0]
    expected = ColourSpec.of(frame).from_rgb(np.array(palette.colours, np.uint8))[0]
    np.testing.assert_array_equal(luma[0, :255], expected)


def test_labels_are_drawn_where_they_are() -> None:
    for edge in (5, 11, 30):
        labels = np.zeros((32, 32), np.uint8)
        labels[:, edge:] = 1
        for width in (47, 61, 100):
            first = np.flatnonzero(stretch(labels, width, 32)[0])[0]
            assert abs(first - edge * width / 32) <= 0.5, (edge, width)
