"""Draws labels onto a picture in RGB. Frames of a video are drawn on by `drawing.composite`."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.composite import UNDRAWN, covered_classes
from streamseg.drawing.edges import draw_stroke, edge_strokes, find_edges
from streamseg.drawing.legend import Presence, draw_legend, lay_over
from streamseg.drawing.options import DrawOptions
from streamseg.drawing.stencil import ClassTable
from streamseg.drawing.stretch import stretch
from streamseg.models.colours import recoloured
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
        UsageError: an unknown class, or a palette that has none of them.
    """
    height, width = picture_HWC.shape[:2]
    palette = recoloured(palette, options.palette)
    covered = covered_classes(palette, options.classes)
    labels = stretch(labels_HW, width, height)
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette)][covered] = np.asarray(palette.colours, np.uint8)[covered]
    alpha = np.full(256, 1.0 if options.mode == "mask" else 0.0)
    looks = np.full(256, UNDRAWN, np.uint8)
    looks[: len(palette)][covered] = np.flatnonzero(covered)
    drawn = colours[labels]
    if options.mode != "mask":
        alpha[: len(palette)][covered] = options.alpha
        blended = cv2.addWeighted(picture_HWC, 1 - options.alpha, drawn, options.alpha, 0)
        drawn = np.where((alpha > 0)[labels][..., None], blended, picture_HWC)
    if options.edges == "smooth" and labels_HW.shape != (height, width):
        table = ClassTable(colour=colours, alpha=alpha, classes=len(palette))
        for stroke in edge_strokes(find_edges(looks[labels_HW]), (width, height)):
            draw_stroke(picture_HWC, drawn, stroke, table)
    if options.legend:
        listed = Presence(covered).see(labels_HW, 0.0)
        legend = draw_legend(
            palette, listed, width=width, height=height, alpha=alpha[: len(palette)]
        )
        if legend is not None:
            rows, columns = legend.weight.shape
            corner = np.s_[legend.margin : legend.margin + rows]
            side = np.s_[legend.margin : legend.margin + columns]
            lay_over(drawn[corner, side], legend.rgb, legend.weight)
    if options.mode == "side-by-side":
        drawn = np.concatenate([picture_HWC, drawn], axis=1)
    return np.ascontiguousarray(drawn, dtype=np.uint8)
