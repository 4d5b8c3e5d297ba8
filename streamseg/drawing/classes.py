"""Which classes are drawn, kept, and how strongly: from options to arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.options import DrawOptions
from streamseg.errors import UsageError
from streamseg.models.colours import BACKGROUNDS
from streamseg.models.palette import Palette

UNDRAWN = 255
"""No class has this index: a palette has 255 at most."""


def covered_classes(palette: Palette, classes: Sequence[str] | None) -> NDArray[np.bool_]:
    """Which classes are drawn, bool ``[K]``: those asked for, else all that are some thing.

    Raises:
        UsageError: an unknown name (the message lists the known ones), or none at all.
    """
    if classes is None:
        things = np.array([name.casefold() not in BACKGROUNDS for name in palette.names], np.bool_)
        return things if things.any() else ~things
    covered = np.zeros(len(palette), np.bool_)
    if isinstance(classes, str):
        raise UsageError(f"classes is {classes!r}; give a list of names, as [{palette.names[0]!r}]")
    for name in classes:
        covered[_index(palette, name)] = True
    if not covered.any():
        raise UsageError(f"no class to draw; known: {', '.join(palette.names)}")
    return covered


def kept_classes(palette: Palette, draw: DrawOptions) -> NDArray[np.bool_]:
    """Which classes stay as they are where the rest is changed, bool ``[256]`` by index.

    Raises:
        UsageError: as `covered_classes`; or all classes are meant, so that nothing would change.
    """
    covered = covered_classes(palette, draw.classes)
    if draw.classes is None and covered.all():
        raise UsageError(
            f"--mode {draw.mode} needs --classes: every class of this model is some thing, "
            f"and all would be kept; known: {', '.join(palette.names)}"
        )
    kept = np.zeros(256, np.bool_)
    kept[: len(palette)] = covered
    return ~kept if draw.invert else kept


def class_alphas(
    palette: Palette, covered: NDArray[np.bool_], draw: DrawOptions
) -> NDArray[np.float64]:
    """Share of each class's colour, ``[K]``; 0 for those that are not drawn.

    Raises:
        UsageError: an unknown class.
    """
    alpha = np.full(len(palette), draw.alpha)
    for name, value in draw.class_alpha.items():
        alpha[_index(palette, name)] = value
    if draw.mode == "mask":
        alpha[:] = 1.0
    return np.where(covered, alpha, 0.0)


def seen_classes(
    alpha: NDArray[np.float64], covered: NDArray[np.bool_], draw: DrawOptions
) -> NDArray[np.bool_]:
    """Which classes a legend may list, ``[K]``: not those that alone have a share of 0."""
    if draw.contours or not alpha.any():
        return covered
    return covered & (alpha > 0)


def classes_by_looks(covered: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Classes by their looks, ``[256]``: those that are not drawn are one, `UNDRAWN`."""
    looks = np.full(256, UNDRAWN, np.uint8)
    looks[: len(covered)][covered] = np.flatnonzero(covered)
    return looks


def _index(palette: Palette, name: str) -> int:
    if name not in palette.names:
        raise UsageError(f"unknown class {name!r}; known: {', '.join(palette.names)}")
    return palette.names.index(name)
