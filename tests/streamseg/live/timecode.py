"""Pictures that carry their number and time as a pattern, and survive encoders: the instrument.

Two rows of cells; in each pair one is white and one black, which way round is a bit: compared with
each other they need no threshold. A check sum tells damaged ones.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from tests.streamseg.clips import Picture

CELL = 8
"""Pixels: a block of H.264's smallest transform is half of it."""
_NUMBER_BITS, _TIME_BITS, _CHECK_BITS = 12, 28, 4
_BITS = _NUMBER_BITS + _TIME_BITS + _CHECK_BITS
_PER_ROW = _BITS // 4
"""Pairs of cells a row: four rows."""
MIN_SIZE = (_PER_ROW * 2 * CELL, 4 * CELL)
_ORIGIN = time.perf_counter()
"""Times are counted from here: 28 bits of tenths of milliseconds are seven hours."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a picture says of itself."""

    number: int
    seconds: float
    """By `time.perf_counter`."""


def now_stamp(number: int) -> Stamp:
    """Of a picture drawn now."""
    return Stamp(number, time.perf_counter())


def draw(picture: Picture, stamp: Stamp) -> Picture:
    """The picture with its stamp in the upper left corner; at least `MIN_SIZE` large."""
    tenths = round((stamp.seconds - _ORIGIN) * 1e4)
    value = (stamp.number % (1 << _NUMBER_BITS)) << _TIME_BITS | tenths % (1 << _TIME_BITS)
    value = value << _CHECK_BITS | _check(value)
    bits = [value >> (_BITS - 1 - i) & 1 for i in range(_BITS)]
    cells = np.array([(bit, 1 - bit) for bit in bits]).reshape(4, _PER_ROW * 2)
    block = np.kron(cells * 160 + 40, np.ones((CELL, CELL)))
    picture = picture.copy()
    picture[: block.shape[0], : block.shape[1]] = block[..., None]
    return picture


def read(luma_HW: NDArray[np.uint8]) -> Stamp | None:
    """The stamp of a picture's brightness; None if it is damaged."""
    rows, columns = MIN_SIZE[1], MIN_SIZE[0]
    block = luma_HW[:rows, :columns].astype(float)
    cells = block.reshape(4, CELL, _PER_ROW * 2, CELL).mean(axis=(1, 3)).reshape(-1, 2)
    value = 0
    for first, second in cells:
        if abs(first - second) < 30:
            return None
        value = value << 1 | int(first > second)
    value, check = value >> _CHECK_BITS, value & ((1 << _CHECK_BITS) - 1)
    if check != _check(value):
        return None
    tenths = value & ((1 << _TIME_BITS) - 1)
    return Stamp(value >> _TIME_BITS, _ORIGIN + tenths / 1e4)


def read_frame(frame: VideoFrame) -> Stamp | None:
    """The stamp of a frame."""
    return read(np.asarray(frame.to_ndarray(format="gray"), np.uint8))


def _check(value: int) -> int:
    """Four bits, from all others."""
    total = 5
    while value:
        total = (total * 3 + (value & 15)) % 16
        value >>= 4
    return total
