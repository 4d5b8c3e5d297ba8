from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from train.evaluation.views import Views, probabilities, window_starts

WEIGHTS = torch.tensor([[0.02, -0.01, 0.005], [-0.01, 0.02, 0.0], [0.0, 0.0, 0.01]])
Picture = NDArray[np.uint8]


def by_colour(frames_NHWC: Picture) -> Tensor:
    """A network of one 1x1 convolution: what it says of a pixel depends on that pixel alone."""
    return torch.einsum("kc,nhwc->nkhw", WEIGHTS, torch.from_numpy(frames_NHWC).float())


def by_place(frames_NHWC: Picture) -> Tensor:
    """Class 0 the surer the farther to the right in the frame: windows and mirrors matter."""
    n, h, w, _ = frames_NHWC.shape
    scores = torch.zeros(n, 2, h, w)
    scores[:, 0] = torch.linspace(-2, 2, w)
    return scores


def drawn(height: int, width: int) -> Picture:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("size", [(96, 128), (97, 131), (40, 200), (20, 30)])
@pytest.mark.parametrize("window", [32, 50, 64])
@pytest.mark.parametrize("stride", [None, 13])
def test_windows_cover_every_pixel_right_up_to_the_border(
    size: tuple[int, int], window: int, stride: int | None
) -> None:
    picture = drawn(*size)
    views = Views(window=window, stride=stride)
    expected = by_colour(picture[None])[0].softmax(dim=0)
    torch.testing.assert_close(probabilities(picture, by_colour, views), expected)


def test_overlapping_windows_are_averaged() -> None:
    picture, window, stride = drawn(32, 80), 32, 20
    total, count = torch.zeros(2, 80), torch.zeros(80)
    for start in (0, 20, 40, 48):
        total[:, start : start + window] += by_place(picture[None, :, :window])[0, :, 0].softmax(0)
        count[start : start + window] += 1
    found = probabilities(picture, by_place, Views(window=window, stride=stride))
    torch.testing.assert_close(found[:, 0], total / count)


@pytest.mark.parametrize(
    ("length", "window", "stride", "starts"),
    [
        (100, 40, 30, [0, 30, 60]),
        (101, 40, 30, [0, 30, 60, 61]),
        (40, 40, 30, [0]),
        (39, 40, 30, [0]),
        (41, 40, 40, [0, 1]),
    ],
)
def test_the_last_window_ends_at_the_border(
    length: int, window: int, stride: int, starts: list[int]
) -> None:
    assert window_starts(length, window, stride) == starts


def test_a_window_that_hangs_over_is_padded_with_grey() -> None:
    seen: list[Picture] = []

    def remember(frames: Picture) -> Tensor:
        seen.append(frames)
        return by_colour(frames)

    picture = drawn(20, 30)
    probabilities(picture, remember, Views(window=64))
    (frame,) = seen
    assert frame.shape == (1, 64, 64, 3)
    assert np.array_equal(frame[0, :20, :30], picture)
    assert set(np.unique(frame[0, 20:])) == set(np.unique(frame[0, :, 30:])) == {128}


@pytest.mark.parametrize("window", [None, 32])
@pytest.mark.parametrize("fuse", ["mean", "max"])
def test_with_flip_the_mirrored_picture_has_the_mirrored_result(window: Any, fuse: Any) -> None:
    picture = drawn(32, 64)
    views = Views(flip=True, window=window, fuse=fuse)
    found = probabilities(picture, by_place, views)
    torch.testing.assert_close(found, found.flip(-1))  # what depends on place alone is averaged
    one_way = probabilities(picture, by_place, Views(window=window))
    assert not torch.allclose(one_way, one_way.flip(-1))


def test_scores_are_resized_before_they_become_probabilities() -> None:
    """As the exported file does it: a mean of probabilities would move the borders."""

    def at_stride_16(frames: Picture) -> Tensor:
        scores = torch.zeros(len(frames), 2, frames.shape[1] // 16, frames.shape[2] // 16)
        scores[:, 0] = torch.tensor([8.0, -1.0, 8.0, -1.0])[: scores.shape[-1]]
        return scores

    picture = drawn(32, 64)
    large = F.interpolate(at_stride_16(picture[None]), (32, 64), mode="bilinear")[0]
    found = probabilities(picture, at_stride_16, Views(flip=False))
    torch.testing.assert_close(found, large.softmax(dim=0))
    part = F.interpolate(at_stride_16(picture[None, :, :32]), (32, 32), mode="bilinear")[0]
    windows = probabilities(picture, at_stride_16, Views(window=32, stride=32))
    torch.testing.assert_close(windows[:, :, :32], part.softmax(dim=0))


def test_mirrored_scores_come_back_to_their_pixels() -> None:
    picture = drawn(32, 64)
    found = probabilities(picture, by_colour, Views(flip=True))
    torch.testing.assert_close(found, by_colour(picture[None])[0].softmax(dim=0))


def test_scales_are_what_the_network_sees() -> None:
    seen: list[tuple[int, ...]] = []

    def remember(frames: Picture) -> Tensor:
        seen.append(frames.shape[1:3])
        return by_colour(frames)

    probabilities(drawn(100, 130), remember, Views(scales=(0.5, 1.0, 2.0)))
    assert seen == [(64, 64), (96, 128), (192, 256)]  # multiples of 32 nearest to each
    seen.clear()
    found = probabilities(drawn(100, 130), remember, Views(scales=(0.5,)), size=(128, 192))
    assert seen == [(64, 96)]
    assert found.shape == (3, 100, 130)


def test_mean_of_probabilities_and_maximum_of_scores() -> None:
    def by_size(frames: Picture) -> Tensor:
        """Class 0 is sure in the small picture, class 1 a little surer in the large one."""
        large = frames.shape[1] == 64
        scores = torch.tensor([0.0, 1.0, 0.0] if large else [0.9, 0.0, 0.0])
        return scores.view(1, 3, 1, 1).expand(1, 3, *frames.shape[1:3])

    picture, scales = drawn(64, 64), (0.5, 1.0)
    mean = probabilities(picture, by_size, Views(scales=scales))[:, 0, 0]
    one, other = (torch.tensor(v).softmax(0) for v in ([0.9, 0.0, 0.0], [0.0, 1.0, 0.0]))
    torch.testing.assert_close(mean, (one + other) / 2)
    largest = probabilities(picture, by_size, Views(scales=scales, fuse="max"))[:, 0, 0]
    torch.testing.assert_close(largest, torch.tensor([0.9, 1.0, 0.0]).softmax(0))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": ()}, "scales must be within"),
        ({"scales": (1.0, 9.0)}, "scales must be within"),
        ({"scales": (float("nan"),)}, "scales must be within"),
        ({"window": 16}, "at least 32 pixels"),
        ({"stride": 16}, "give the window too"),
        ({"window": 64, "stride": 65}, "would leave gaps"),
        ({"window": 64, "stride": 0}, r"1\.\.64"),
        ({"fuse": "median"}, "known: mean, max"),
    ],
)
def test_what_cannot_be_looked_at(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Views(**options)
