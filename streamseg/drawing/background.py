"""What surrounds some classes, changed: made transparent, blurred, or replaced."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.blend import Step
from streamseg.drawing.matte import grown, matte
from streamseg.drawing.options import DEFAULT_BACKGROUND, DrawOptions
from streamseg.drawing.orientation import Orientation
from streamseg.drawing.yuv import ColourSpec, Layout, Plane, rgb_to_planes
from streamseg.models.colours import colour_named

_BLURRED_AWAY = 40
"""How often a blur's sigma fits into a picture's shorter side: letters and faces are gone."""
_SMALL_SIGMA = 3.0
"""Of the blur on a reduced picture, in its samples."""


class Backdrop(Protocol):
    """Pictures to be seen behind what is kept."""

    def rgb_at(self, seconds: float) -> NDArray[np.uint8]:
        """RGB ``[H, W, 3]``, upright, at any size; the same array as long as it does not change."""
        ...

    def close(self) -> None:
        """Close what is open."""
        ...


class Plain:
    """A `Backdrop` of one colour."""

    def __init__(self, colour: tuple[int, int, int]) -> None:
        self._rgb = np.full((2, 2, 3), colour, np.uint8)

    def rgb_at(self, seconds: float) -> NDArray[np.uint8]:
        """One colour, small."""
        return self._rgb

    def close(self) -> None:
        """Nothing is open."""


def plain_backdrop(draw: DrawOptions, *, transparent: bool = False) -> Plain | None:
    """The colour that options name, black where it is not to be seen; None if it is a file's."""
    colour = colour_named(str(draw.background or DEFAULT_BACKGROUND))
    if colour is None:
        return None
    return Plain((0, 0, 0) if transparent else colour)


class BackgroundPainter:
    """A `streamseg.drawing.painter.Painter` that keeps some classes and changes the rest.

    Args:
        kept: ``[256]``: which classes are kept, by index.
        layout: of the planes.
        size: width and height of the pictures, as stored.
        orientation: how a player turns them.
        smooth: whether borders are decided anew.
        backdrop: what the rest is replaced by; None blurs it.
        transparent: the matte goes into a plane of its own, behind the others.
    """

    def __init__(
        self,
        kept: NDArray[np.bool_],
        *,
        layout: Layout,
        size: tuple[int, int],
        orientation: Orientation,
        smooth: bool,
        backdrop: Backdrop | None,
        transparent: bool = False,
    ) -> None:
        self._kept = kept.astype(np.uint8)
        self._layout, self._size, self._orientation = layout, size, orientation
        self._smooth, self._backdrop, self._transparent = smooth, backdrop, transparent
        self._colour: ColourSpec | None = None
        self._mattes: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._behind: list[Plane] = []
        self._shown: NDArray[np.uint8] | None = None

    def prepare(self, colour: ColourSpec) -> None:
        """From now on samples are to be read so."""
        self._colour, self._shown = colour, None

    def begin(
        self, sources: Sequence[Plane], labels_HW: NDArray[np.uint8], at_seconds: float
    ) -> None:
        """Make the mattes of a frame, and what is behind it."""
        kept = np.asarray(cv2.LUT(labels_HW, self._kept), np.uint8)
        sizes = {(plane.shape[1], plane.shape[0]) for plane in sources}
        self._mattes = {size: matte(kept, size, smooth=self._smooth) for size in sizes}
        if self._backdrop is None:
            self._behind = [blurred(plane, self._matte_of(plane)) for plane in sources]
            return
        rgb = self._backdrop.rgb_at(at_seconds)
        if rgb is not self._shown:
            assert self._colour is not None, "a painter is prepared first"
            self._shown = rgb
            fitted = covering(rgb, self._orientation.shown_size(*self._size))
            stored = np.ascontiguousarray(self._orientation.stored(fitted))
            self._behind = rgb_to_planes(stored, self._colour, self._layout)

    def _matte_of(self, plane: Plane) -> NDArray[np.uint8]:
        return self._mattes[plane.shape[1], plane.shape[0]]

    def step(self, index: int, src: Plane, pane: Plane) -> Step:
        """What paints rows of one plane."""
        kept = self._matte_of(src)
        if self._transparent:
            kept = rim_and_inside(kept)
        return partial(keep_rows, src, self._behind[index], kept, pane, 2**self._layout.bits - 1)

    def finish(self, sources: Sequence[Plane], panes: Sequence[Plane]) -> None:
        """Nothing is left to be done."""

    def transparency(self, plane: Plane) -> None:
        """Write how much of every pixel is seen into a plane of the frame's depth."""
        seen = self._matte_of(plane)
        top = 2**self._layout.bits - 1
        plane[:] = seen if top == 255 else np.round(seen * (top / 255)).astype(plane.dtype)


