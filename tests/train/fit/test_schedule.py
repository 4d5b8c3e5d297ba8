from __future__ import annotations

import math

import pytest

from train.fit.schedule import rate_factor
from train.settings.fit import OptimConfig


def rates(config: OptimConfig, steps: int, at: list[int]) -> list[float]:
    factor = rate_factor(config, steps)
    return [config.lr * factor(step) for step in at]


def test_poly_with_an_end_rate_that_is_reached_before_the_end() -> None:
    """Report 004: 0.007 to 0.001 over 90,000 of 120,000 steps."""
    config = OptimConfig(lr=0.007, end_lr=0.001, decay_steps=90_000, power=0.9, warmup_steps=0)
    found = rates(config, 120_000, [0, 45_000, 90_000, 119_999])
    assert found == pytest.approx([0.007, 0.001 + 0.006 * 0.5**0.9, 0.001, 0.001])


def test_constant() -> None:
    config = OptimConfig(lr=0.001, schedule="constant", warmup_steps=0)
    assert rates(config, 10, [0, 5, 9]) == pytest.approx([0.001] * 3)


def test_step_multiplies_at_each_milestone() -> None:
    """Report 002 sliced its learning rate by ten."""
    config = OptimConfig(lr=1.0, schedule="step", milestones=(0.5, 0.9), gamma=0.1, warmup_steps=0)
    assert rates(config, 100, [0, 49, 50, 89, 90]) == pytest.approx([1, 1, 0.1, 0.1, 0.01])


def test_cosine() -> None:
    config = OptimConfig(lr=1.0, schedule="cosine", end_lr=0.2, warmup_steps=0)
    expected = [1.0, 0.2 + 0.4 * (1 + math.cos(math.pi / 4)), 0.6, 0.2]
    assert rates(config, 100, [0, 25, 50, 100]) == pytest.approx(expected)


def test_warm_up_rises_in_a_line_from_its_start() -> None:
    config = OptimConfig(lr=1.0, schedule="constant", warmup_steps=4, warmup_start=0.5)
    found = rates(config, 100, [0, 1, 2, 3, 4, 5])
    assert found == pytest.approx([0.6, 0.7, 0.8, 0.9, 1.0, 1.0])


def test_warm_up_takes_a_tenth_of_a_short_run_at_most() -> None:
    config = OptimConfig(lr=1.0, schedule="constant", warmup_steps=50)
    assert rates(config, 20, [0, 1, 2, 19]) == pytest.approx([1 / 3, 2 / 3, 1.0, 1.0])
