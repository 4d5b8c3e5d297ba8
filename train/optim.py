"""Optimiser, poly schedule and weight averaging, from a recipe."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel

from train.models import Segmenter
from train.recipe import OptimConfig


def parameter_groups(model: Segmenter, config: OptimConfig) -> list[dict[str, Any]]:
    """Four groups: backbone or not, decayed or not (biases and BatchNorm are not)."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        key = (name.startswith("backbone."), parameter.ndim > 1)
        groups.setdefault(key, []).append(parameter)
    return [
        {
            "params": parameters,
            "lr": config.lr * (config.backbone_factor if backbone else 1.0),
            "weight_decay": config.weight_decay if decayed else 0.0,
        }
        for (backbone, decayed), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]


def make_optimizer(model: Segmenter, config: OptimConfig) -> Optimizer:
    """SGD with Nesterov momentum, or AdamW (Loshchilov & Hutter 2019)."""
    groups = parameter_groups(model, config)
    if config.name == "sgd":
        return SGD(groups, lr=config.lr, momentum=config.momentum, nesterov=True)
    return AdamW(groups, lr=config.lr)


def make_schedule(optimizer: Optimizer, config: OptimConfig, steps: int) -> LambdaLR:
    """Linear warm-up, then poly decay to 0 at `steps` (Liu et al. 2015, ParseNet)."""

    def factor(step: int) -> float:
        warm = min(1.0, (step + 1) / (config.warmup_steps + 1))
        return float(warm * max(0.0, 1 - step / steps) ** config.power)

    return LambdaLR(optimizer, factor)


def make_average(model: Segmenter, decay: float) -> AveragedModel:
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


def autocast(device: torch.device) -> torch.autocast:
    """Mixed precision on CUDA (fp16 with loss scaling); full precision elsewhere."""
    return torch.autocast(device.type, dtype=torch.float16, enabled=device.type == "cuda")
