from __future__ import annotations

import math

import pytest
import torch

from train.data.pixels import IGNORE
from train.distil.data import SoftTruth
from train.fit.losses import SegmentationLoss
from train.fit.soft_loss import DistilLoss, soft_cross_entropy
from train.settings.distil import DistilConfig
from train.settings.fit import LossConfig


def test_the_loss_is_least_where_the_scores_say_what_the_teachers_say() -> None:
    soft = torch.tensor([204, 51], dtype=torch.uint8).reshape(1, 2, 1, 1)
    entropy = -(0.8 * math.log(0.8) + 0.2 * math.log(0.2))
    scores = torch.tensor([0.8, 0.2]).log().reshape(1, 2, 1, 1).requires_grad_()
    loss = soft_cross_entropy(scores, soft, 1.0)
    assert loss.item() == pytest.approx(entropy, abs=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert scores.grad.abs().max() < 1e-6
    assert soft_cross_entropy(torch.zeros(1, 2, 1, 1), soft, 1.0).item() > entropy


def test_temperature_softens_both_sides_and_scales_by_its_square() -> None:
    soft = torch.tensor([204, 51], dtype=torch.uint8).reshape(1, 2, 1, 1)
    scores = torch.tensor([0.8, 0.2]).log().reshape(1, 2, 1, 1)
    q = torch.tensor([0.8, 0.2]).sqrt()
    q = q / q.sum()
    expected = 4 * -(q * q.log()).sum().item()
    assert soft_cross_entropy(scores, soft, 2.0).item() == pytest.approx(expected, rel=1e-4)


def test_pixels_whose_class_goes_nowhere_count_nothing() -> None:
    soft = torch.zeros(1, 2, 1, 2, dtype=torch.uint8)
    soft[0, 0, 0, 0] = 255
    scores = torch.zeros(1, 2, 1, 2, requires_grad=True)
    soft_cross_entropy(scores, soft, 1.0).backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert scores.grad[..., 0].abs().sum() > 0
    assert scores.grad[..., 1].abs().sum() == 0
    nothing = soft_cross_entropy(torch.randn(1, 2, 1, 2), torch.zeros_like(soft), 1.0)
    assert nothing.item() == 0


def test_labels_and_soft_labels_are_added_and_auxiliary_scores_learn_from_both() -> None:
    labelled = SegmentationLoss(torch.ones(2), LossConfig(balance="none", auxiliary=0.5))
    loss = DistilLoss(labelled, DistilConfig(teachers=("t",), weight=3.0))
    scores = torch.randn(2, 2, 4, 4)
    soft = torch.randint(0, 256, (2, 2, 4, 4), dtype=torch.uint8)
    labels = torch.randint(0, 2, (2, 4, 4))
    unlabelled = torch.full_like(labels, IGNORE)
    taught = 3 * soft_cross_entropy(scores, soft, 1.0)
    told = labelled.term(scores, labels)
    torch.testing.assert_close(loss(scores, SoftTruth(unlabelled, soft)), taught)
    torch.testing.assert_close(loss(scores, SoftTruth(labels, soft)), taught + told)
    both = loss((scores, scores), SoftTruth(labels, soft))
    torch.testing.assert_close(both, 1.5 * (taught + told))
    assert loss.mass(SoftTruth(labels, soft)).item() == 2
