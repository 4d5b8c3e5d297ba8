from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from train.evaluation.crf import CrfConfig, crf_config, refine

Floats = NDArray[np.float32]


def two_halves(seed: int = 0) -> tuple[NDArray[np.uint8], NDArray[np.int64], Floats]:
    """A picture ``[40, 60, 3]`` dark on the left, its labels, and a blurred, shifted guess."""
    rng = np.random.default_rng(seed)
    labels = np.zeros((40, 60), np.int64)
    labels[:, 30:] = 1
    grey = np.where(labels == 0, 60, 180)[..., None] + rng.integers(-2, 3, (40, 60, 3))
    ramp = np.clip((np.arange(60) - 34) / 8, -1.5, 1.5)  # four pixels too far to the right
    score = np.broadcast_to(ramp, (40, 60)) + rng.normal(0, 0.3, (40, 60))
    right = 1 / (1 + np.exp(-score))
    return grey.astype(np.uint8), labels, np.stack([1 - right, right]).astype(np.float32)


def test_labels_move_to_the_edges_of_the_picture() -> None:
    picture, labels, guess = two_halves()
    before = float((guess.argmax(axis=0) == labels).mean())
    refined = refine(guess, picture)
    assert before < 0.95
    assert float((refined.argmax(axis=0) == labels).mean()) > 0.995
    np.testing.assert_allclose(refined.sum(axis=0), 1, atol=1e-5)
    assert refined.shape == guess.shape
    assert refined.dtype == np.float32


def test_without_appearance_it_only_smooths() -> None:
    picture, labels, guess = two_halves()
    config = CrfConfig(appearance_weight=0)
    smooth = refine(guess, picture, config).argmax(axis=0)
    black = refine(guess, np.zeros_like(picture), config).argmax(axis=0)
    assert np.array_equal(smooth, black)
    assert np.count_nonzero(np.diff(smooth, axis=1)) < np.count_nonzero(
        np.diff(guess.argmax(axis=0), axis=1)
    )
    assert float((smooth == labels).mean()) < 0.97  # the edge stays where the guess has it


def test_without_any_weight_nothing_changes() -> None:
    picture, _, guess = two_halves()
    config = CrfConfig(appearance_weight=0, smoothness_weight=0)
    np.testing.assert_allclose(refine(guess, picture, config), guess, atol=1e-5)


def test_it_equals_the_authors_code() -> None:
    """Their C++, where its binding is installed (it is built from source; no wheels)."""
    crf: Any = pytest.importorskip("pydensecrf.densecrf")
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (12, 16, 3)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
    height, width = picture.shape[:2]
    scores = rng.normal(size=(5, 6, 8)).repeat(8, 1).repeat(8, 2)
    guess = (np.exp(scores) / np.exp(scores).sum(axis=0)).astype(np.float32)
    field = crf.DenseCRF2D(width, height, 5)
    field.setUnaryEnergy(np.ascontiguousarray(-np.log(guess).reshape(5, -1)))
    field.addPairwiseGaussian(sxy=3, compat=3)
    field.addPairwiseBilateral(sxy=67, srgb=3, rgbim=picture, compat=4)
    expected = np.array(field.inference(10)).reshape(5, height, width)
    np.testing.assert_allclose(refine(guess, picture), expected, atol=1e-3)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("iterations", 0, "iterations must be at least 1"),
        ("appearance_weight", -1.0, "appearance_weight must not be negative"),
        ("colour_sigma", 0.0, "colour_sigma must be positive"),
    ],
)
def test_values_out_of_range(key: str, value: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CrfConfig(**{key: value})  # type: ignore[arg-type]


def test_sizes_must_agree() -> None:
    with pytest.raises(ValueError, match=r"picture \(40, 60\), probabilities \(40, 61\)"):
        refine(np.ones((2, 40, 61), np.float32), two_halves()[0])


def test_weights_and_widths_can_be_given() -> None:
    assert crf_config(["smoothness_sigma=1", "iterations=5"]) == CrfConfig(
        smoothness_sigma=1.0, iterations=5
    )
    for setting, message in (
        ("x=1", "x=1: unknown key of the CRF; known: iterations, appearance_weight"),
        ("colour_sigma=red", "colour_sigma=red: write KEY=NUMBER"),
        ("colour_sigma=0", "colour_sigma must be positive, got 0.0"),
    ):
        with pytest.raises(ValueError, match=message):
            crf_config([setting])
