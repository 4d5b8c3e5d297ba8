from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from train.evaluation.lattice import Lattice


def exact(features: NDArray[np.float64], values: NDArray[np.float32]) -> NDArray[np.float64]:
    """The sum over all pairs that the lattice stands for."""
    squares = ((features[:, None] - features[None]) ** 2).sum(axis=-1)
    return np.asarray(np.exp(-squares / 2) @ values)


@pytest.mark.parametrize("dimensions", [1, 2, 3, 5])
def test_it_filters_like_a_gaussian(dimensions: int) -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(600, dimensions)) * 1.5
    values = rng.random((600, 3)).astype(np.float32)
    ours, theirs = Lattice(features)(values), exact(features, values)
    assert np.corrcoef(ours.ravel(), theirs.ravel())[0, 1] > (0.99 if dimensions < 5 else 0.97)


def test_far_points_do_not_mix_and_equal_ones_share() -> None:
    features = np.array([[0.0, 0.0], [0.0, 0.0], [40.0, -7.0]])
    out = Lattice(features)(np.array([[1], [3], [100]], np.float32))
    assert out[0] == pytest.approx(out[1])
    one = Lattice(features[2:])(np.array([[100]], np.float32))
    assert out[2] == pytest.approx(one[0])
    assert 0 < out[0] < 10


def test_it_is_linear() -> None:
    rng = np.random.default_rng(1)
    lattice = Lattice(rng.normal(size=(50, 3)))
    a, b = rng.random((2, 50, 1)).astype(np.float32)
    np.testing.assert_allclose(lattice(2 * a + b), 2 * lattice(a) + lattice(b), rtol=1e-4)


def test_where_the_origin_lies_does_not_matter_much() -> None:
    """Keys of negative and of large positions must not be mixed up."""
    rng = np.random.default_rng(2)
    features, values = rng.normal(size=(300, 5)), rng.random((300, 2)).astype(np.float32)
    near, far = Lattice(features)(values), Lattice(features - 1000)(values)
    assert np.corrcoef(near.ravel(), far.ravel())[0, 1] > 0.98
