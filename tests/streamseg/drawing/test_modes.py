"""Modes that keep some classes and change the rest, wipes, contours, and shares of classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from streamseg.drawing.background import blurred, covering
from streamseg.drawing.composite import Compositor
from streamseg.drawing.matte import class_map, matte
from streamseg.drawing.options import DrawOptions
from streamseg.drawing.picture import draw_on_picture
from streamseg.drawing.yuv import LAYOUTS, ColourSpec, Plane, planes_of
from streamseg.errors import UsageError
from streamseg.models.palette import Palette
from tests.streamseg.clips import at_zero

PALETTE = Palette(("red", "green", "blue"), ((250, 30, 10), (10, 220, 50), (40, 60, 240)))
RED, GREEN, BLUE = range(3)
SIZE = (192, 128)
FORMATS = ["yuv420p", "yuv422p", "yuv444p", "nv12", "gray", "yuv420p10le"]
NOISE = np.random.default_rng(11)


def noisy(pixel_format: str = "yuv420p", size: tuple[int, int] = SIZE) -> VideoFrame:
    frame = at_zero(VideoFrame(*size, pixel_format))
    for plane in planes_of(frame):
        plane[:] = NOISE.integers(16, 200, plane.shape) << (LAYOUTS[pixel_format].bits - 8)
    return frame


def disc(width: int = 48, height: int = 32) -> NDArray[np.uint8]:
    """A green disc on blue, red above."""
    labels = np.full((height, width), BLUE, np.uint8)
    labels[:4] = RED
    cv2.circle(labels, (width // 2, height // 2), height // 4, GREEN, -1)
    return labels


def compose(
    frame: VideoFrame,
    labels: NDArray[np.uint8],
    pixel_format: str | None = None,
    **options: Any,
) -> list[Plane]:
    compositor = Compositor(
        PALETTE,
        source_size=(frame.width, frame.height),
        pixel_format=pixel_format or frame.format.name,
        draw=DrawOptions(**options),
    )
    return planes_of(compositor.compose(frame, labels))


def sizes_of(planes: list[Plane]) -> list[tuple[int, int]]:
    return [(plane.shape[1], plane.shape[0]) for plane in planes]


@pytest.mark.parametrize("pixel_format", FORMATS)
@pytest.mark.parametrize("invert", [False, True])
@pytest.mark.parametrize("mode", ["cutout", "replace", "blur"])
def test_kept_samples_come_back_as_they_are_and_the_rest_is_behind_it(
    mode: str, invert: bool, pixel_format: str
) -> None:
    frame = noisy(pixel_format)
    background = None if mode == "blur" else "#c08040"
    drawn = compose(
        frame, disc(), mode=mode, classes=["green"], background=background, invert=invert
    )
    colour = ColourSpec.of(frame).from_rgb(np.array((0xC0, 0x80, 0x40), np.uint8))
    for index, (old, new) in enumerate(zip(planes_of(frame), drawn, strict=True)):
        kept = matte((disc() == GREEN).astype(np.uint8), (new.shape[1], new.shape[0]))
        kept = 255 - kept if invert else kept
        np.testing.assert_array_equal(new[kept == 255], old[kept == 255])
        if mode == "blur":
            rest = blurred(old, kept)[kept == 0]
            assert new[kept == 0].std() < old[kept == 0].std() / 3
        else:
            rest = np.stack(colour[1:]) if new.ndim == 3 else colour[index]
        np.testing.assert_allclose(new[kept == 0], np.broadcast_to(rest, new[kept == 0].shape))
        rim = (kept > 0) & (kept < 255)
        assert rim.any()


def test_what_is_kept_does_not_bleed_into_what_is_blurred() -> None:
    plane = np.full((200, 300), 40, np.uint8)
    kept = np.zeros((200, 300), np.uint8)
    plane[60:140, 100:200], kept[60:140, 100:200] = 250, 255
    around = blurred(plane, kept)[kept == 0]
    assert around.max() <= 60, "a halo"
    plain = blurred(plane, np.zeros_like(kept))
    assert plain[kept == 0].max() > 100


@pytest.mark.parametrize("pixel_format", ["yuva420p", "yuva444p10le", "yuva422p12le"])
def test_a_cut_out_is_transparent_where_the_format_can_be(pixel_format: str) -> None:
    opaque = pixel_format.replace("yuva", "yuv")
    frame = noisy(opaque)
    drawn = compose(frame, disc(), pixel_format, mode="cutout", classes=["green"])
    kept = matte((disc() == GREEN).astype(np.uint8), SIZE)
    top = 2 ** LAYOUTS[pixel_format].bits - 1
    alpha = drawn.pop()
    np.testing.assert_allclose(alpha, kept / 255 * top, atol=0.51)
    luma = planes_of(frame)[0]
    np.testing.assert_array_equal(drawn[0][kept > 0], luma[kept > 0])
    away = cv2.dilate(kept, np.ones((7, 7), np.uint8)) == 0
    black = ColourSpec.of(frame).from_rgb(np.zeros(3, np.uint8))[0]
    assert (drawn[0][away] == black).all(), "what was cut away can be brought back"


def test_a_source_s_transparency_is_kept() -> None:
    frame = noisy("yuva420p")
    given = planes_of(frame)[3].copy()
    for options in ({}, {"mode": "mask"}, {"mode": "wipe"}, {"alpha": 0.3, "classes": ["red"]}):
        np.testing.assert_array_equal(compose(frame, disc(), **options)[3], given)
    wide = compose(frame, disc(), mode="side-by-side")[3]
    np.testing.assert_array_equal(wide, np.hstack([given, given]))
    cut = compose(frame, disc(), mode="cutout", classes=["green"])[3]
    seen = matte((disc() == GREEN).astype(np.uint8), SIZE)
    np.testing.assert_array_equal(cut, np.minimum(given, seen))


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_a_wipe_shows_the_source_at_the_left_and_the_overlay_at_the_right(
    pixel_format: str,
) -> None:
    frame = noisy(pixel_format)
    wiped, overlay = compose(frame, disc(), mode="wipe"), compose(frame, disc())
    for old, new, drawn in zip(planes_of(frame), wiped, overlay, strict=True):
        middle, line = old.shape[1] // 2, 4
        np.testing.assert_array_equal(new[:, : middle - line], old[:, : middle - line])
        np.testing.assert_array_equal(new[:, middle + line :], drawn[:, middle + line :])
    white = ColourSpec.of(frame).from_rgb(np.full(3, 255, np.uint8))[0]
    assert (wiped[0] == white).all(axis=0).any(), "there is a line"


def test_a_wipe_goes_to_the_right_and_back() -> None:
    draw = DrawOptions(mode="wipe", wipe_seconds=4.0, alpha=1.0)
    compositor = Compositor(PALETTE, source_size=SIZE, draw=draw)
    frame, places = noisy(), []
    for second in range(9):
        frame.pts = 10_000 + second * frame.time_base.denominator  # type: ignore[union-attr]
        luma = planes_of(compositor.compose(frame, disc()))[0]
        same = (luma[-8:] == planes_of(frame)[0][-8:]).all(axis=0)
        places.append(int(np.argmin(same)) / SIZE[0])
    expected = [0, 0.5, 1, 0.5, 0, 0.5, 1, 0.5, 0]
    np.testing.assert_allclose(places, expected, atol=0.03)


def test_contours_are_lines_in_the_classes_colours_along_their_borders() -> None:
    frame, size = noisy("yuv444p", (960, 960)), (960, 960)
    drawn = compose(frame, disc(60, 60), alpha=0.0, contours=True, classes=["green", "red"])
    changed = np.any([a != b for a, b in zip(planes_of(frame), drawn, strict=True)], axis=0)
    seen = class_map(disc(60, 60), size)
    assert not changed[seen == BLUE].any(), "a class that is not drawn has no line"
    green = matte((seen == GREEN).astype(np.uint8), size)
    inside = cv2.erode(green, np.ones((9, 9), np.uint8)) == 255
    assert not changed[inside].any(), "there is no border in the middle"
    rim = (green == 255) & (cv2.erode(green, np.ones((3, 3), np.uint8)) == 0)
    ink = ColourSpec.of(frame).from_rgb(np.array(PALETTE.colours[GREEN], np.uint8))
    for plane, value in zip(drawn, ink, strict=True):
        np.testing.assert_allclose(plane[rim].astype(float), float(value), atol=1)


def test_each_class_may_have_its_own_share() -> None:
    frame = noisy("yuv444p")
    labels = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    labels[:, 64:], labels[:, 128:] = GREEN, BLUE
    drawn = compose(frame, labels, alpha=0.25, class_alpha={"green": 0.75, "blue": 0.0})
    for index, (old, new) in enumerate(zip(planes_of(frame), drawn, strict=True)):
        for label, share in ((RED, 0.25), (GREEN, 0.75), (BLUE, 0.0)):
            rgb = np.array(PALETTE.colours[label], np.uint8)
            ink = float(ColourSpec.of(frame).from_rgb(rgb)[index])
            where = labels == label
            blend = old[where] * (1 - share) + ink * share
            np.testing.assert_allclose(new[where], blend, atol=1.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "replace", "classes": ["red"]}, "--mode replace needs --background"),
        ({"mode": "blur", "background": "black"}, "--background is of --mode replace and cutout"),
        ({"mode": "mask", "invert": True}, "--invert is of --mode cutout, blur and replace"),
        ({"mode": "blur", "legend": True}, "--mode blur draws no class colours that --legend"),
        ({"mode": "blur"}, "--mode blur needs --classes: every class of this model is some thing"),
        ({"mode": "replace", "background": "gren"}, "background is 'gren': no file, and no colour"),
        ({"mode": "replace", "background": "#12345"}, "no file, and no colour"),
        ({"class_alpha": {"red": 1.5}}, "alpha of red must be between 0 and 1, got 1.5"),
        ({"class_alpha": {"pink": 0.5}}, "unknown class 'pink'; known: red, green, blue"),
        ({"mode": "wipe", "wipe_seconds": -1.0}, "--wipe-seconds must be 0 or more, got -1"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        compose(noisy(), disc(), **options)


def test_a_backdrop_covers_the_picture_in_its_own_shape() -> None:
    rgb = np.zeros((100, 100, 3), np.uint8)
    cv2.circle(rgb, (50, 50), 30, (255, 255, 255), -1)
    seen = covering(rgb, (400, 200))
    assert seen.shape == (200, 400, 3)
    white = np.argwhere(seen[..., 0] > 128)
    high, wide = np.ptp(white, axis=0)
    assert high == 199
    assert wide == pytest.approx(240, abs=4)


@pytest.mark.parametrize("mode", ["cutout", "blur", "replace", "wipe", "overlay"])
def test_pictures_are_drawn_as_frames_are(mode: str, tmp_path: Path) -> None:
    picture = NOISE.integers(0, 255, (128, 192, 3)).astype(np.uint8)
    background = "#c08040" if mode == "replace" else None
    classes = ["green"] if mode in ("cutout", "blur", "replace") else None
    options: Any = {"mode": mode, "classes": classes, "background": background}
    drawn = draw_on_picture(picture, disc(), PALETTE, DrawOptions(**options))
    kept = matte((disc() == GREEN).astype(np.uint8), SIZE)
    if mode == "cutout":
        np.testing.assert_array_equal(drawn[..., 3], kept)
        assert not drawn[..., :3][cv2.dilate(kept, np.ones((7, 7), np.uint8)) == 0].any()
    if mode in ("cutout", "blur", "replace"):
        np.testing.assert_array_equal(drawn[kept == 255, :3], picture[kept == 255])
    if mode == "wipe":
        np.testing.assert_array_equal(drawn[:, :90], picture[:, :90])
        overlay = draw_on_picture(picture, disc(), PALETTE, DrawOptions())
        np.testing.assert_array_equal(drawn[:, 100:], overlay[:, 100:])
