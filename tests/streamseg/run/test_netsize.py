"""The network's size follows the clip's shape, in multiples of 32, within the model's budget."""

from __future__ import annotations

import math
import time

import pytest

from streamseg.errors import UsageError
from streamseg.models.sizes import SizeRule
from streamseg.run.netsize import choose_size, parse_frame_size, parse_size

DEFAULT = (480, 352)
RULE = SizeRule(model="toy", default=DEFAULT)
FIXED = SizeRule(model="toy", default=(96, 64), fixed=(96, 64), multiple=1)


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
    width, height = choose_size(aspect, RULE)
    assert width % 32 == height % 32 == 0
    assert width * height <= DEFAULT[0] * DEFAULT[1]
    assert width * height >= 0.75 * DEFAULT[0] * DEFAULT[1]
    assert abs(math.log(width / height / aspect)) < tolerance


def test_a_portrait_clip_gets_the_landscape_size_turned() -> None:
    width, height = choose_size(16 / 9, RULE)
    assert choose_size(9 / 16, RULE) == (height, width)


def test_the_shape_of_the_default_size_gets_the_default_size() -> None:
    assert choose_size(96 / 64, SizeRule(model="toy", default=(96, 64))) == (96, 64)


@pytest.mark.parametrize("aspect", [0.001, 1000.0])
def test_an_absurd_shape_still_gets_a_size(aspect: float) -> None:
    width, height = choose_size(aspect, RULE)
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
    assert parse_size(text, aspect, RULE) == size


@pytest.mark.parametrize(
    "text", ["", "x", "512x", "512x288x3", "-288", "28.8", "large", "٣x", (1, 2, 3)]
)
def test_no_size_says_how_to_write_one(text: str | tuple[int, int]) -> None:
    with pytest.raises(UsageError, match=r"write WIDTHxHEIGHT, as 512x288, or a short side"):
        parse_size(text, 1.5, RULE)


@pytest.mark.parametrize("text", ["0", "10", "8x8", "512x9000", "99999999", (0, 64)])
def test_an_impossible_size_says_what_is_possible(text: str | tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="between 32 and 8192"):
        parse_size(text, 1.5, RULE)


def test_a_frame_size_is_taken_as_it_stands() -> None:
    assert parse_frame_size("961x541") == (961, 541)
    with pytest.raises(UsageError, match="WIDTHxHEIGHT, as 960x540"):
        parse_frame_size("540")


@pytest.mark.parametrize("multiple", [1, 4, 8, 14, 32, 100])
@pytest.mark.parametrize("aspect", [0.05, 0.4, 9 / 16, 1.0, 1.5, 16 / 9, 20.0])
def test_no_other_size_would_have_been_better(multiple: int, aspect: float) -> None:
    rule = SizeRule(model="toy", default=(300, 200), multiple=multiple)
    step = multiple * -(-8 // multiple)
    budget = 300 * 200

    def cost(size: tuple[int, int]) -> float:
        width, height = size
        return 2 * abs(math.log(width / height / aspect)) + math.log(budget / width / height)

    every = [
        (width, height)
        for width in range(step, budget + 1, step)
        for height in range(step, budget // width + 1, step)
    ]
    found = choose_size(aspect, rule)
    assert rule.problem(found) is None
    assert cost(found) == pytest.approx(min(map(cost, every)))


def test_small_multiples_cost_no_time() -> None:
    rule = SizeRule(model="toy", default=(4096, 2048), multiple=1)
    start = time.perf_counter()
    choose_size(16 / 9, rule)
    assert time.perf_counter() - start < 2


def test_a_model_of_one_size_gets_that_whatever_the_clip() -> None:
    assert choose_size(16 / 9, FIXED) == choose_size(9 / 16, FIXED) == (96, 64)
    assert parse_size("96x64", 1.0, FIXED) == parse_size(64, 1.0, FIXED) == (96, 64)


@pytest.mark.parametrize("text", ["128x64", "64x96", "32"])
def test_another_size_is_refused_with_the_model_s_own(text: str) -> None:
    with pytest.raises(UsageError, match="toy takes pictures of 96x64 only, got "):
        parse_size(text, 1.0, FIXED)


def test_sizes_are_rounded_to_the_model_s_own_multiple() -> None:
    rule = SizeRule(model="toy", default=(96, 64), multiple=8)
    assert parse_size("101x60", 1.0, rule) == (104, 64)
    with pytest.raises(UsageError, match="size is '3x3'; each side must be between 8 and 8192"):
        parse_size("3x3", 1.0, rule)
    with pytest.raises(UsageError, match="toy takes width and height in multiples of 8, got 60x64"):
        rule.check((60, 64))
