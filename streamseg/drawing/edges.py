"""Smooth borders between classes, where labels are enlarged. Knows nothing about frames and files.

Labels enlarged by the nearest centre are stairs. Here the classes' shares are decided anew between
label centres, from the classes around: each class's map of 0 and 1 is blurred a little, enlarged
bilinearly, and the larger one wins, with a rim of one pixel in which both are mixed. Only the cells
between four centres that are not of one class are touched, and a centre keeps its class: nothing
thin is lost, and away from borders nothing changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.stencil import ClassTable, nearest
from streamseg.drawing.yuv import Plane

Floats = NDArray[np.float32]

_SIGMA = 1.0
"""Of the blur, in labels: steps of one label in five become a line."""
_REACH = 2
"""How far the blur reaches, in labels."""
_WINDOW = 2 * _REACH + 2
"""Labels on a side of the square that decides a cell."""
_CORNERS = np.add.outer((_WINDOW * _REACH, _WINDOW * (_REACH + 1)), (_REACH, _REACH + 1)).ravel()
"""Where a cell's own four labels lie in it."""
_KEPT = 0.1
"""By how much of 1 a centre's own class leads there at least."""
_THIN = 0.5
"""The same where the blur would let it lose, at most: what is thin stays as wide as it was."""
_FLATTEST = 0.2
"""Of the usual change of a lead from one centre to the next: where borders cross it is none."""
_SAMPLES_AT_ONCE = 1 << 15
"""What is computed of so many stays in a core's cache."""
_COLUMNS_AT_ONCE = 1024
"""Of a product of matrices: more would wake OpenBLAS's other threads, for less than that costs."""
_VISIBLE = 1 / 512
"""The least change of a share that can change a sample of 8 bits."""


@dataclass(frozen=True, slots=True)
class Cells:
    """N cells between four label centres, all with C classes. N is last: long runs for NumPy."""

    row: NDArray[np.intp]
    """``[N]``: between rows ``row - 1`` and ``row`` of the labels, 0 to their count."""
    column: NDArray[np.intp]
    classes: NDArray[np.uint8]
    """``[C, N]``: the classes that meet here."""
    scores: Floats
    """``[C, 2, 2, N]``: what speaks for each at the four centres, 0..1; -1 for a repeated class."""

    @property
    def lead(self) -> Floats:
        """``[2, 2, N]``: by how much the first of two classes leads at the four centres."""
        return np.asarray(self.scores[0] - self.scores[1])

    def take(self, which: NDArray[np.intp] | slice) -> Cells:
        """Some of them."""
        return Cells(
            self.row[which],
            self.column[which],
            self.classes[:, which],
            self.scores[..., which],
        )


@dataclass(frozen=True, slots=True)
class Edges:
    """Where classes meet on a label map."""

    shape: tuple[int, int]
    """Rows and columns of the labels."""
    cells: tuple[Cells, ...]
    """Those of two classes, and those of more."""


def find_edges(labels_HW: NDArray[np.uint8]) -> Edges:
    """The cells of a label map in which classes meet."""
    padded = np.pad(labels_HW, 1 + _REACH, mode="edge")
    inner = padded[_REACH:-_REACH, _REACH:-_REACH]
    square = np.ones((2, 2), np.uint8)
    low = np.asarray(cv2.erode(inner, square, borderType=cv2.BORDER_REPLICATE))[1:, 1:]
    high = np.asarray(cv2.dilate(inner, square, borderType=cv2.BORDER_REPLICATE))[1:, 1:]
    at = np.flatnonzero((low != high).ravel())
    if not at.size:
        return Edges(labels_HW.shape, ())
    row, column = np.divmod(at, low.shape[1])
    pairs = np.stack([low.ravel()[at], high.ravel()[at]]).astype(np.uint8, copy=False)
    places = np.add.outer(np.arange(_WINDOW) * padded.shape[1], np.arange(_WINDOW)).ravel()
    windows = padded.ravel().take(places[:, None] + (row * padded.shape[1] + column), mode="clip")
    around = windows[_CORNERS]
    two = ((around == pairs[0]) | (around == pairs[1])).all(axis=0)
    if two.all():
        cells = [_cells(row, column, pairs, windows)]
    else:
        more = np.flatnonzero(~two)
        two = np.flatnonzero(two)
        cells = [
            _cells(row[two], column[two], pairs[:, two], windows[:, two]),
            _cells(row[more], column[more], np.sort(around[:, more], axis=0), windows[:, more]),
        ]
    return Edges(labels_HW.shape, tuple(cells))


