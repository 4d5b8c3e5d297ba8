from __future__ import annotations

import numpy as np
import torch

from tests.train.drawn import VOID, draw_street
from train.data.config import DataConfig
from train.data.pixels import IGNORE
from train.data.transforms import draw_factor
from train.distil.crop import Placement, crop


def one_hot(labels: np.ndarray, stride: int) -> np.ndarray:
    """Soft labels ``[12, h, w]`` of drawn labels."""
    small = labels[stride // 2 :: stride, stride // 2 :: stride]
    return np.asarray((np.arange(12)[:, None, None] == small) * 255, dtype=np.uint8)


def test_picture_labels_and_soft_labels_stay_together() -> None:
    picture, labels = draw_street(5, 128, 192)
    soft = one_hot(labels, 4)
    config = DataConfig(crop=64, scale=(0.7, 2.0), scale_law="uniform", jitter=0.0)
    agreeing = []
    for seed in range(12):
        torch.manual_seed(seed)
        x, y, s = crop(picture, labels, soft, 4, config)
        assert x.shape == (3, 64, 64)
        assert x.dtype == torch.uint8
        assert y.shape == (64, 64)
        assert s.shape == (12, 16, 16)
        small = y[2::4, 2::4]
        sure = (s.max(dim=0).values > 250) & (small != IGNORE)
        agreeing.append((s.argmax(dim=0) == small)[sure].float().mean().item())
        assert sure.float().mean() > 0.5
    assert min(agreeing) > 0.95


def test_a_plain_placement_copies_and_a_mirrored_one_mirrors() -> None:
    values = np.random.default_rng(0).integers(0, 256, (32, 48), np.uint8)
    for stride in (1, 4):
        plain = Placement(1.0, 0.0, 0.0, False, 32 * stride, 48 * stride)
        mirror = Placement(1.0, 0.0, 0.0, True, 32 * stride, 48 * stride)
        assert (plain.sample(values, stride, 1, 0) == values).all()
        assert (mirror.sample(values, stride, 1, 0) == values[:, ::-1]).all()


def test_outside_a_small_picture_there_is_nothing_to_learn() -> None:
    picture, labels = draw_street(0, 32, 32)
    config = DataConfig(crop=128, scale=(1.0, 1.0), jitter=0.0)
    x, y, s = crop(picture, None, one_hot(labels, 4), 4, config)
    assert (y == IGNORE).all()
    covered = (s.sum(dim=0) > 0).float().mean().item()
    assert 0.04 < covered < 0.11
    assert (x == 128).float().mean() > 0.9
    assert VOID == 11


def test_uniform_scales_have_another_mean_than_logarithmic_ones() -> None:
    torch.manual_seed(0)
    log = np.mean([draw_factor(0.5, 2.0) for _ in range(2000)])
    uniform = np.mean([draw_factor(0.5, 2.0, law="uniform") for _ in range(2000)])
    assert abs(log - 1.08) < 0.03
    assert abs(uniform - 1.25) < 0.03
    assert draw_factor(0.5, 2.0, (0.75,)) == 0.75
