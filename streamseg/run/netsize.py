"""Chooses the size at which the network sees a clip. Pure arithmetic.

A network takes multiples of 32. The clip's aspect ratio is kept as well as those allow, within the
number of pixels that the model was validated at: more would only cost time.
"""

from __future__ import annotations

import math
import re

from streamseg.errors import UsageError
from streamseg.models.modelfile import SIZE_MULTIPLE

_ASPECT_WEIGHT = 2.0
"""A distorted picture costs accuracy, a smaller one a little detail."""
_LARGEST = 8192
_SIZE = re.compile(r"\s*(\d+)(?:\s*[xX]\s*(\d+))?\s*")


def choose_size(aspect: float, default_size: tuple[int, int]) -> tuple[int, int]:
    """Width and height for pictures of an aspect ratio (width over height).

    Of all sizes with no more pixels than `default_size`, the one closest to the aspect ratio and
    to that number of pixels.
    """
    budget = default_size[0] * default_size[1]
    longest = budget // SIZE_MULTIPLE**2

    def cost(size: tuple[int, int]) -> float:
        width, height = size
        distortion = abs(math.log(width / height / aspect))
        return _ASPECT_WEIGHT * distortion + math.log(budget / (width * height))

    candidates = (
        (columns * SIZE_MULTIPLE, rows * SIZE_MULTIPLE)
        for rows in range(1, longest + 1)
        for columns in range(1, longest // rows + 1)
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


def parse_size(text: str | int | tuple[int, int], aspect: float) -> tuple[int, int]:
    """Width and height from ``640x384``, a pair, or a short side; rounded to multiples of 32.

    Raises:
        UsageError: not such a text, or a side that is not in 32..8192 after rounding.
    """
    if isinstance(text, tuple):
        text = "x".join(map(str, text))
    match = _SIZE.fullmatch(str(text))
    if match is None:
        raise UsageError(f"size is {text!r}; write WIDTHxHEIGHT, as 512x288, or a short side, 288")
    if match[2] is not None:
        width, height = float(match[1]), float(match[2])
    else:
        short = float(match[1])
        width, height = (short * aspect, short) if aspect >= 1 else (short, short / aspect)
    sides = round(width / SIZE_MULTIPLE), round(height / SIZE_MULTIPLE)
    if min(sides) < 1 or max(sides) * SIZE_MULTIPLE > _LARGEST:
        raise UsageError(f"size is {text!r}; each side must be between 32 and {_LARGEST} pixels")
    return sides[0] * SIZE_MULTIPLE, sides[1] * SIZE_MULTIPLE
