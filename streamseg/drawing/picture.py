"""Draws labels onto a picture in RGB. Frames of a video are drawn on by `drawing.composite`."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.composite import covered_classes
from streamseg.drawing.legend import blend_legend, draw_legend, fits_legend
from streamseg.drawing.options import DrawOptions
from streamseg.drawing.stretch import stretch
from streamseg.models.palette import Palette


def draw_on_picture(
    picture_HWC: NDArray[np.uint8],
    labels_HW: NDArray[np.uint8],
    palette: Palette,
    options: DrawOptions,
) -> NDArray[np.uint8]:
    """A new picture, RGB uint8 ``[H, W, 3]`` (twice as wide if side by side).

    Args:
        picture_HWC: RGB; it is not changed, and pixels that are not drawn on come back as they are.
        labels_HW: classes at any size, stretched over the picture.
        palette: classes and colours.
        options: how.

    Raises:
        UsageError: an unknown class.
    """
    height, width = picture_HWC.shape[:2]
    covered = covered_classes(palette, options.classes)
    labels = stretch(labels_HW, width, height)
    table = np.zeros((256, 3), np.uint8)
    table[: len(palette)][covered] = np.asarray(palette.colours, np.uint8)[covered]
    drawn = table[labels]
    if options.mode != "mask":
        share = options.alpha
        blended = cv2.addWeighted(picture_HWC, 1 - share, drawn, share, 0)
        shown = np.zeros(256, np.bool_)
        shown[: len(palette)] = covered
        drawn = np.where(shown[labels][..., None], blended, picture_HWC)
    if options.legend and fits_legend(width, height):
        panel = draw_legend(palette, covered, max_height=height, max_width=width)
        blend_legend(drawn[: panel.shape[0], : panel.shape[1]], panel)
    if options.mode == "side-by-side":
        drawn = np.concatenate([picture_HWC, drawn], axis=1)
    return np.ascontiguousarray(drawn, dtype=np.uint8)
