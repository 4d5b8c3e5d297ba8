"""Takes specks out of label maps."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def without_specks(labels_HW: NDArray[np.uint8], min_area: int) -> NDArray[np.uint8]:
    """The labels with small areas given to what surrounds them; a new array, or the same one.

    Args:
        labels_HW: classes.
        min_area: connected areas (across corners too) of fewer labels are filled, each label with
            the class of the nearest one that stays. If nothing is that large, nothing changes.
    """
    specks = np.zeros(labels_HW.shape, np.uint8)
    for label in np.flatnonzero(np.bincount(labels_HW.ravel(), minlength=1)):
        there = (labels_HW == label).view(np.uint8)
        _, areas, stats, _ = cv2.connectedComponentsWithStats(there, connectivity=8)
        small = np.asarray(stats)[:, cv2.CC_STAT_AREA] < min_area
        small[0] = False  # what is not of this class
        if small.any():
            specks |= small.astype(np.uint8)[np.asarray(areas)]
    if not specks.any() or specks.all():
        return labels_HW
    # The nearest label that stays: OpenCV numbers those of distance 0.
    _, nearest = cv2.distanceTransformWithLabels(
        specks, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    number = np.asarray(nearest)
    stays = specks == 0
    class_of = np.zeros(int(number.max()) + 1, np.uint8)
    class_of[number[stays]] = labels_HW[stays]
    return np.where(stays, labels_HW, class_of[number])
