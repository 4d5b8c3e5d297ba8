from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from train.data.pixels import IGNORE
from train.fit.losses import (
    SegmentationLoss,
    class_weights,
    cross_entropy,
    dice,
    ohem_cross_entropy,
)
from train.settings.fit import LossConfig

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


def test_a_class_without_a_pixel_changes_no_other_weight() -> None:
    seen = torch.tensor([500, 100, 20])
    for balance in ("sqrt", "median"):
        alone = class_weights(seen, balance)
        beside = class_weights(torch.cat([seen, torch.zeros(1, dtype=torch.int64)]), balance)
        torch.testing.assert_close(beside[:3] / beside[0], alone / alone[0])
        assert beside[3] == beside[2]  # with label smoothing it would else outweigh all others


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


def random_case(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Scores [2, 3, 6, 6], labels with ignored pixels, class weights."""
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, 3, (2, 6, 6), generator=generator)
    labels[0, :3] = IGNORE
    scores = torch.randn(2, 3, 6, 6, generator=generator)
    return scores, labels, torch.tensor([1.0, 2.0, 0.5])


def test_smoothed_cross_entropy_is_torchs_mean() -> None:
    scores, labels, weights = random_case()
    expected = F.cross_entropy(
        scores, labels, weight=weights, ignore_index=IGNORE, label_smoothing=0.1
    )
    assert float(cross_entropy(scores, labels, weights, 0.1)) == pytest.approx(float(expected))


def test_ohem_keeps_the_pixels_below_the_threshold() -> None:
    scores, labels, weights = random_case()
    p = scores.softmax(dim=1)
    pixels = [
        (float(p[n, labels[n, y, x], y, x]), int(labels[n, y, x]))
        for n in range(2)
        for y in range(6)
        for x in range(6)
        if labels[n, y, x] != IGNORE
    ]
    hard = [(q, k) for q, k in pixels if q < 0.3]
    assert 5 < len(hard) < len(pixels)
    total = sum(float(weights[k]) * -math.log(q) for q, k in hard)
    expected = total / sum(float(weights[k]) for _, k in hard)
    loss = ohem_cross_entropy(scores, labels, weights, threshold=0.3, keep=0.05)
    assert float(loss) == pytest.approx(expected, rel=1e-5)


def test_ohem_keeps_a_share_at_least() -> None:
    scores, labels, _ = random_case()
    losses = F.cross_entropy(scores, labels, ignore_index=IGNORE, reduction="none")
    known = losses[labels != IGNORE].sort(descending=True).values
    kept = math.ceil(0.25 * len(known))
    ones = torch.ones(3)
    loss = ohem_cross_entropy(scores, labels, ones, threshold=1e-6, keep=0.25)
    assert float(loss) == pytest.approx(float(known[:kept].mean()), rel=1e-5)
    everything = ohem_cross_entropy(scores, labels, ones, threshold=1.0, keep=0.25)
    assert float(everything) == pytest.approx(float(known.mean()), rel=1e-5)


def test_dice_by_hand_over_the_classes_that_are_there() -> None:
    scores = torch.tensor([[[[2.0, 0.0, 1.0]], [[0.0, 2.0, 1.0]], [[0.0, 0.0, 5.0]]]])
    labels = torch.tensor([[[0, 1, IGNORE]]])
    a = math.e**2 / (math.e**2 + 2)  # probability of the right class of both pixels
    b = 1 / (math.e**2 + 2)
    one_class = (2 * a + 1) / (a * a + b * b + 1 + 1)
    assert float(dice(scores, labels)) == pytest.approx(1 - one_class, rel=1e-5)
    perfect = torch.full((1, 3, 1, 3), -50.0)
    perfect[0, 0, 0, 0] = perfect[0, 1, 0, 1] = 50.0
    assert float(dice(perfect, labels)) == pytest.approx(0, abs=1e-6)


def test_the_sum_of_cross_entropy_and_dice() -> None:
    scores, labels, weights = random_case()
    config = LossConfig(name="cross_entropy+dice", dice_weight=3.0)
    expected = cross_entropy(scores, labels, weights) + 3 * dice(scores, labels)
    assert float(SegmentationLoss(weights, config)(scores, labels)) == pytest.approx(
        float(expected)
    )


@pytest.mark.parametrize("name", ["cross_entropy", "ohem", "dice", "cross_entropy+dice"])
def test_a_batch_without_a_labelled_pixel_costs_nothing_and_moves_nothing(name: str) -> None:
    scores, labels, weights = random_case()
    config = LossConfig(name=name)  # type: ignore[arg-type]
    scores.requires_grad_()
    loss = SegmentationLoss(weights, config)((scores, None), torch.full_like(labels, IGNORE))
    loss.backward()
    assert float(loss.detach()) == 0
    assert scores.grad is not None
    assert float(scores.grad.abs().max()) == 0


def test_outputs_may_be_one_a_pair_without_auxiliary_or_many() -> None:
    scores, labels, weights = random_case()
    other = random_case(1)[0]
    loss = SegmentationLoss(weights, LossConfig(auxiliary=0.5))
    main, second = (float(loss.term(x, labels)) for x in (scores, other))
    assert float(loss(scores, labels)) == float(loss((scores, None), labels)) == main
    assert float(loss((scores, other, other), labels)) == pytest.approx(main + second)


def test_parts_weighted_by_their_mass_are_the_whole() -> None:
    scores, labels, weights = random_case()
    loss = SegmentationLoss(weights, LossConfig(label_smoothing=0.1))
    parts = [(scores[n : n + 1], labels[n : n + 1]) for n in range(2)]
    masses = [loss.mass(truth) for _, truth in parts]
    assert masses[0] != masses[1]
    total = sum(loss(x, y) * m for (x, y), m in zip(parts, masses, strict=True)) / sum(masses)
    assert float(total) == pytest.approx(float(loss(scores, labels)), rel=1e-6)