def rim_and_inside(seen: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What of a picture lies under what is not all transparent: 255, else 0.

    A rim shows some of the picture's own colour; beyond it there is nothing to be seen, nor to be
    brought back.
    """
    return np.where(grown(seen, 2) > 0, np.uint8(255), np.uint8(0))


def keep_rows(
    src: Plane,
    behind: Plane,
    kept: NDArray[np.uint8],
    dst: Plane,
    most: int,
    top: int,
    bottom: int,
) -> None:
    """Mix rows `top` to `bottom` of two planes; where all is kept, samples come as they are.

    Args:
        src: what is kept, by `kept`: 255 all of it.
        behind: the rest.
        kept: ``[h, w]``
        dst: written to.
        most: the largest sample.
        top: first row.
        bottom: the row behind the last.
    """
    source, other = src[top:bottom], behind[top:bottom]
    weight: Plane = kept[top:bottom]
    if source.ndim == 3:
        weight = cv2.merge([weight] * source.shape[2])
    if source.dtype == np.uint16:
        weight = weight.astype(np.uint16) * np.uint16(257)
    full = np.iinfo(source.dtype).max
    mixed = cv2.multiply(source, weight, scale=1 / full)
    # Both are rounded: together they may be one too many.
    cv2.add(mixed, cv2.multiply(other, full - weight, scale=1 / full), dst=mixed)
    np.minimum(mixed, most, out=dst[top:bottom])


def blurred(plane: Plane, kept: NDArray[np.uint8]) -> Plane:
    """A plane ``[H, W]`` or ``[H, W, C]`` blurred as if what is kept were not there.

    Args:
        plane: of any depth.
        kept: ``[H, W]``: 255 where a sample is kept, and must not bleed into what surrounds it.
    """
    height, width = plane.shape[:2]
    sigma = max(1.0, min(width, height) / _BLURRED_AWAY)
    shrink = max(1.0, sigma / _SMALL_SIGMA)
    small = max(1, round(width / shrink)), max(1, round(height / shrink))
    away: Plane = np.subtract(255, kept, dtype=np.uint8)
    weight = cv2.resize(away, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    weight = np.maximum(weight, 1e-3)  # where all is kept, nothing of this is seen
    samples = cv2.resize(plane, small, interpolation=cv2.INTER_AREA).astype(np.float32)
    sigma /= shrink
    weighted = samples * (weight[..., None] if samples.ndim == 3 else weight)
    edge = cv2.BORDER_REPLICATE
    over = cv2.GaussianBlur(weighted, (0, 0), sigma, borderType=edge)
    under = cv2.GaussianBlur(weight, (0, 0), sigma, borderType=edge)
    mean = np.rint(over / (under[..., None] if samples.ndim == 3 else under)).astype(plane.dtype)
    return np.asarray(cv2.resize(mean, (width, height), interpolation=cv2.INTER_LINEAR))


def covering(rgb_HWC: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """A picture enlarged or reduced until it covers width and height, its middle cut out."""
    width, height = size
    rows, columns = rgb_HWC.shape[:2]
    scale = max(width / columns, height / rows)
    wide, high = max(width, round(columns * scale)), max(height, round(rows * scale))
    way = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    scaled = np.asarray(cv2.resize(rgb_HWC, (wide, high), interpolation=way), np.uint8)
    left, top = (wide - width) // 2, (high - height) // 2
    return scaled[top : top + height, left : left + width]
