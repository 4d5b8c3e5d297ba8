"""The network's size follows the clip's shape, in multiples of 32, within the model's budget."""

from __future__ import annotations

import math

import pytest

from streamseg.errors import UsageError
from streamseg.run.netsize import choose_size, parse_frame_size, parse_size

DEFAULT = (480, 352)


@pytest.mark.parametrize(
    ("aspect", "tolerance"),
    [
        (16 / 9, 0.03),
        (4 / 3, 0.03),
        (1.0, 0.03),
        (9 / 16, 0.03),
        (21 / 9, 0.03),
        (4.0, 0.05),
        (12.0, 0.2),
        (1 / 12, 0.2),
    ],
)
def test_the_shape_is_kept_within_the_budget(aspect: float, tolerance: float) -> None:
    width, height = choose_size(aspect, DEFAULT)
    assert width % 32 == height % 32 == 0
    assert width * height <= DEFAULT[0] * DEFAULT[1]
    assert width * height >= 0.75 * DEFAULT[0] * DEFAULT[1]
    assert abs(math.log(width / height / aspect)) < tolerance


def test_a_portrait_clip_gets_the_landscape_size_turned() -> None:
    width, height = choose_size(16 / 9, DEFAULT)
    assert choose_size(9 / 16, DEFAULT) == (height, width)


def test_the_shape_of_the_default_size_gets_the_default_size() -> None:
    assert choose_size(96 / 64, (96, 64)) == (96, 64)


@pytest.mark.parametrize("aspect", [0.001, 1000.0])
def test_an_absurd_shape_still_gets_a_size(aspect: float) -> None:
    width, height = choose_size(aspect, DEFAULT)
    assert min(width, height) == 32


@pytest.mark.parametrize(
    ("text", "aspect", "size"),
    [
        ("512x288", 1.0, (512, 288)),
        (" 512 X 288 ", 1.0, (512, 288)),
        ("500x300", 1.0, (512, 288)),
        ((500, 300), 1.0, (512, 288)),
        ("288", 16 / 9, (512, 288)),
        (288, 16 / 9, (512, 288)),
        ("288", 9 / 16, (288, 512)),
        ("256", 1.0, (256, 256)),
        ("32x8192", 1.0, (32, 8192)),
    ],
)
def test_a_size_is_rounded_to_what_a_network_takes(
    text: str | int | tuple[int, int], aspect: float, size: tuple[int, int]
) -> None:
    assert parse_size(text, aspect) == size


@pytest.mark.parametrize(
    "text", ["", "x", "512x", "512x288x3", "-288", "28.8", "large", "٣x", (1, 2, 3)]
)
def test_no_size_says_how_to_write_one(text: str | tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=r"write WIDTHxHEIGHT, as 512x288, or a short side"):
        parse_size(text, 1.5)


@pytest.mark.parametrize("text", ["0", "10", "8x8", "512x9000", "99999999", (0, 64)])
def test_an_impossible_size_says_what_is_possible(text: str | tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="between 32 and 8192"):
        parse_size(text, 1.5)


def test_a_frame_size_is_taken_as_it_stands() -> None:
    assert parse_frame_size("961x541") == (961, 541)
    with pytest.raises(UsageError, match="WIDTHxHEIGHT, as 960x540"):
        parse_frame_size("540")
