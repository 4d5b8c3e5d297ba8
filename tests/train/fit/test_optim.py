from __future__ import annotations

import copy
from itertools import pairwise

import pytest
import torch

from train.fit.optim import (
    clip_gradients,
    copy_weights,
    make_average,
    make_optimizer,
    parameter_groups,
)
from train.fit.schedule import rate_factor, set_rates
from train.models import ModelSpec, Segmenter, build_model
from train.settings.fit import OptimConfig


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
    factor = rate_factor(config, steps=40)
    rates = []
    for step in range(40):
        assert set_rates(optimizer, factor(step)) == pytest.approx(factor(step))
        rates.append([group["lr"] for group in optimizer.param_groups])
    head = [max(step) for step in rates]
    assert head[0] == pytest.approx(1 / 5)
    assert head[20] == pytest.approx(0.5**0.9)
    assert head[39] == pytest.approx((1 / 40) ** 0.9)
    assert all(a < b for a, b in pairwise(head[:5]))
    assert all(a > b for a, b in pairwise(head[4:]))
    assert [min(step) for step in rates] == pytest.approx([rate / 2 for rate in head])
    assert factor(40) == 0


def test_the_average_follows_its_formula_and_copies_counters(model: Segmenter) -> None:
    model = copy.deepcopy(model)
    average = make_average(model, decay=0.5)
    weight = model.get_parameter("classifier.weight")
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
            model.get_parameter("classifier.weight").fill_(value)
        copy_weights(average, model)
    averaged = average.module.get_parameter("classifier.weight")
    assert torch.equal(averaged, model.get_parameter("classifier.weight"))


def rates_of(model: Segmenter, config: OptimConfig) -> dict[str, tuple[float, float]]:
    names = {id(p): name for name, p in model.named_parameters()}
    return {
        names[id(p)]: (group["lr"], group["weight_decay"])
        for group in parameter_groups(model, config)
        for p in group["params"]
    }


def test_each_part_has_its_own_factor() -> None:
    model = build_model(ModelSpec(classes=3, head_channels=8, decoder="skip", decoder_channels=8))
    config = OptimConfig(
        lr=1.0, backbone_factor=0.1, decoder_factor=0.5, bias_factor=2.0, weight_decay=0.01
    )
    found = rates_of(model, config)
    assert found["classifier.weight"] == (1.0, 0.01)
    assert found["classifier.bias"] == (2.0, 0.0)
    assert all(
        lr == pytest.approx(0.1) for name, (lr, _) in found.items() if name.startswith("backbone.")
    )
    decoder = {lr for name, (lr, _) in found.items() if name.startswith("decoder.")}
    assert decoder == {0.5, 1.0}  # its BatchNorm shifts are biases
    everything = rates_of(model, OptimConfig(weight_decay=0.01, decay_all=True))
    assert {decay for _, decay in everything.values()} == {0.01}


def test_optimisers_get_their_settings(model: Segmenter) -> None:
    sgd = make_optimizer(model, OptimConfig(name="sgd", momentum=0.8, nesterov=False))
    assert isinstance(sgd, torch.optim.SGD)
    assert (sgd.defaults["momentum"], sgd.defaults["nesterov"]) == (0.8, False)
    plain = make_optimizer(model, OptimConfig(momentum=0.0))
    assert not plain.defaults["nesterov"]  # PyTorch refuses it without momentum
    adam = make_optimizer(model, OptimConfig(name="adam", betas=(0.8, 0.99)))
    assert type(adam) is torch.optim.Adam
    assert adam.defaults["betas"] == (0.8, 0.99)


def test_clipping_scales_the_joint_norm(model: Segmenter) -> None:
    model = copy.deepcopy(model)
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    clip_gradients(model, 0.0)
    assert all(float(p.grad.mean()) == 1 for p in model.parameters() if p.grad is not None)
    clip_gradients(model, 2.0)
    squares = sum(float(p.grad.square().sum()) for p in model.parameters() if p.grad is not None)
    assert squares**0.5 == pytest.approx(2.0, rel=1e-3)
