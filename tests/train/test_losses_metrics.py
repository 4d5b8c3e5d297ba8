from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from train.data import IGNORE
from train.losses import SegmentationLoss, class_weights
from train.metrics import ConfusionMatrix, Scores

PIXELS = torch.tensor([800, 150, 50])


def test_no_balancing_is_ones() -> None:
    assert class_weights(PIXELS, "none").tolist() == [1, 1, 1]


def test_median_frequency_balancing() -> None:
    weights = class_weights(PIXELS, "median")
    by_hand = np.array([150 / 800, 1, 150 / 50])
    np.testing.assert_allclose(weights.numpy(), by_hand / by_hand.mean(), rtol=1e-6)


def test_its_square_root_costs_the_frequent_classes_less() -> None:
    weights = class_weights(PIXELS, "sqrt")
    by_hand = np.sqrt([150 / 800, 1, 150 / 50])
    np.testing.assert_allclose(weights.numpy(), by_hand / by_hand.mean(), rtol=1e-6)


def test_a_class_without_pixels_has_a_finite_weight() -> None:
    assert bool(torch.isfinite(class_weights(torch.tensor([100, 0, 0]), "median")).all())


def test_the_loss_is_weighted_cross_entropy_plus_the_scaled_auxiliary() -> None:
    torch.manual_seed(0)
    labels = torch.randint(0, 3, (2, 8, 8))
    labels[:, :2] = IGNORE
    main, auxiliary = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8)
    weights = torch.tensor([1.0, 2.0, 0.5])
    loss = SegmentationLoss(weights, auxiliary=0.4)((main, auxiliary), labels)

    def by_hand(scores: torch.Tensor) -> float:
        logs = F.log_softmax(scores, dim=1)
        total = share = 0.0
        for n in range(2):
            for y in range(2, 8):
                for x in range(8):
                    k = int(labels[n, y, x])
                    total -= float(weights[k] * logs[n, k, y, x])
                    share += float(weights[k])
        return total / share

    assert float(loss) == pytest.approx(by_hand(main) + 0.4 * by_hand(auxiliary), rel=1e-5)


def test_scores_of_any_stride_are_resized_to_the_labels() -> None:
    scores = torch.zeros(1, 3, 2, 2)
    scores[:, 1] = 9
    loss = SegmentationLoss(torch.ones(3), auxiliary=0)
    assert float(loss((scores, scores), torch.ones(1, 32, 32, dtype=torch.int64))) < 1e-3


def plain_scores(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], classes: int) -> Scores:
    """The textbook, pixel by pixel."""
    pairs = [(t, p) for t, p in zip(truth.flat, prediction.flat, strict=True) if t < classes]
    ious, recalls = [], []
    for k in range(classes):
        both = sum(t == k and p == k for t, p in pairs)
        either = sum(k in (t, p) for t, p in pairs)
        true = sum(t == k for t, _ in pairs)
        ious.append(both / either if either else math.nan)
        recalls.append(both / true if true else math.nan)
    return Scores(
        miou=float(np.nanmean(ious)),
        mean_accuracy=float(np.nanmean(recalls)),
        pixel_accuracy=sum(t == p for t, p in pairs) / len(pairs),
        class_iou=tuple(ious),
    )


def test_scores_match_a_plain_computation() -> None:
    rng = np.random.default_rng(0)
    matrix = ConfusionMatrix(5)
    truths = rng.integers(0, 4, (3, 12, 9), dtype=np.uint8)  # class 4 is predicted only
    truths[:, 0] = IGNORE
    predictions = rng.integers(0, 5, (3, 12, 9), dtype=np.uint8)
    for truth, prediction in zip(truths, predictions, strict=True):
        matrix.update(truth, prediction)
    expected = plain_scores(truths, predictions, 5)
    scores = matrix.scores()
    assert scores.miou == pytest.approx(expected.miou)
    assert scores.mean_accuracy == pytest.approx(expected.mean_accuracy)
    assert scores.pixel_accuracy == pytest.approx(expected.pixel_accuracy)
    assert scores.class_iou == pytest.approx(expected.class_iou)


def test_scores_by_hand() -> None:
    scores = Scores.from_counts(np.array([[6, 2], [1, 1]], dtype=np.int64))
    assert scores.class_iou == pytest.approx((6 / 9, 1 / 4))
    assert scores.miou == pytest.approx((6 / 9 + 1 / 4) / 2)
    assert scores.mean_accuracy == pytest.approx((6 / 8 + 1 / 2) / 2)
    assert scores.pixel_accuracy == pytest.approx(7 / 10)


def test_a_class_that_never_occurs_is_left_out_of_the_means() -> None:
    matrix = ConfusionMatrix(3)
    matrix.update(np.zeros((2, 2), np.uint8), np.zeros((2, 2), np.uint8))
    scores = matrix.scores()
    assert scores.miou == 1
    assert math.isnan(scores.class_iou[2])


def test_what_cannot_be_counted() -> None:
    matrix = ConfusionMatrix(3)
    with pytest.raises(ValueError, match="no labelled pixel"):
        matrix.scores()
    with pytest.raises(ValueError, match="prediction 3 is no class of 3"):
        matrix.update(np.zeros((1, 1), np.uint8), np.full((1, 1), 3, np.uint8))
    with pytest.raises(ValueError, match=r"truth is \(1, 1\), prediction is \(2, 1\)"):
        matrix.update(np.zeros((1, 1), np.uint8), np.zeros((2, 1), np.uint8))
