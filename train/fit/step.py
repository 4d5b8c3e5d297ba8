"""One optimiser step: gradients of its parts, over all processes. Knows no epoch and no folder.

Everything random in a step is seeded by its number, so that a run that goes on from any checkpoint
takes the same steps as one that was never stopped.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from train.distil.data import SoftTruth
from train.fit.distributed import World
from train.fit.optim import clip_gradients
from train.fit.parts import Parts
from train.fit.precision import Precision
from train.fit.schedule import set_rates
from train.models.segmenter import normalise
from train.recipe import Recipe

Part = tuple[Tensor, ...]
"""Pictures uint8 ``[N, 3, H, W]`` and labels uint8 ``[N, H, W]``, and with teachers soft labels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepper:
    """Takes steps with a run's parts."""

    recipe: Recipe
    parts: Parts
    precision: Precision
    device: torch.device
    world: World

    def take(self, step: int, batch: tuple[Part, ...]) -> tuple[Tensor, float]:
        """The step after `step` others; returns its loss and its highest learning rate.

        The loss stays on the device: whoever reads it waits for the step.
        """
        config, parts, scaler = self.recipe, self.parts, self.precision.scaler
        number = (config.train.seed * 1_000_003 + step) * 4099 + self.world.rank
        torch.manual_seed(number)  # dropout
        lr = set_rates(parts.optimizer, parts.rate(step))
        parts.optimizer.zero_grad(set_to_none=True)
        loss = self._gradients(batch)
        if config.optim.clip_norm > 0:
            scaler.unscale_(parts.optimizer)
            clip_gradients(parts.model, config.optim.clip_norm)
        scaler.step(parts.optimizer)
        scaler.update()
        if config.train.ema_decay > 0:
            parts.average.update_parameters(parts.model)
        return loss, lr

    def _truth(self, part: Part) -> Any:
        """What a part's scores are compared with, on the device: what the run's loss takes."""
        _, small, *soft = part
        labels = small.to(self.device, non_blocking=True).long()
        truth: Tensor | SoftTruth = SoftTruth(labels, *soft) if soft else labels
        return truth.to(self.device, non_blocking=True)

    def _gradients(self, batch: tuple[Part, ...]) -> Tensor:
        """Add up the gradients of one step's parts; return the loss over all processes."""
        network, loss_of = self.parts.network, self.parts.loss
        truths = [self._truth(part) for part in batch]
        masses = [loss_of.mass(truth) for truth in truths]
        total = self.world.total(torch.stack(masses).sum()).clamp(min=1e-12)
        value = torch.zeros((), dtype=torch.float64, device=self.device)
        for index, (pictures, *_) in enumerate(batch):
            x = normalise(pictures.to(self.device, non_blocking=True))
            x = x.contiguous(memory_format=torch.channels_last)
            last = index == len(batch) - 1
            with self.world.local_gradients(network, last=last):
                with self.precision.autocast():
                    outputs = network(x)
                loss = loss_of(outputs, truths[index]) * (masses[index] / total).float()
                # DistributedDataParallel takes the processes' mean, the loss is their sum
                self.precision.scaler.scale(loss * self.world.size).backward()
            value += loss.detach()
        return self.world.total(value)
