"""Gaussian filtering in many dimensions on the permutohedral lattice (Adams, Baek, Davis 2010).

A sum over all pairs of points, ``out[i] = sum_j exp(-|f_i - f_j|^2 / 2) values[j]``, is
approximated up to a constant factor in time linear in the points: each point spreads its value over
the d + 1 corners of the lattice simplex around it, the lattice is blurred along its d + 1 axes, and
each point reads its corners.

Knows nothing about pictures. Shape legend: P points, d dimensions, M lattice corners in use, K
values per point.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float32]


class Lattice:
    """The filter for one set of points; build once, apply many times.

    Args:
        features_Pd: positions, in units of the Gaussian's standard deviation.
    """

    def __init__(self, features_Pd: NDArray[np.floating]) -> None:
        points, d = features_Pd.shape
        corners, self._weights = _enclosing_simplex(features_Pd.astype(np.float64))
        keys = corners.reshape(points * (d + 1), d)
        low = keys.min(axis=0) - (d + 1)  # room for the neighbours' keys: none may wrap round
        radix = np.cumprod([1, *(keys.max(axis=0) - low + d + 2)[:-1].tolist()])
        packed, first, where = np.unique(
            (keys - low) @ radix, return_index=True, return_inverse=True
        )
        self._neighbours = _neighbours(keys[first] - low, packed, radix)
        rows = np.repeat(np.arange(points), d + 1)
        self._slice = sparse.csr_matrix(
            (self._weights.ravel().astype(np.float32), (rows, where.ravel())),
            shape=(points, len(packed)),
        )
        self._splat = self._slice.T.tocsr()
        self._gain = np.float32(1 / (1 + 2.0**-d))  # what the blur adds to a constant, undone

    def __call__(self, values_PK: Floats) -> Floats:
        """The filtered values float32 ``[P, K]``; each point itself has a part in its sum."""
        lattice: Floats = self._splat @ values_PK
        # One empty corner at the end stands for every neighbour that no point uses.
        lattice = np.vstack([lattice, np.zeros((1, lattice.shape[1]), np.float32)])
        for before, after in self._neighbours:
            lattice[:-1] += 0.5 * (lattice[before] + lattice[after])
        filtered: Floats = self._slice @ lattice[:-1]
        return filtered * self._gain


def _enclosing_simplex(
    features_Pd: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Keys int64 ``[P, d + 1, d]`` of each point's corners, and its barycentric weights."""
    points, d = features_Pd.shape
    # To the hyperplane of coordinates that sum to 0, where the blur's variance is that of a unit
    # Gaussian (section 4 of the paper).
    axes = np.arange(1, d + 1)
    scaled = features_Pd * (np.sqrt(2 / 3) * (d + 1) / np.sqrt(axes * (axes + 1)))
    later = np.cumsum(scaled[:, ::-1], axis=1)[:, ::-1]  # sums over this and all later axes
    elevated = np.zeros((points, d + 1))
    elevated[:, :-1] = later
    elevated[:, 1:] -= axes * scaled
    nearest = np.rint(elevated / (d + 1)).astype(np.int64)
    excess = nearest.sum(axis=1)
    order = np.argsort(-(elevated - nearest * (d + 1)), axis=1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.arange(d + 1)[None], axis=1)
    rank += excess[:, None]
    wrapped = (rank < 0).astype(np.int64) - (rank > d)
    nearest, rank = nearest + wrapped, rank + (d + 1) * wrapped
    order = np.argsort(rank, axis=1)
    residue = np.take_along_axis(elevated / (d + 1) - nearest, order, axis=1)
    weights = np.empty((points, d + 1))
    weights[:, 1:] = (residue[:, :-1] - residue[:, 1:])[:, ::-1]
    weights[:, 0] = 1 - residue[:, 0] + residue[:, -1]
    corner = np.arange(d + 1)[None, :, None]
    steps = corner - (d + 1) * (rank[:, None, :] > d - corner)
    keys = nearest[:, None, :] * (d + 1) + steps
    return keys[:, :, :d], weights


def _neighbours(
    keys_Md: NDArray[np.int64], packed_M: NDArray[np.int64], radix_d: NDArray[np.int64]
) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """For each axis, the index of the corner before and after each; M where there is none."""
    d = keys_Md.shape[1]
    base = keys_Md @ radix_d
    found = []
    for axis in range(d + 1):
        step = np.ones(d, dtype=np.int64)
        if axis < d:
            step[axis] = -d
        pair = []
        for sign in (-1, 1):
            wanted = base + sign * int(step @ radix_d)
            index = np.minimum(np.searchsorted(packed_M, wanted), len(packed_M) - 1)
            pair.append(np.where(packed_M[index] == wanted, index, len(packed_M)))
        found.append((pair[0], pair[1]))
    return found
