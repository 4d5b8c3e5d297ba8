"""Draws labels onto a picture in RGB. Frames of a video are drawn on by `drawing.composite`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.background import (
    Backdrop,
    blurred,
    covering,
    keep_rows,
    rim_and_inside,
)
from streamseg.drawing.classes import (
    UNDRAWN,
    class_alphas,
    classes_by_looks,
    covered_classes,
    kept_classes,
    seen_classes,
)
from streamseg.drawing.contours import draw_contours
from streamseg.drawing.edges import draw_stroke, edge_strokes, find_edges
from streamseg.drawing.legend import Presence, draw_legend, lay_over
from streamseg.drawing.matte import matte
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
    backdrop: Backdrop | None = None,
) -> NDArray[np.uint8]:
    """A new picture, RGB uint8 ``[H, W, 3]`` (twice as wide if side by side).

    Args:
        picture_HWC: RGB; it is not changed, and pixels that are not drawn on come back as they are.
        labels_HW: classes at any size, stretched over the picture.
        palette: classes and colours.
        options: how.
        backdrop: what is seen behind what is kept. A cut-out without one is transparent there:
            RGBA, ``[H, W, 4]``.

    Raises:
        UsageError: an unknown class, or a palette that has none of them.
    """
    height, width = picture_HWC.shape[:2]
    palette = recoloured(palette, options.palette)
    covered = covered_classes(palette, options.classes)
    looks = classes_by_looks(covered)
    colours = np.zeros((256, 3), np.uint8)
    colours[: len(palette)][covered] = np.asarray(palette.colours, np.uint8)[covered]
    alpha = np.full(256, 1.0 if options.mode == "mask" else 0.0)
    alpha[: len(palette)][covered] = class_alphas(palette, covered, options)[covered]
    table = ClassTable(colour=colours, alpha=alpha, classes=len(palette))
    seen = None
    if options.changes_background:
        kept = kept_classes(palette, options)[labels_HW].astype(np.uint8)
        seen = matte(kept, (width, height), smooth=options.edges == "smooth")
        drawn = _kept(picture_HWC, seen, options, backdrop)
    else:
        drawn = _painted(picture_HWC, labels_HW, table, looks, smooth=options.edges == "smooth")
    if options.contours:
        smooth = options.edges == "smooth"
        draw_contours([drawn], labels_HW, [table], looks, looks != UNDRAWN, smooth=smooth)
    if options.mode == "wipe":
        line = max(1, min(height, width) // 300)
        left = (width - line) // 2
        drawn[:, :left], drawn[:, left : left + line] = picture_HWC[:, :left], 255
    if options.legend:
        shown = seen_classes(alpha[: len(palette)], covered, options)
        listed = Presence(shown).see(labels_HW, 0.0)
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
    if seen is not None and options.mode == "cutout" and backdrop is None:
        drawn = np.dstack([drawn, seen])
    return np.ascontiguousarray(drawn, dtype=np.uint8)


def _painted(
    picture_HWC: NDArray[np.uint8],
    labels_HW: NDArray[np.uint8],
    table: ClassTable,
    looks: NDArray[np.uint8],
    *,
    smooth: bool,
) -> NDArray[np.uint8]:
    """Class colours over the picture."""
    height, width = picture_HWC.shape[:2]
    labels = stretch(labels_HW, width, height)
    share = table.alpha.astype(np.float32)[labels][..., None]
    drawn = np.rint(picture_HWC * (1 - share) + table.colour[labels] * share).astype(np.uint8)
    if smooth and labels_HW.shape != (height, width):
        for stroke in edge_strokes(find_edges(looks[labels_HW]), (width, height)):
            draw_stroke(picture_HWC, drawn, stroke, table)
    return drawn


def _kept(
    picture_HWC: NDArray[np.uint8],
    seen: NDArray[np.uint8],
    options: DrawOptions,
    backdrop: Backdrop | None,
) -> NDArray[np.uint8]:
    """What is kept of the picture, and what is behind it."""
    height, width = picture_HWC.shape[:2]
    if options.mode == "blur":
        behind = np.asarray(blurred(picture_HWC, seen), np.uint8)
    elif backdrop is not None:
        behind = covering(backdrop.rgb_at(0.0), (width, height))
    else:
        behind, seen = np.zeros_like(picture_HWC), rim_and_inside(seen)
    drawn = np.empty_like(picture_HWC)
    keep_rows(picture_HWC, behind, seen, drawn, 255, 0, height)
    return drawn
