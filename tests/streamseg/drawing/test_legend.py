"""The legend: what is there, in the colours as drawn, steady, readable or not at all."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from streamseg.drawing.composite import Compositor
from streamseg.drawing.legend import Presence, draw_legend
from streamseg.drawing.options import BACKGROUND_MODES, MODES, DrawOptions, Mode
from streamseg.drawing.orientation import ALL, Orientation
from streamseg.drawing.picture import draw_on_picture
from streamseg.drawing.yuv import planes_of
from streamseg.models.palette import CAMVID, Palette
from tests.streamseg.clips import at_zero, rgb_of

PALETTE = Palette(("red", "green", "blue"), ((250, 30, 10), (10, 220, 50), (40, 60, 240)))
SIZES = [(960, 540), (1920, 1080), (3840, 2160), (1080, 1920), (1536, 192), (320, 240), (640, 96)]


def frame_of(size: tuple[int, int], pixel_format: str = "yuv444p", luma: int = 90) -> VideoFrame:
    frame = at_zero(VideoFrame(*size, pixel_format))
    frame.colorspace, frame.color_range = 1, 2
    for index, plane in enumerate(planes_of(frame)):
        plane[:] = 128 if index else luma
    return frame


def planes(
    labels: NDArray[np.uint8],
    size: tuple[int, int],
    orientation: Orientation = ALL[0],
    pixel_format: str = "yuv444p",
    **options: Any,
) -> list[NDArray[Any]]:
    compositor = Compositor(
        PALETTE,
        source_size=size,
        pixel_format=pixel_format,
        draw=DrawOptions(**options),
        orientation=orientation,
    )
    stored = np.ascontiguousarray(orientation.stored(labels))
    return [p.copy() for p in planes_of(compositor.compose(frame_of(size, pixel_format), stored))]


def halves(first: int, second: int) -> NDArray[np.uint8]:
    labels = np.full((32, 32), first, np.uint8)
    labels[:, 16:] = second
    return labels


def whole(names: int, size: tuple[int, int]) -> Any:
    listed = np.arange(len(CAMVID)) < names
    return draw_legend(CAMVID, listed, width=size[0], height=size[1], alpha=np.ones(len(CAMVID)))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("names", [1, 4, 11])
def test_a_legend_keeps_a_margin_and_leaves_the_picture_room(
    size: tuple[int, int], names: int
) -> None:
    legend = whole(names, size)
    if legend is None:
        assert size[1] < 200 or size[0] < 400, "only a small picture has none"
        return
    height, width = legend.weight.shape
    assert legend.margin >= 4
    assert width + legend.margin * 2 <= size[0]
    assert height + legend.margin * 2 <= size[1] * 0.5
    for name, colour in zip(CAMVID.names[:names], CAMVID.colours[:names], strict=True):
        there = (legend.rgb == colour).all(axis=2) & (legend.weight == 1)
        assert there.sum() >= 16, name


def test_where_a_picture_is_flat_classes_stand_in_several_columns() -> None:
    tall, flat = whole(8, (1920, 1080)), whole(8, (1536, 192))
    assert tall.weight.shape[0] > tall.weight.shape[1]
    assert flat.weight.shape[1] > 2 * flat.weight.shape[0]


@pytest.mark.parametrize("size", [(64, 48), (16, 16), (2, 2), (4096, 16), (8, 480)])
def test_a_picture_without_room_has_none_and_that_is_said(size: tuple[int, int]) -> None:
    compositor = Compositor(
        CAMVID,
        source_size=size,
        pixel_format="yuv444p",
        draw=DrawOptions(legend=True, alpha=0.0),
    )
    for _ in range(2):
        out = compositor.compose(frame_of(size), halves(0, 1))
        assert (planes_of(out)[0] == 90).all()
    assert len(compositor.warnings) == 1
    assert "no room for a legend" in compositor.warnings[0]


@pytest.mark.parametrize("mode", [mode for mode in MODES if mode not in BACKGROUND_MODES])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "nv12", "yuv444p", "gray", "yuv420p10le"])
def test_nothing_outside_of_the_panel_changes(pixel_format: str, mode: Mode) -> None:
    labels = halves(1, 2)
    plain, drawn = (
        planes(labels, (640, 480), pixel_format=pixel_format, mode=mode, legend=legend)
        for legend in (False, True)
    )
    panel = draw_legend(
        PALETTE, np.array([False, True, True]), width=640, height=480, alpha=np.ones(3)
    )
    assert panel is not None
    left = panel.margin + (640 if mode == "side-by-side" else 0)
    height, width = panel.weight.shape
    changed = plain[0] != drawn[0]
    inside = changed[panel.margin : panel.margin + height, left : left + width]
    assert inside.mean() > 0.9
    inside[:] = False
    assert not changed.any()


@pytest.mark.parametrize(("mode", "alpha"), [("mask", 0.5), ("overlay", 0.5), ("overlay", 0.9)])
def test_a_swatch_is_as_the_picture_shows_its_class(mode: Mode, alpha: float) -> None:
    size = (640, 480)
    frame = frame_of(size, luma=128)  # over mid grey, the ground that swatches assume
    compositor = Compositor(
        PALETTE,
        source_size=size,
        pixel_format="yuv444p",
        draw=DrawOptions(mode=mode, alpha=alpha, legend=True),
    )
    rgb = rgb_of(compositor.compose(frame, halves(0, 2))).astype(int)
    for column, row in ((200, 0), (600, 1)):
        shown = rgb[400, column]
        near = np.abs(rgb[:150, :200] - shown).max(axis=2) <= 6
        assert near[:, 30:60].sum() > 60 or near.sum() > 300, row


@pytest.mark.parametrize("orientation", ALL[1:])
def test_a_player_shows_it_upright_at_the_top_left(orientation: Orientation) -> None:
    labels = halves(0, 2)
    expected = planes(labels, (640, 480), legend=True)
    turned = planes(labels, orientation.shown_size(640, 480), orientation, legend=True)
    for plane, shown in zip(turned, expected, strict=True):
        np.testing.assert_allclose(plane, orientation.stored(shown), atol=1)


def test_pictures_have_the_same_legend() -> None:
    picture = np.full((480, 640, 3), 90, np.uint8)
    options = DrawOptions(mode="mask", legend=True)
    rgb = draw_on_picture(picture, halves(0, 2), PALETTE, options)
    panel = draw_legend(
        PALETTE, np.array([True, False, True]), width=640, height=480, alpha=np.ones(3)
    )
    assert panel is not None
    height, width = panel.weight.shape
    inside = rgb[panel.margin : panel.margin + height, panel.margin : panel.margin + width]
    np.testing.assert_array_equal(inside[panel.weight == 1], panel.rgb[panel.weight == 1])


class TestPresence:
    def seen(self, shares: list[float], rate: float = 25.0) -> list[bool]:
        presence = Presence(np.array([True, True]))
        listed = []
        for index, share in enumerate(shares):
            labels = np.zeros((100, 100), np.uint8)
            labels.ravel()[: round(share * 10_000)] = 1
            listed.append(bool(presence.see(labels, index / rate)[1]))
        return listed

    def test_what_the_first_picture_shows_is_listed_at_once(self) -> None:
        assert self.seen([0.3])[0]
        assert not self.seen([0.0])[0]

    def test_what_comes_for_a_moment_is_not_listed(self) -> None:
        assert not any(self.seen([0.0] * 5 + [0.1] * 3 + [0.0] * 30))

    def test_what_stays_is_listed_and_what_flickers_then_keeps_its_place(self) -> None:
        listed = self.seen([0.0] * 5 + [0.1] * 10 + [0.1, 0.0, 0.0, 0.0] * 30)
        assert not listed[5]
        assert all(listed[14:])

    def test_what_is_gone_for_long_leaves(self) -> None:
        listed = self.seen([0.1] * 5 + [0.0] * 100)
        assert listed[60]
        assert not listed[-1]

    def test_classes_that_are_not_drawn_are_never_listed(self) -> None:
        presence = Presence(np.array([True, False]))
        assert not presence.see(np.ones((9, 9), np.uint8), 0.0).any()