def _blur_at_corners() -> Floats:
    """``[4, 36]``: a window of labels -> its blur at the four centres in its middle."""
    line = np.zeros((2, _WINDOW))
    for corner in range(2):
        line[corner, corner : corner + 2 * _REACH + 1] = cv2.getGaussianKernel(
            2 * _REACH + 1, _SIGMA
        ).ravel()
    return np.kron(line, line).astype(np.float32)


_BLUR = _blur_at_corners()


def _cells(
    row: NDArray[np.intp],
    column: NDArray[np.intp],
    classes: NDArray[np.uint8],
    windows: NDArray[np.uint8],
) -> Cells:
    """Cells, of ``[36, N]`` labels in and around each."""
    scores: Floats = np.empty((len(classes), len(_BLUR), len(row)), np.float32)
    for own, score in zip(classes, scores, strict=True):
        present = (windows == own).astype(np.float32)
        for start in range(0, len(row), _COLUMNS_AT_ONCE):
            part = np.s_[:, start : start + _COLUMNS_AT_ONCE]
            np.matmul(_BLUR, present[part], out=score[part])
    own = classes[:, None] == windows[_CORNERS]
    others = np.where(own, -1, scores).max(axis=0)
    lead = scores - others
    lead = np.maximum(lead, np.minimum(-2 * lead, np.float32(_THIN)))
    lead = np.maximum(lead, np.float32(_KEPT))
    scores = np.where(own, others + lead, scores)
    np.copyto(scores[1:], -1, where=(classes[1:] == classes[:-1])[:, None])
    return Cells(row, column, classes, scores.reshape(len(classes), 2, 2, -1))


@dataclass(frozen=True, slots=True)
class Stroke:
    """Samples of a plane and the classes that share them."""

    y: NDArray[np.intp]
    """``[n]``"""
    x: NDArray[np.intp]
    classes: NDArray[np.uint8]
    """``[C, n]``"""
    shares: Sequence[Floats]
    """C times ``[n]``; all add up to 1."""


