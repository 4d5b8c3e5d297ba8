from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch

from train.models import ModelSpec, Segmenter, build_model
from train.optim import make_average, make_optimizer, parameter_groups
from train.schedule import rate_factor, set_rates
from train.settings import OptimConfig


@pytest.fixture(scope="module")
def model() -> Segmenter:
    return build_model(ModelSpec(classes=11, head_channels=8))


def test_every_parameter_is_in_one_group_with_its_rate_and_decay(model: Segmenter) -> None:
    config = OptimConfig(lr=0.1, backbone_factor=0.5, weight_decay=0.01)
    groups = parameter_groups(model, config)
    names = {id(p): name for name, p in model.named_parameters()}
    seen = []
    for group in groups:
        for parameter in group["params"]:
            name = names[id(parameter)]
            seen.append(name)
            assert group["lr"] == (0.05 if name.startswith("backbone.") else 0.1)
            assert group["weight_decay"] == (0.01 if parameter.ndim > 1 else 0)
    assert sorted(seen) == sorted(names.values())


@pytest.mark.parametrize("name", ["sgd", "adamw"])
def test_warm_up_then_poly_decay_to_zero(model: Segmenter, name: str) -> None:
    config = OptimConfig(name=name, lr=1.0, backbone_factor=0.5, warmup_steps=4, power=0.9)  # type: ignore[arg-type]
    optimizer = make_optimizer(model, config)
    factor = rate_factor(config, steps=20)
    rates = []
    for step in range(20):
        assert set_rates(optimizer, factor(step)) == pytest.approx(factor(step))
        rates.append([group["lr"] for group in optimizer.param_groups])
    head = [max(step) for step in rates]
    assert head[0] == pytest.approx(1 / 5)
    assert head[10] == pytest.approx(0.5**0.9)
    assert head[19] == pytest.approx((1 / 20) ** 0.9)
    assert all(a < b for a, b in pairwise(head[:5]))
    assert all(a > b for a, b in pairwise(head[4:]))
    assert [min(step) for step in rates] == pytest.approx([rate / 2 for rate in head])
    assert factor(20) == 0


def test_the_average_follows_its_formula_and_copies_counters(model: Segmenter) -> None:
    model = copy.deepcopy(model)
    average = make_average(model, decay=0.5)
    weight = model.classifier.weight
    bn = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    expected = None
    for n in range(12):
        with torch.no_grad():
            weight.fill_(float(n))
            bn.running_mean.fill_(float(n))  # type: ignore[union-attr]
            bn.num_batches_tracked.fill_(n)  # type: ignore[union-attr]
        average.update_parameters(model)
        keep = min(0.5, (1 + n) / (10 + n))
        expected = float(n) if expected is None else expected * keep + n * (1 - keep)
    module = average.module
    averaged = next(m for m in module.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert float(module.get_parameter("classifier.weight").detach().mean()) == pytest.approx(
        expected, rel=1e-5
    )
    assert float(averaged.running_mean.mean()) == pytest.approx(expected, rel=1e-5)  # type: ignore[union-attr]
    assert int(averaged.num_batches_tracked) == 11  # type: ignore[arg-type]


def test_decay_zero_is_no_average(model: Segmenter) -> None:
    model = copy.deepcopy(model)
    average = make_average(model, decay=0)
    for value in (1.0, 0.3):
        with torch.no_grad():
            model.classifier.weight.fill_(value)
        average.update_parameters(model)
    averaged = average.module.get_parameter("classifier.weight")
    assert torch.equal(averaged, model.classifier.weight)
