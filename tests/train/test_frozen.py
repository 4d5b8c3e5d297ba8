from __future__ import annotations

import pytest
import torch

from train.errors import TrainError
from train.fit.optim import parameter_groups
from train.models import ModelSpec, Segmenter, build_model
from train.models.frozen import Frozen
from train.settings.fit import OptimConfig


@pytest.fixture
def model() -> Segmenter:
    return build_model(ModelSpec(classes=11, head_channels=8))


def test_frozen_parts_have_no_gradient_and_stay_in_evaluation_mode(model: Segmenter) -> None:
    frozen = Frozen(model, OptimConfig(freeze=("backbone",), freeze_batchnorm="all"))
    frozen.train()
    assert model.training
    assert not model.backbone.training
    norms = [m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    assert not any(norm.training for norm in norms)
    assert not any(p.requires_grad for norm in norms for p in norm.parameters())
    trained = {name for name, p in model.named_parameters() if p.requires_grad}
    assert "classifier.weight" in trained
    assert not any(name.startswith("backbone.") for name in trained)
    groups = parameter_groups(model, OptimConfig())
    assert sum(len(group["params"]) for group in groups) == len(trained)


def test_batchnorm_of_the_backbone_alone_and_its_momentum(model: Segmenter) -> None:
    Frozen(model, OptimConfig(freeze_batchnorm="backbone", batchnorm_momentum=0.03)).train()
    modes = {
        name.startswith("backbone."): m.training
        for name, m in model.named_modules()
        if isinstance(m, torch.nn.BatchNorm2d)
    }
    assert modes == {True: False, False: True}
    assert all(m.momentum == 0.03 for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))


def test_what_cannot_be_frozen(model: Segmenter) -> None:
    with pytest.raises(TrainError, match="no part 'neck'; known: backbone, head"):
        Frozen(model, OptimConfig(freeze=("neck",)))
    Frozen(model, OptimConfig(freeze=tuple(name for name, _ in model.named_children())))
    with pytest.raises(TrainError, match="nothing is left to train"):
        parameter_groups(model, OptimConfig())
