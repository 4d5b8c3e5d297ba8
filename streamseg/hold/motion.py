"""Where things were in another frame, how well that explains the picture, and labels moved along.

Shape legend: H height, W width of what the network sees; h, w half of them. A flow is float32
``[h, w, 2]`` in pixels of the half picture: what is at ``(x, y)`` was at ``(x, y) + flow[y, x]``.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

_SMALLEST = 12
"""Pixels of a side, below which the optical flow finds no patch."""
_BLUR = 5
"""Pixels over which a residual is averaged: noise of single pixels is no change."""


def half_grey(rgb_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The luminance at half the size, uint8 ``[h, w]``; at full size where half would be tiny."""
    grey = cv2.cvtColor(np.ascontiguousarray(rgb_HWC), cv2.COLOR_RGB2GRAY)
    height, width = grey.shape
    if min(height, width) < 2 * _SMALLEST:
        return np.asarray(grey, np.uint8)
    half = cv2.resize(grey, (width // 2, height // 2), interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.uint8)


class Flow:
    """Dense optical flow: DIS (Kroeger et al., 1603.03590) at its fastest. For one thread."""

    def __init__(self) -> None:
        self._dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_ULTRAFAST)

    def __call__(
        self, grey_hw: NDArray[np.uint8], reference_hw: NDArray[np.uint8]
    ) -> NDArray[np.float32]:
        """Flow ``[h, w, 2]`` from a picture to an earlier one; 0 in tiny pictures."""
        flow_hw2 = np.zeros((*grey_hw.shape, 2), np.float32)
        if min(grey_hw.shape) < _SMALLEST:
            return flow_hw2
        return np.asarray(self._dis.calc(grey_hw, reference_hw, flow_hw2), np.float32)


def residual(
    grey_hw: NDArray[np.uint8],
    reference_hw: NDArray[np.uint8],
    flow_hw2: NDArray[np.float32] | None = None,
) -> NDArray[np.uint8]:
    """What a reference, moved along a flow, leaves unexplained: levels 0..255, ``[h, w]``."""
    if flow_hw2 is not None:
        places = flow_hw2 + _places(*grey_hw.shape)
        reference_hw = _picked(reference_hw, places, cv2.INTER_LINEAR)
    return np.asarray(cv2.blur(cv2.absdiff(grey_hw, reference_hw), (_BLUR, _BLUR)), np.uint8)


def carried(labels_HW: NDArray[np.uint8], flow_hw2: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A reference's labels moved along a flow: class indices ``[H, W]``, the nearest."""
    height, width = labels_HW.shape
    places = np.asarray(cv2.resize(flow_hw2, (width, height)), np.float32)
    # In place: new memory of this size costs more than the arithmetic.
    places *= width / flow_hw2.shape[1]
    places += _places(height, width)
    return _picked(labels_HW, places, cv2.INTER_NEAREST)


def _picked(
    picture: NDArray[np.uint8], places: NDArray[np.float32], interpolation: int
) -> NDArray[np.uint8]:
    """What is at every ``(x, y)`` of `places`; beyond the edge, what is at the edge."""
    x, y = cv2.split(places)
    picked = cv2.remap(picture, x, y, interpolation, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(picked, np.uint8)


@lru_cache(maxsize=8)
def _places(height: int, width: int) -> NDArray[np.float32]:
    """Every pixel's own ``(x, y)``, ``[height, width, 2]``."""
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    return np.dstack([x, y])
