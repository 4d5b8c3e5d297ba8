"""Colours in a frame's own YUV: as swscale and the standards' formulas have them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from streamseg.drawing.yuv import (
    FULL,
    LAYOUTS,
    LIMITED,
    ColourSpec,
    new_frame_like,
    planes_of,
    rgb_target,
    to_supported,
)
from tests.streamseg.clips import at_zero, to_yuv

COLOURS = np.array(
    [
        (0, 0, 0),
        (255, 255, 255),
        (255, 0, 0),
        (0, 255, 0),
        (0, 0, 255),
        (128, 64, 128),
        (7, 200, 90),
    ],
    np.uint8,
)
SPACES = {"bt601": 5, "bt709": 1, "bt2020": 9}


def by_the_book(rgb: Sequence[int], matrix: str, full: bool, bits: int) -> list[float]:
    """Y, Cb, Cr by the 3x3 matrices printed in ITU-R BT.601, BT.709 and BT.2020."""
    rows = {
        "bt601": [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]],
        "bt709": [
            [0.2126, 0.7152, 0.0722],
            [-0.114572, -0.385428, 0.5],
            [0.5, -0.454153, -0.045847],
        ],
        "bt2020": [[0.2627, 0.678, 0.0593], [-0.13963, -0.36037, 0.5], [0.5, -0.459786, -0.040214]],
    }[matrix]
    y, cb, cr = np.array(rows) @ (np.array(rgb) / 255)
    top, unit = 2**bits - 1, 2 ** (bits - 8)
    if full:
        return [y * top, cb * top + 128 * unit, cr * top + 128 * unit]
    return [(16 + 219 * y) * unit, (128 + 224 * cb) * unit, (128 + 224 * cr) * unit]


@pytest.mark.parametrize("bits", [8, 10, 12])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", ["bt601", "bt709", "bt2020"])
def test_colours_are_those_of_the_standards(matrix: str, full: bool, bits: int) -> None:
    planes = ColourSpec(matrix, full, bits).from_rgb(COLOURS)
    for index, rgb in enumerate(COLOURS):
        expected = by_the_book(rgb.tolist(), matrix, full, bits)
        got = [int(plane[index]) for plane in planes]
        np.testing.assert_allclose(got, np.clip(expected, 0, 2**bits - 1), atol=0.51 + bits / 100)


@pytest.mark.parametrize("colour_range", [LIMITED, FULL])
@pytest.mark.parametrize("matrix", ["bt601", "bt709"])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "nv12", "yuv420p10le"])
def test_colours_are_those_of_swscale(pixel_format: str, matrix: str, colour_range: int) -> None:
    for rgb in COLOURS:
        picture = np.full((32, 32, 3), rgb, np.uint8)
        frame = to_yuv(picture, pixel_format, SPACES[matrix], colour_range)
        layout = LAYOUTS[pixel_format]
        ours = ColourSpec(matrix, colour_range == FULL, layout.bits).from_rgb(rgb)
        planes = planes_of(frame)
        theirs = [planes[0], *(planes[1][..., i] for i in (0, 1))] if layout.semi_planar else planes
        for own, plane in zip(ours, theirs, strict=True):
            assert abs(int(own) - int(plane[8, 8])) <= 2 * 2 ** (layout.bits - 8), (rgb, frame)


def tagged(width: int, height: int, pixel_format: str, space: int, colour_range: int) -> VideoFrame:
    frame = at_zero(VideoFrame(width, height, pixel_format))
    frame.colorspace, frame.color_range = space, colour_range
    return frame


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        (tagged(1280, 720, "yuv420p", 2, 0), ColourSpec("bt709", False)),
        (tagged(720, 1280, "yuv420p", 2, 0), ColourSpec("bt709", False)),
        (tagged(720, 576, "yuv420p", 2, 0), ColourSpec("bt601", False)),
        (tagged(1280, 720, "yuv420p", 6, 1), ColourSpec("bt601", False)),
        (tagged(64, 64, "yuv420p", 1, 2), ColourSpec("bt709", True)),
        (tagged(64, 64, "yuvj420p", 2, 0), ColourSpec("bt601", True)),
        (tagged(64, 64, "yuv420p10le", 9, 1), ColourSpec("bt2020", False, 10)),
    ],
    ids=str,
)
def test_a_frame_is_read_as_its_tags_say_and_players_assume(
    frame: VideoFrame, expected: ColourSpec
) -> None:
    assert ColourSpec.of(frame) == expected


@pytest.mark.parametrize("size", [(96, 64), (95, 63), (33, 2), (1, 1)])
@pytest.mark.parametrize("pixel_format", sorted(LAYOUTS))
def test_planes_are_views_of_every_sample(pixel_format: str, size: tuple[int, int]) -> None:
    frame = VideoFrame(*size, pixel_format)
    layout = LAYOUTS[pixel_format]
    planes = planes_of(frame)
    for index, plane in enumerate(planes):
        plane[:] = 40 + index
    assert planes[0].shape == size[::-1]
    if layout.alpha:
        assert planes.pop().shape == size[::-1]
    for plane in planes[1:]:
        assert plane.shape[:2] == (-(-size[1] // layout.chroma_y), -(-size[0] // layout.chroma_x))
    for index, plane in enumerate(planes_of(frame)):
        assert (plane == 40 + index).all(), "writing to a view writes to the frame"


def test_a_packed_format_has_no_planes() -> None:
    with pytest.raises(ValueError, match="pixel format yuyv422 is not one of"):
        planes_of(VideoFrame(32, 32, "yuyv422"))


def mean_yuv(frame: VideoFrame) -> NDArray[Any]:
    return np.array([plane.mean() for plane in planes_of(frame)])


@pytest.mark.parametrize("colour_range", [LIMITED, FULL])
@pytest.mark.parametrize("space", [1, 5])
@pytest.mark.parametrize("pixel_format", ["yuyv422", "yuva420p", "nv21", "yuv411p"])
def test_other_yuv_keeps_matrix_and_range(pixel_format: str, space: int, colour_range: int) -> None:
    picture = np.full((64, 64, 3), (200, 60, 30), np.uint8)
    frame = to_yuv(picture, pixel_format, space, colour_range)
    frame.colorspace, frame.color_range = space, colour_range
    frame.pts = 77
    out = to_supported(frame, "yuv420p", (64, 64), VideoReformatter())
    expected = ColourSpec.of(out).from_rgb(picture[0, 0])
    full = colour_range == FULL
    assert ColourSpec.of(out) == ColourSpec("bt709" if space == 1 else "bt601", full)
    assert out.pts == 77
    np.testing.assert_allclose(mean_yuv(out), [int(v) for v in expected], atol=2)


@pytest.mark.parametrize("size", [(64, 64), (1280, 720), (480, 800)])
@pytest.mark.parametrize("pixel_format", ["rgb24", "bgr0", "gbrp", "rgba", "pal8"])
def test_rgb_becomes_limited_yuv_and_says_so(pixel_format: str, size: tuple[int, int]) -> None:
    colour = np.array((200, 60, 30), np.uint8)
    if pixel_format == "pal8":
        frame = at_zero(VideoFrame(*size, "pal8"))
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        palette = np.zeros((256, 4), np.uint8)
        palette[0] = (*colour[::-1], 255)
        frame.planes[1].update(palette.tobytes())
    else:
        whole = np.full((size[1], size[0], 3), colour, np.uint8)
        frame = at_zero(
            VideoFrame.from_ndarray(whole, format="rgb24").reformat(format=pixel_format)
        )
    out = to_supported(frame, "yuv420p", size, VideoReformatter())
    target = rgb_target(*size)
    assert ColourSpec.of(out) == target
    np.testing.assert_allclose(mean_yuv(out), [int(v) for v in target.from_rgb(colour)], atol=2)


def test_a_frame_that_fits_is_not_copied() -> None:
    frame = VideoFrame(64, 48, "yuv420p")
    assert to_supported(frame, "yuv420p", (64, 48), VideoReformatter()) is frame


def test_a_new_frame_has_the_others_time_and_tags() -> None:
    frame = tagged(64, 48, "yuv420p", 1, 2)
    frame.color_primaries, frame.color_trc, frame.pts = 1, 13, 5
    new = new_frame_like(frame, 128, 48)
    assert (new.width, new.height, new.pts) == (128, 48, 5)
    tags = (new.colorspace, new.color_range, new.color_primaries, new.color_trc)
    assert [int(tag) for tag in tags] == [1, 2, 1, 13]
