"""Small runs and what is read back from them."""

from __future__ import annotations

import csv
from pathlib import Path

import torch

from train.fit.progress import Progress
from train.fit.trainer import Trainer
from train.recipe import Recipe

CPU = torch.device("cpu")


def trainer(recipe: Recipe, data: Path, out: Path) -> Trainer:
    return Trainer(recipe, data=data, out=out, init=None, device=CPU)


class StopIn:
    """Ctrl-C in the given epoch and step."""

    def __init__(self, epoch: int, step: int) -> None:
        self.epoch, self.step = epoch, step

    def __call__(self, progress: Progress) -> None:
        if (progress.epoch, progress.step) == (self.epoch, self.step):
            raise KeyboardInterrupt


def log_of(out: Path) -> list[dict[str, str]]:
    with (out / "log.csv").open(newline="") as file:
        return [{k: v for k, v in row.items() if k != "seconds"} for row in csv.DictReader(file)]


def losses_of(out: Path) -> list[float]:
    with (out / "steps.csv").open(newline="") as file:
        return [float(row["loss"]) for row in csv.DictReader(file)]
