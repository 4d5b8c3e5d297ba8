"""Labels that stay where the picture stands still.

A network changes its mind about a pixel although nothing in the picture has changed: noise,
compression and things that move elsewhere are enough. Where the picture is still, a label here goes
on until the network has contradicted it for long; where something moved, its word counts at once.

Shape legend: H, W height and width of what the network sees.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_BLUR = 5
"""Pixels over which luma is averaged: noise of single pixels is no change."""
_NOISE = 6.0
"""A change this many times the median one is movement: the light of a whole picture may pulse."""
_LEAST, _MOST = 3.0, 8.0
"""Levels of 255: less is never movement, more always is."""
_GROW = 5
"""Pixels by which what moved is widened: labels change a little before the luma does."""
_DRIFT, _FOLLOW = 5.0, 0.2
"""A pixel that is so many levels from its own running mean (of some five frames) changes slowly, as
under a soft shadow: its label is no longer sure, though from frame to frame nothing moved."""
_CUT_LEVELS, _CUT_SHARE = 15.0, 0.4
"""Where so much of the picture changes by so much, it is another picture."""
_FRESH, _CONFIRMED, _SURE = 1, 2, 60
"""Frames of contradiction that a label outlives: at first, more for each that confirms it; at
most."""
_UNSURE = 3
"""Such frames at most where something moved or drifts: what stood there may just have left."""


def luma_of(rgb_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Luma ``[H, W]`` of a picture RGB uint8 ``[H, W, 3]``, 0 to 255, blurred."""
    grey = cv2.cvtColor(np.ascontiguousarray(rgb_HWC), cv2.COLOR_RGB2GRAY)
    return np.asarray(cv2.boxFilter(grey, cv2.CV_32F, (_BLUR, _BLUR)), np.float32)


class Steady:
    """Takes frames in order. For one thread.

    Every pixel holds a label and how long that outlives contradiction (the majority vote of Boyer
    and Moore, with a limit).
    """

    def __init__(self) -> None:
        self._luma_HW: NDArray[np.float32] | None = None
        self._mean_HW = np.empty((0, 0), np.float32)
        self._labels_HW = np.empty((0, 0), np.uint8)
        self._trust_HW = np.empty((0, 0), np.uint8)

    def reset(self) -> None:
        """Forget what was: the next frame is as the first."""
        self._luma_HW = None

    def __call__(
        self, luma_HW: NDArray[np.float32], labels_HW: NDArray[np.uint8]
    ) -> NDArray[np.uint8]:
        """The labels uint8 ``[H, W]`` to use for the next frame; the array is the caller's.

        Args:
            luma_HW: of `luma_of`.
            labels_HW: the network's.
        """
        if luma_HW.shape != labels_HW.shape:
            height, width = labels_HW.shape
            luma_HW = np.asarray(cv2.resize(luma_HW, (width, height)), np.float32)
        before_HW, self._luma_HW = self._luma_HW, luma_HW
        moved_HW = None
        if before_HW is not None and before_HW.shape == luma_HW.shape:
            moved_HW = _moved(luma_HW, before_HW)
        if moved_HW is None:
            self._mean_HW = luma_HW.copy()
            self._labels_HW = labels_HW.copy()
            self._trust_HW = np.full(labels_HW.shape, _FRESH, np.uint8)
            return labels_HW
        other_HW = labels_HW != self._labels_HW
        taken_HW = other_HW & (moved_HW | (self._trust_HW == 0))
        confirmed_HW = np.minimum(self._trust_HW + np.uint8(_CONFIRMED), np.uint8(_SURE))
        # Where trust is 0 it wraps around, and is overwritten: the label is taken there.
        self._trust_HW = np.where(other_HW, self._trust_HW - np.uint8(1), confirmed_HW)
        unsure_HW = moved_HW | self._drifts(luma_HW)
        np.minimum(self._trust_HW, np.uint8(_UNSURE), out=self._trust_HW, where=unsure_HW)
        self._trust_HW[taken_HW] = _FRESH
        np.copyto(self._labels_HW, labels_HW, where=taken_HW)
        return self._labels_HW.copy()

    def _drifts(self, luma_HW: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Where luma is far from its running mean, which follows."""
        away_HW = _apart(luma_HW, self._mean_HW)
        self._mean_HW = luma_HW - np.float32(1 - _FOLLOW) * away_HW
        return np.asarray(np.abs(away_HW) > _DRIFT)


def _apart(luma_HW: NDArray[np.float32], other_HW: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much lighter each pixel is, beyond what all are: a camera's exposure is no movement."""
    apart_HW = luma_HW - other_HW
    apart_HW -= np.median(apart_HW[::4, ::4])
    return apart_HW


def _moved(
    luma_HW: NDArray[np.float32], before_HW: NDArray[np.float32]
) -> NDArray[np.bool_] | None:
    """Where something moved; None after a cut."""
    change_HW = np.abs(_apart(luma_HW, before_HW))
    if np.count_nonzero(change_HW > _CUT_LEVELS) > _CUT_SHARE * change_HW.size:
        return None
    usual = float(np.median(change_HW[::4, ::4]))
    limit = min(max(_NOISE * usual, _LEAST), _MOST)
    moved = (change_HW > limit).view(np.uint8)
    return np.asarray(cv2.dilate(moved, np.ones((_GROW, _GROW), np.uint8))).view(np.bool_)
