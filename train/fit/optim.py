"""Optimiser, parameter groups, frozen parts and weight averaging, from a recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.swa_utils import AveragedModel

from train.errors import TrainError
from train.settings.fit import OptimConfig


def _rate(name: str, parameter: nn.Parameter, config: OptimConfig) -> float:
    part = name.split(".", 1)[0]
    if part == "backbone":
        return config.lr * config.backbone_factor
    rate = config.lr * (config.decoder_factor if part == "decoder" else 1.0)
    is_bias = name.endswith("bias") and parameter.ndim == 1
    return rate * (config.bias_factor if is_bias else 1.0)


def parameter_groups(model: nn.Module, config: OptimConfig) -> list[dict[str, Any]]:
    """Groups of equal rate and decay of the parameters that are not frozen.

    Biases and BatchNorm are not decayed unless `decay_all`. The order is that of the optimiser's
    state in a checkpoint: backbone last, undecayed first.

    Raises:
        TrainError: everything is frozen.
    """
    groups: dict[tuple[bool, bool, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            decayed = config.decay_all or parameter.ndim > 1
            key = (name.startswith("backbone."), decayed, _rate(name, parameter, config))
            groups.setdefault(key, []).append(parameter)
    if not groups:
        raise TrainError("optim.freeze freezes the whole network: nothing is left to train")
    return [
        {
            "params": parameters,
            "lr": rate,
            "initial_lr": rate,
            "weight_decay": config.weight_decay if decayed else 0.0,
        }
        for (_, decayed, rate), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def make_optimizer(model: nn.Module, config: OptimConfig) -> Optimizer:
    """The recipe's optimiser over `parameter_groups`."""
    groups = parameter_groups(model, config)
    if config.name == "sgd":
        nesterov = config.nesterov and config.momentum > 0
        return SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov)
    kind = Adam if config.name == "adam" else AdamW
    return kind(groups, lr=config.lr, betas=config.betas)


def make_average(model: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of weights and BatchNorm statistics.

    The decay ramps up as ``(1 + n) / (10 + n)``, so that a short run is not dragged down by its
    first, bad weights.
    """

    def update(averages: Any, currents: Any, count: Any) -> None:
        n = float(count)
        keep = min(decay, (1 + n) / (10 + n))
        for average, current in zip(averages, currents, strict=True):
            if average.dtype.is_floating_point:
                average.lerp_(current, 1 - keep)
            else:
                average.copy_(current)

    typed: Callable[[Any, Any, Tensor | int], None] = update
    return AveragedModel(model, multi_avg_fn=typed, use_buffers=True)


def clip_gradients(model: nn.Module, limit: float) -> None:
    """Scale all gradients so that their joint L2 norm is at most `limit` (0: leave them)."""
    if limit > 0:
        torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
