from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from train.data import IGNORE
from train.losses import SegmentationLoss, class_weights
from train.settings import LossConfig

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
    loss = SegmentationLoss(weights, LossConfig(auxiliary=0.4))((main, auxiliary), labels)

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
    loss = SegmentationLoss(torch.ones(3), LossConfig(auxiliary=0))
    assert float(loss((scores, scores), torch.ones(1, 32, 32, dtype=torch.int64))) < 1e-3
