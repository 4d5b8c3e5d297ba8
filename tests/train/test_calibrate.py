"""Class biases: found on training pictures, worth having, and kept with the checkpoint."""

from __future__ import annotations

import torch

from train.calibrate import fit_bias, miou


def test_biases_undo_a_shift_of_the_scores() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.randint(0, 3, (3000,), generator=generator)
    scores = torch.randn(3, 3000, generator=generator)
    scores[truth, torch.arange(3000)] += 2.0
    bent = scores + torch.tensor([0.0, 2.5, -1.0])[:, None]

    bias = fit_bias(bent, truth)

    straight = miou(scores, truth, torch.zeros(3))
    assert miou(bent, truth, torch.zeros(3)) < straight - 0.1
    assert miou(bent, truth, bias) > straight - 0.01
    assert abs(float(bias.mean())) < 1e-6


def test_scores_that_are_right_already_are_left_alone() -> None:
    truth = torch.tensor([0, 1, 2, 1])
    scores = torch.nn.functional.one_hot(truth, 3).T * 10.0
    assert torch.equal(fit_bias(scores, truth), torch.zeros(3))
