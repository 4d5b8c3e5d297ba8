"""Chooses the size at which the network sees a clip. Pure arithmetic.

A network takes multiples of 32, say, or one size only (`models.sizes`). The clip's aspect ratio is
kept as well as those allow, within the number of pixels that the model was validated at: more would
only cost time.
"""

from __future__ import annotations

import math
import re

from streamseg.errors import UsageError
from streamseg.models.sizes import SizeRule

_ASPECT_WEIGHT = 2.0
"""A distorted picture costs accuracy, a smaller one a little detail."""
_FINEST = 8
"""Pixels; sizes that differ by less are not told apart."""
_SIZE = re.compile(r"\s*(\d+)(?:\s*[xX]\s*(\d+))?\s*")


def choose_size(aspect: float, sizes: SizeRule) -> tuple[int, int]:
    """Width and height for pictures of an aspect ratio (width over height).

    Of all sizes with no more pixels than the default, the one closest to the aspect ratio and to
    that number of pixels; the one size of a network that takes no other.
    """
    if sizes.fixed is not None:
        return sizes.fixed
    step = sizes.multiple * -(-_FINEST // sizes.multiple)
    budget = sizes.default[0] * sizes.default[1]
    longest = budget // step**2
    if longest == 0:
        return sizes.default

    def cost(size: tuple[int, int]) -> float:
        width, height = size
        distortion = abs(math.log(width / height / aspect))
        return _ASPECT_WEIGHT * distortion + math.log(budget / (width * height))

    # In a row of sizes the cost falls up to the aspect ratio and rises behind it.
    candidates = (
        (min(max(columns, 1), longest // rows) * step, rows * step)
        for rows in range(1, longest + 1)
        for columns in (math.floor(min(rows * aspect, longest)), math.ceil(rows * aspect))
    )
    return min(candidates, key=cost)


def parse_frame_size(text: str) -> tuple[int, int]:
    """Width and height from ``960x540``, as they stand.

    Raises:
        UsageError: not such a text.
    """
    match = _SIZE.fullmatch(text)
    if match is None or match[2] is None:
        raise UsageError(f"size is {text!r}; write WIDTHxHEIGHT, as 960x540")
    return int(match[1]), int(match[2])


def parse_size(
    text: str | int | tuple[int, int], aspect: float, sizes: SizeRule
) -> tuple[int, int]:
    """Width and height from ``640x384``, a pair, or a short side; rounded to what a network takes.

    Raises:
        UsageError: not such a text, or no size for this network.
    """
    if isinstance(text, tuple):
        text = "x".join(map(str, text))
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise UsageError(f"size is {text!r}; write WIDTHxHEIGHT, as 512x288, or a short side, 288")
    if match[2] is not None:
        return sizes.rounded(float(match[1]), float(match[2]), asked=repr(text))
    short = float(match[1])
    if sizes.fixed is not None and short == min(sizes.fixed):
        return sizes.fixed
    width, height = (short * aspect, short) if aspect >= 1 else (short, short / aspect)
    return sizes.rounded(width, height, asked=repr(text))