def edge_strokes(edges: Edges, size: tuple[int, int], *, every: bool = False) -> list[Stroke]:
    """What is to be drawn again on planes of one size that were drawn with the nearest labels.

    Args:
        edges: of the labels.
        size: width and height of the planes.
        every: all samples of the cells; else only those that the nearest labels get wrong.
    """
    axes = _Axis(edges.shape[0], size[1]), _Axis(edges.shape[1], size[0])
    strokes = []
    for cells in edges.cells:
        if not (axes[0].seen.all() and axes[1].seen.all()):
            cells = cells.take(np.flatnonzero(axes[0].seen[cells.row] & axes[1].seen[cells.column]))
        at_once = max(1, _SAMPLES_AT_ONCE // (axes[0].most * axes[1].most))
        for start in range(0, len(cells.row), at_once):
            part = cells.take(slice(start, start + at_once))
            strokes.append(_stroke(part, axes, every))
    return strokes


def draw_stroke(src: Plane, dst: Plane, stroke: Stroke, table: ClassTable) -> None:
    """Blend classes over some samples.

    Args:
        src: a plane as decoded, ``[H, W]`` or ``[H, W, C]``.
        dst: what is drawn on.
        stroke: which samples.
        table: how classes look on this plane.
    """
    wide = (slice(None),) + (None,) * (src.ndim - 2)
    drawn = np.zeros((len(stroke.y), *src.shape[2:]), np.float32)
    kept = np.ones(len(stroke.y), np.float32)
    colours, alphas = table.colour.astype(np.float32), table.alpha.astype(np.float32)
    for candidate, share in enumerate(stroke.shares):
        classes = stroke.classes[candidate]
        alpha = alphas[classes] * share
        kept -= alpha
        drawn += colours[classes] * alpha[wide]
    drawn += src[stroke.y, stroke.x] * kept[wide]
    dst[stroke.y, stroke.x] = np.rint(drawn)


class _Axis:
    """Which samples along one side of a plane lie in which cell, and where in it."""

    def __init__(self, labels: int, samples: int) -> None:
        place = (np.arange(samples, dtype=np.float64) + 0.5) * labels / samples + 0.5
        cell = np.floor(place).astype(np.intp)
        self._first = np.searchsorted(cell, np.arange(labels + 2))
        self._fraction = (place - cell).astype(np.float32)
        self._further = nearest(labels, samples) == cell
        counts = np.diff(self._first)
        self.most = int(counts.max())
        """Samples in a cell, at most."""
        self.seen = counts > 0
        """``[labels + 1]``: whether a sample lies in a cell."""
        self.scale = labels / samples
        """Labels per sample."""

    def samples(self, cell: NDArray[np.intp]) -> tuple[NDArray[np.intp], Floats, NDArray[np.bool_]]:
        """``[most, N]``: the samples in cells, the last ones repeated; where in them; whether the
        nearest centre is the further one."""
        first, last = self._first[cell], self._first[cell + 1] - 1
        samples = np.minimum(first + np.arange(self.most)[:, None], last)
        return samples, self._fraction[samples], self._further[samples]


def _stroke(cells: Cells, axes: tuple[_Axis, _Axis], every: bool) -> Stroke:
    rows, down, lower = axes[0].samples(cells.row)
    columns, across, later = axes[1].samples(cells.column)
    shares = _shares(cells, down, across, (axes[0].scale, axes[1].scale))
    if every:
        changed = np.arange(shares[0].size)
    else:
        leads = cells.lead > 0
        sides = np.where(lower[:, None], leads[1], leads[0])
        plain = (sides[:, None, 1] & later) | (sides[:, None, 0] & ~later)
        changed = np.flatnonzero(np.abs(shares[0] - plain) > _VISIBLE)
    at, cell = np.divmod(changed, len(cells.row))
    y, x = np.divmod(at, len(columns))
    return Stroke(
        rows[y, cell],
        columns[x, cell],
        cells.classes[:, cell],
        [share.ravel()[changed] for share in shares],
    )


def _shares(cells: Cells, down: Floats, across: Floats, scale: tuple[float, float]) -> list[Floats]:
    """``[h, w, N]`` for each candidate: how much of every sample it gets; all add up to 1."""
    if len(cells.classes) == 2:
        lead = cells.lead
        rise = (lead[1] - lead[0]).mean(axis=0) * scale[0]
        run = (lead[:, 1] - lead[:, 0]).mean(axis=0) * scale[1]
        # One sample is what the lead changes by over one sample, across the border.
        steep = np.maximum(np.hypot(rise, run), _FLATTEST * min(scale))
        first = _between(lead / steep + np.float32(0.5), down, across)
        np.clip(first, 0, 1, out=first)
        return [first, 1 - first]
    values = np.stack([_between(scores, down, across) for scores in cells.scores])
    shares = []
    for candidate, value in enumerate(values):
        others = reduce(np.maximum, [*values[:candidate], *values[candidate + 1 :]])
        shares.append(np.clip((value - others) / min(scale) + 0.5, 0, 1))
    total = np.sum(shares, axis=0)
    return [share / total for share in shares]


def _between(corners: Floats, down: Floats, across: Floats) -> Floats:
    """``[2, 2, N]`` at the corners -> ``[h, w, N]`` at ``[h, N]`` and ``[w, N]`` of the way."""
    sides = corners[0] + down[:, None] * (corners[1] - corners[0])
    values = (sides[:, 1] - sides[:, 0])[:, None] * across
    values += sides[:, None, 0]
    return np.asarray(values)
