"""Draws stencils onto planes, in strips of rows over a small pool of threads.

A strip is small enough to stay in a core's cache between the few passes it takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import TypeAlias

import cv2
import numpy as np

from streamseg.drawing.stencil import Stencil
from streamseg.drawing.yuv import Plane

Step: TypeAlias = Callable[[int, int], None]
"""Does something to the rows from one to before another."""

_STRIP_SAMPLES = 1 << 18
"""Samples of a strip: 256 KiB of 8-bit video, a part of any core's second cache."""
_WORTH_A_THREAD = 1 << 20
"""Samples of a plane below which handing it to a thread costs more than it saves."""

_PIECES_WORTH_A_POOL = 4


class Strips:
    """Runs work on rows of planes, on as many threads as pay.

    Args:
        threads: at most; 1 works in the caller's.
    """

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads
        self._pool: ThreadPoolExecutor | None = None

    def run(self, planes: Sequence[tuple[Plane, Sequence[Step]]]) -> None:
        """Take each plane's steps on all of its rows, strip by strip: ``step(top, bottom)``.

        Args:
            planes: each with its steps; strips of one plane may run at the same time.
        """
        bands = [
            partial(_in_strips, steps, plane.size // max(1, plane.shape[0]), band)
            for plane, steps in planes
            for band in self._bands(plane)
        ]
        if len(bands) == len(planes):
            for band in bands:
                band()
        else:
            self.each(bands)

    def each(self, work: Sequence[Callable[[], None]]) -> None:
        """Do each piece of work; several may run at the same time."""
        if self._threads == 1 or len(work) < _PIECES_WORTH_A_POOL:
            for piece in work:
                piece()
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="streamseg-strips")
        for future in [self._pool.submit(piece) for piece in work]:
            future.result()

    def _bands(self, plane: Plane) -> list[tuple[int, int]]:
        parts = max(1, min(self._threads, plane.size // _WORTH_A_THREAD))
        edges = [plane.shape[0] * i // parts for i in range(parts + 1)]
        return list(pairwise(edges))

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()


def _in_strips(steps: Sequence[Step], width: int, band: tuple[int, int]) -> None:
    height = max(1, _STRIP_SAMPLES // max(1, width))
    for top in range(band[0], band[1], height):
        for step in steps:
            step(top, min(top + height, band[1]))


def copy_rows(src: Plane, dst: Plane, top: int, bottom: int) -> None:
    """Copy rows `top` to `bottom` of a plane."""
    np.copyto(dst[top:bottom], src[top:bottom])


def draw_rows(
    src: Plane, dst: Plane, stencil: Stencil, alpha: float, top: int, bottom: int
) -> None:
    """Draw a stencil over rows `top` to `bottom` of a plane ``[H, W]``.

    Where there is no `Stencil.keep`, `alpha` is the share of the colour; where there is, samples of
    which all is kept come back as they are, and others within 1.5 of the exact blend.
    """
    rows, source, target = stencil.row_of[top:bottom], src[top:bottom], dst[top:bottom]
    if stencil.keep is None:
        _blend_alike(source, target, stencil.colour.take(rows, axis=0, mode="clip"), alpha)
        return
    left, right = stencil.columns(rows)
    np.copyto(target[:, :left], source[:, :left])
    np.copyto(target[:, right:], source[:, right:])
    if left < right:
        part = np.s_[rows[0] : rows[-1] + 1, left:right]
        rows = rows - rows[0]
        colour = stencil.colour[part].take(rows, axis=0, mode="clip")
        keep = stencil.keep[part].take(rows, axis=0, mode="clip")
        full = np.iinfo(keep.dtype).max
        kept = cv2.multiply(source[:, left:right], keep, dst=keep, scale=1 / full)
        cv2.add(kept, colour, dst=target[:, left:right])


def _blend_alike(source: Plane, target: Plane, colour: Plane, alpha: float) -> None:
    """One alpha everywhere; `colour` as `ClassTable.blended` gives it."""
    if alpha == 1:
        np.copyto(target, colour)
    elif alpha == 0.5:
        # The colours are halved already: within half a level, in two thirds of the time.
        np.right_shift(source, 1, out=target)
        np.add(target, colour, out=target)
    else:
        cv2.addWeighted(source, 1 - alpha, colour, alpha, 0, dst=target)
