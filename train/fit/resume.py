"""What a run's checkpoints hold, and how it goes on from one. Knows nothing about taking steps."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from streamseg.models.palette import Palette
from train.checkpoint import (
    Checkpoint,
    as_counter,
    load_checkpoint,
    optimizer_tensors,
    part,
    restore_optimizer,
)
from train.errors import TrainError
from train.fit.distributed import World
from train.fit.parts import Parts
from train.fit.precision import Precision
from train.metrics import Scores
from train.recipe import Recipe, changed_keys


@dataclass(slots=True, kw_only=True)
class State:
    """How far a run is: what counts up from step to step, beside the weights."""

    step: int = 0
    """Optimiser steps done."""
    best: float = -1.0
    """Best validation mIoU."""
    stale: int = 0
    """Validations in a row without a better mIoU."""
    losses: list[float] = field(default_factory=list)
    """Of the steps since the log's last row."""


def all_see(path: Path, world: World, device: torch.device) -> bool:
    """Whether there is a file; the same for all processes.

    Raises:
        TrainError: some see it and some do not: they would train from different weights.
    """
    seen = torch.tensor(int(path.is_file()), device=device)
    count = int(world.total(seen))
    if count not in (0, world.size):
        raise TrainError(
            f"{path}: {count} of {world.size} processes see it; to go on, --out must lie "
            "on a disk that all machines share"
        )
    return count > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshots:
    """Takes a run's state out into checkpoints, and puts it back."""

    recipe: Recipe
    classes: Palette
    steps: int
    """Of one epoch."""
    parts: Parts
    precision: Precision

    def take(self, state: State, scores: Scores | None, *, full: bool) -> Checkpoint:
        """A checkpoint of the averaged weights; `full` with all that an exact resume needs."""
        metrics: dict[str, Any] = {"best_miou": state.best, "split": "val"}
        if self.recipe.distil.active and not self.recipe.distil.labelled:
            metrics["truth"] = "the teachers' most probable class"
        if scores is not None:
            metrics |= scores.as_dict(self.classes.names)
        tensors = {f"model.{k}": v for k, v in self.parts.average.module.state_dict().items()}
        if full:
            tensors |= self._resumable(state)
            metrics |= {"stale": state.stale, "steps_per_epoch": self.steps}
            if self.precision.scaler.is_enabled():
                metrics["scaler"] = json.dumps(self.precision.scaler.state_dict())
        return Checkpoint(
            recipe=self.recipe,
            classes=self.classes,
            epoch=state.step // self.steps,
            metrics=metrics,
            tensors=tensors,
        )

    def _resumable(self, state: State) -> dict[str, Tensor]:
        """What goes on from here, under the names that `restore` reads."""
        parts = self.parts
        tensors = {f"raw.{k}": v for k, v in parts.model.state_dict().items()}
        tensors |= {f"optim.{k}": v for k, v in optimizer_tensors(parts.optimizer).items()}
        tensors["counter.step"] = as_counter(state.step)
        tensors["counter.averaged"] = parts.average.n_averaged
        tensors["counter.losses"] = torch.tensor(state.losses, dtype=torch.float64)
        return tensors

    def restore(self, path: Path) -> State:
        """Put a full checkpoint back into the run's parts.

        Raises:
            TrainError: it belongs to another recipe, or the data has changed.
        """
        saved = load_checkpoint(path)
        self._refuse_another_run(saved, path)
        metrics, tensors, parts = saved.metrics, saved.tensors, self.parts
        restore_optimizer(parts.optimizer, part(tensors, "optim"))
        parts.model.load_state_dict(part(tensors, "raw"))
        parts.average.module.load_state_dict(part(tensors, "model"))
        parts.average.n_averaged.copy_(tensors["counter.averaged"])
        if self.precision.scaler.is_enabled() and "scaler" in metrics:
            self.precision.scaler.load_state_dict(json.loads(metrics["scaler"]))
        return State(
            step=int(tensors["counter.step"]),
            best=float(metrics["best_miou"]),
            stale=int(metrics.get("stale", 0)),
            losses=tensors["counter.losses"].tolist() if "counter.losses" in tensors else [],
        )

    def _refuse_another_run(self, saved: Checkpoint, path: Path) -> None:
        if changed := changed_keys(saved.recipe, self.recipe):
            raise TrainError(
                f"{path}: the run folder holds a run of another recipe ({', '.join(changed)}); "
                "choose another --out, or go on with the old recipe"
            )
        steps = int(saved.metrics.get("steps_per_epoch", self.steps))
        if steps != self.steps or saved.classes != self.classes:
            raise TrainError(
                f"{path}: the training data has changed ({steps} steps an epoch then, "
                f"{self.steps} now; {len(saved.classes)} classes then, {len(self.classes)} now); "
                "choose another --out"
            )
