"""A textured picture under a camera that moves, and the labels that move with it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

_WIDTH, _HEIGHT = 192, 128


def world(seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """RGB ``[H, W, 3]`` and labels ``[H, W]``, wider than a frame."""
    coarse = np.random.default_rng(seed).integers(40, 216, (20, 40, 3)).astype(np.uint8)
    size = (2 * _WIDTH, _HEIGHT)
    picture = np.asarray(cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC), np.uint8)
    labels = np.zeros(picture.shape[:2], np.uint8)
    labels[30:90, 60:140] = 1
    return picture, labels


def seen(picture: NDArray[np.uint8], left: int) -> NDArray[np.uint8]:
    """What a frame shows whose left edge is there."""
    return np.ascontiguousarray(picture[:, left : left + _WIDTH])
