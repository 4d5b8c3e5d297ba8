"""The training loop: epochs, validation, checkpoints, log. Knows nothing about command lines."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import torchvision
from torch.utils.data import DataLoader

from train.checkpoint import (
    Checkpoint,
    as_counter,
    load_checkpoint,
    optimizer_tensors,
    part,
    restore_optimizer,
    save_checkpoint,
)
from train.data import open_dataset
from train.data.transforms import training_augmentation
from train.errors import TrainError
from train.evaluate import evaluate_network
from train.losses import SegmentationLoss, class_weights
from train.metrics import Scores
from train.models import build_model, load_backbone_weights
from train.models.segmenter import normalise
from train.optim import autocast, make_average, make_optimizer, make_schedule
from train.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Progress:
    """What the loop tells its caller after each step (`loss`) and each epoch (`scores`)."""

    epoch: int
    epochs: int
    step: int
    steps: int
    """Steps of one epoch."""
    loss: float
    scores: Scores | None = None
    seconds: float = 0.0
    classes: tuple[str, ...] = ()


class Trainer:
    """One run: `fit` trains from where the run folder's ``last.safetensors`` stopped, or afresh.

    Args:
        recipe: what to train and how.
        data: data folder.
        out: run folder; ``best.safetensors``, ``last.safetensors``, ``log.csv``, ``recipe.json``
            and ``environment.json`` are written there.
        init: backbone weights: a safetensors file, "torchvision" or None.
        device: where to train.

    Raises:
        TrainError: data or weights cannot be read, or the run folder holds another recipe's run.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        data: Path,
        out: Path,
        init: Path | str | None,
        device: torch.device,
    ) -> None:
        self.out, self.device = out, device
        config = recipe.data
        augment = training_augmentation(
            crop=config.crop, scale=config.scale, flip=config.flip, jitter=config.jitter
        )
        self.train_set = open_dataset(
            config.layout, data, "train", augment=augment, seed=recipe.train.seed
        )
        self.val_set = open_dataset(config.layout, data, "val")
        self.classes = self.train_set.classes
        self.recipe = recipe = dataclasses.replace(
            recipe, model=dataclasses.replace(recipe.model, classes=len(self.classes))
        )
        if len(self.train_set) < recipe.train.batch:
            raise TrainError(
                f"{data}: {len(self.train_set)} training pictures are fewer than one batch "
                f"of {recipe.train.batch}; lower train.batch"
            )
        for split in (self.train_set, self.val_set):
            if int(split.class_pixels().sum()) == 0:
                raise TrainError(f"{split.items[0].labels.parent}: no pixel has a known class")
        torch.manual_seed(recipe.train.seed)
        self.model = build_model(recipe.model)
        load_backbone_weights(self.model.backbone, init)
        self.model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        weights = class_weights(self.train_set.class_pixels(), recipe.loss.balance)
        self.loss = SegmentationLoss(weights, auxiliary=recipe.loss.auxiliary).to(device)
        self.steps = len(self.train_set) // recipe.train.batch
        self.optimizer = make_optimizer(self.model, recipe.optim)
        self.schedule = make_schedule(
            self.optimizer, recipe.optim, self.steps * recipe.train.epochs
        )
        self.average = make_average(self.model, recipe.train.ema_decay)
        self.scaler = torch.amp.GradScaler(device.type, enabled=device.type == "cuda")
        self.epoch = 0
        self.best = -1.0

    def resume(self) -> bool:
        """Load ``last.safetensors`` if there is one; a finished epoch is the unit of resuming.

        Raises:
            TrainError: it belongs to another recipe.
        """
        path = self.out / "last.safetensors"
        if not path.is_file():
            return False
        saved = load_checkpoint(path)
        if saved.recipe != self.recipe:
            raise TrainError(
                f"{path}: the run folder holds a run of another recipe; choose another --out"
            )
        tensors = saved.tensors
        step = int(tensors["counter.step"])
        restore_optimizer(self.optimizer, part(tensors, "optim"))
        self.schedule.last_epoch = step
        for group, rate, base in zip(
            self.optimizer.param_groups,
            self.schedule.lr_lambdas,
            self.schedule.base_lrs,
            strict=True,
        ):
            group["lr"] = base * rate(step)
        self.model.load_state_dict(part(tensors, "raw"))
        self.average.module.load_state_dict(part(tensors, "model"))
        self.average.n_averaged.copy_(tensors["counter.averaged"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(json.loads(saved.metrics["scaler"]))
        self.epoch = saved.epoch
        self.best = float(saved.metrics["best_miou"])
        return True

    def _loader(self) -> DataLoader[Any]:
        self.train_set.set_epoch(self.epoch)
        order = torch.Generator().manual_seed(self.recipe.train.seed * 100_003 + self.epoch)
        return DataLoader(
            self.train_set,
            batch_size=self.recipe.train.batch,
            shuffle=True,
            drop_last=True,
            generator=order,
            num_workers=self.recipe.data.workers,
            pin_memory=self.device.type == "cuda",
        )

    def _train_epoch(self, report: Callable[[Progress], None]) -> float:
        self.model.train()
        # Dropout draws from the global generator: seeding it here makes a resumed epoch exact.
        torch.manual_seed(self.recipe.train.seed * 100_003 + self.epoch)
        total = 0.0
        for step, (pictures, labels) in enumerate(self._loader(), start=1):
            pictures = pictures.to(self.device, non_blocking=True)
            labels = labels.to(self.device, non_blocking=True)
            x = normalise(pictures).contiguous(memory_format=torch.channels_last)
            with autocast(self.device):
                outputs = self.model(x)
            loss = self.loss(outputs, labels)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise TrainError(
                    f"{self.recipe.name}: the loss became {value} in epoch {self.epoch + 1}, "
                    f"step {step}; lower optim.lr"
                )
            self.optimizer.zero_grad(set_to_none=True)
            self.scaler.scale(loss).backward()
            self.scaler.step(self.optimizer)
            self.scaler.update()
            self.schedule.step()
            self.average.update_parameters(self.model)
            total += value
            report(Progress(self.epoch + 1, self.recipe.train.epochs, step, self.steps, value))
        return total / self.steps

    def _checkpoint(self, scores: Scores | None, *, full: bool) -> Checkpoint:
        metrics: dict[str, Any] = {"best_miou": self.best, "split": "val"}
        if scores is not None:
            metrics |= scores.as_dict(self.classes.names)
        tensors = {f"model.{k}": v for k, v in self.average.module.state_dict().items()}
        if full:
            tensors |= {f"raw.{k}": v for k, v in self.model.state_dict().items()}
            tensors |= {f"optim.{k}": v for k, v in optimizer_tensors(self.optimizer).items()}
            tensors["counter.step"] = as_counter(self.epoch * self.steps)
            tensors["counter.averaged"] = self.average.n_averaged
            if self.scaler.is_enabled():
                metrics["scaler"] = json.dumps(self.scaler.state_dict())
        return Checkpoint(
            recipe=self.recipe,
            classes=self.classes,
            epoch=self.epoch,
            metrics=metrics,
            tensors=tensors,
        )

    def _log(self, loss: float, scores: Scores | None, seconds: float) -> None:
        path = self.out / "log.csv"
        rows = []
        if path.is_file():
            with path.open(newline="") as file:
                rows = [row for row in csv.DictReader(file) if int(row["epoch"]) < self.epoch]
        row: dict[str, Any] = {
            "epoch": self.epoch,
            "loss": f"{loss:.5f}",
            "seconds": f"{seconds:.1f}",
        }
        if scores is not None:
            row |= {
                "miou": f"{scores.miou:.5f}",
                "mean_accuracy": f"{scores.mean_accuracy:.5f}",
                "pixel_accuracy": f"{scores.pixel_accuracy:.5f}",
            }
            row |= {
                n: f"{v:.5f}" for n, v in zip(self.classes.names, scores.class_iou, strict=True)
            }
        names = [
            "epoch",
            "loss",
            "seconds",
            "miou",
            "mean_accuracy",
            "pixel_accuracy",
            *self.classes.names,
        ]
        partial = path.with_suffix(".part")
        with partial.open("w", newline="") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows([*rows, row])
        partial.replace(path)

    def _describe(self) -> None:
        environment = {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "torchvision": torchvision.__version__,
            "device": torch.cuda.get_device_name() if self.device.type == "cuda" else "cpu",
            "threads": torch.get_num_threads(),
        }
        recipe = self.recipe.as_dict()
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            (self.out / "recipe.json").write_text(json.dumps(recipe, indent=2) + "\n")
            (self.out / "environment.json").write_text(json.dumps(environment, indent=2) + "\n")
        except OSError as error:
            raise TrainError(
                f"{self.out}: cannot be written ({error.strerror}); choose another --out"
            ) from error

    def fit(self, report: Callable[[Progress], None] = lambda _: None) -> float:
        """Train to the last epoch; return the best validation mIoU (of the averaged weights).

        Raises:
            TrainError: the loss is no longer finite, or the run folder cannot be written.
        """
        self._describe()
        config = self.recipe.train
        while self.epoch < config.epochs:
            start = time.monotonic()
            loss = self._train_epoch(report)
            self.epoch += 1
            scores = None
            if self.epoch % config.validate_every == 0 or self.epoch == config.epochs:
                scores = evaluate_network(
                    self.model, self.val_set, self.device, self.average.module
                )
                if scores.miou > self.best:
                    self.best = scores.miou
                    best = self._checkpoint(scores, full=False)
                    save_checkpoint(self.out / "best.safetensors", best)
            seconds = time.monotonic() - start
            # The log first: a kill between the two repeats the epoch and writes the same line.
            self._log(loss, scores, seconds)
            save_checkpoint(self.out / "last.safetensors", self._checkpoint(scores, full=True))
            report(
                Progress(
                    self.epoch,
                    config.epochs,
                    self.steps,
                    self.steps,
                    loss,
                    scores,
                    seconds,
                    self.classes.names,
                )
            )
        return self.best
