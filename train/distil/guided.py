"""The guided filter (He et al. 2010) with a colour guide: soft labels follow a picture's edges.

Shape legend: H and W the picture's size, K classes.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.float32]

ABSENT = 0.05
"""A class that is nowhere as probable as this is left as it is."""


def guided_filter(
    picture_HWC: Map, probabilities_KHW: Map, *, radius: int = 8, epsilon: float = 1e-3
) -> Map:
    """Class probabilities ``[K, H, W]`` as local linear functions of the picture's colours.

    Args:
        picture_HWC: float32 in 0..1.
        probabilities_KHW: float32; sums to 1 over K.
        radius: of the square window, in pixels.
        epsilon: colour variance below which a window counts as flat.
    """
    side = (2 * radius + 1, 2 * radius + 1)

    def mean(values: Map) -> Map:
        return np.asarray(cv2.boxFilter(values, -1, side, borderType=cv2.BORDER_REFLECT))

    guide = [np.ascontiguousarray(picture_HWC[..., index]) for index in range(3)]
    means = [mean(channel) for channel in guide]
    inverse = _inverse_covariance(guide, means, mean, epsilon)
    result = probabilities_KHW.copy()
    for index, given in enumerate(probabilities_KHW):
        if given.max() < ABSENT:
            continue
        average = mean(given)
        shared = [mean(guide[i] * given) - means[i] * average for i in range(3)]
        slopes = [np.add.reduce([inverse[i][j] * shared[j] for j in range(3)]) for i in range(3)]
        offset = average - np.add.reduce([slopes[i] * means[i] for i in range(3)])
        smooth = [mean(slopes[i]) * guide[i] for i in range(3)]
        result[index] = mean(offset) + np.add.reduce(smooth)
    result = result.clip(0, 1)
    return np.asarray(result / np.maximum(result.sum(axis=0), 1e-6), dtype=np.float32)


def _inverse_covariance(
    guide: list[Map], means: list[Map], mean: object, epsilon: float
) -> list[list[Map]]:
    """The inverse of each window's colour covariance plus `epsilon` on its diagonal."""
    assert callable(mean)
    height, width = guide[0].shape
    matrix = np.empty((height, width, 3, 3), dtype=np.float32)
    for i in range(3):
        for j in range(i, 3):
            covariance = mean(guide[i] * guide[j]) - means[i] * means[j]
            matrix[..., i, j] = matrix[..., j, i] = covariance + (epsilon if i == j else 0.0)
    inverse = np.linalg.inv(matrix)
    return [[inverse[..., i, j] for j in range(3)] for i in range(3)]
