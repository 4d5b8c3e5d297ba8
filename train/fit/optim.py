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
    """The recipe's optimiser over `parameter_groups`; on a GPU a step is one fused kernel."""
    groups = parameter_groups(model, config)
    fused = groups[0]["params"][0].device.type == "cuda" or None  # None: PyTorch's own choice
    if config.name == "sgd":
        nesterov = config.nesterov and config.momentum > 0
        return SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=nesterov, fused=fused)
    kind = Adam if config.name == "adam" else AdamW
    return kind(groups, lr=config.lr, betas=config.betas, fused=fused)


def make_average(model: nn.Module, decay: float) -> AveragedModel:
    """Exponential moving average of weights and BatchNorm statistics.

    The decay ramps up as ``(1 + n) / (10 + n)``, so that a short run is not dragged down by its
    first, bad weights. Without decay it is no average: `copy_weights` when it is looked at.
    """

    def update(averages: Any, currents: Any, count: Any) -> None:
        n = float(count)
        keep = min(decay, (1 + n) / (10 + n))
        # tensors of one kind come together: a few kernels for all of them, not one each
        if averages[0].dtype.is_floating_point:
            torch._foreach_lerp_(averages, currents, 1 - keep)
        else:
            torch._foreach_copy_(averages, currents)

    typed: Callable[[Any, Any, Tensor | int], None] = update
    average = AveragedModel(model, multi_avg_fn=typed, use_buffers=True)
    average.n_averaged = average.n_averaged.cpu()  # read each step: on a GPU that would wait for it
    return average


@torch.no_grad()
def copy_weights(average: AveragedModel, model: nn.Module) -> None:
    """Make the average the network as it is."""
    pairs = zip(average.module.state_dict().values(), model.state_dict().values(), strict=True)
    for mine, theirs in pairs:
        mine.copy_(theirs)


def clip_gradients(model: nn.Module, limit: float) -> None:
    """Scale all gradients so that their joint L2 norm is at most `limit` (0: leave them)."""
    if limit > 0:
        torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
