"""The training loop: which step, validation and checkpoint comes next. Knows no command line.

`parts` builds what it trains with, `step` takes a step, `resume` says what a checkpoint
holds, `validate` measures.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from train.checkpoint import save_checkpoint
from train.fit.distributed import World
from train.fit.environment import describe_environment
from train.fit.failures import failures_in_words
from train.fit.parts import build_parts
from train.fit.precision import Precision
from train.fit.progress import Progress, progress_at
from train.fit.resume import Snapshots, State, all_see
from train.fit.runfolder import RunFolder
from train.fit.sampling import EpochPlan
from train.fit.schedule import due
from train.fit.splits import open_splits, with_layout
from train.fit.step import Part, Stepper
from train.fit.validate import validate
from train.metrics import Scores
from train.recipe import Recipe

SAVE_SECONDS = 300.0
"""Time between two resumable checkpoints within an epoch; each epoch's end has one."""


class Trainer:
    """One run: `fit` trains from where the run folder's ``last.safetensors`` stopped, or afresh.

    Args:
        recipe: what to train and how.
        data: data folder; None for a recipe that learns from teachers alone.
        out: run folder; `docs/training.md` says what is written there.
        init: see `train.fit.initial.initialise`.
        device: where to train.
        world: this process's place among several; only the main one writes.
        source: the recipe's TOML text, to be kept in the run folder.
        labelling: called with pictures done and their number while teachers label them.

    Raises:
        TrainError: data or weights cannot be read, or recipe, data and machine do not fit together.
    """

    def __init__(
        self,
        recipe: Recipe,
        *,
        data: Path | None,
        out: Path,
        init: Path | str | None,
        device: torch.device,
        world: World | None = None,
        source: str | None = None,
        labelling: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        self.device, self.world = device, world or World()
        self._source, self._given = source, {"data": data and str(data), "init": init and str(init)}
        self._out, self.precision = out, Precision(recipe.train.amp, device)
        if self.world.is_main:
            RunFolder(out, classes=(), tensorboard=False).check()
        recipe = with_layout(recipe, data)
        with self.world.in_turn():  # the first process fills the cache of soft labels for all
            self.train_set, self.val_set = open_splits(recipe, data, labelling)
        self.classes = self.train_set.classes
        self.recipe = dataclasses.replace(
            recipe, model=dataclasses.replace(recipe.model, classes=len(self.classes))
        )
        self._plan()
        self._build(init)
        self.state = State()

    def _plan(self) -> None:
        """Which pictures each step takes, how many steps there are, and where they are told of."""
        config = self.recipe.train
        self.plan = EpochPlan(
            len(self.train_set),
            batch=config.batch,
            parts=config.accumulate,
            seed=config.seed,
            world=self.world,
        )
        self.steps = self.plan.steps
        self.total = config.iterations or self.steps * config.epochs
        self.folder = RunFolder(
            self._out, classes=self.classes.names, tensorboard=config.tensorboard
        )

    def _build(self, init: Path | str | None) -> None:
        # A run that goes on has its checkpoint's weights: what it started from may be gone.
        source = None if self.folder.last.is_file() else init
        self.parts = build_parts(
            self.recipe,
            self.train_set,
            source,
            total=self.total,
            device=self.device,
            world=self.world,
        )
        self.snapshots = Snapshots(
            recipe=self.recipe,
            classes=self.classes,
            steps=self.steps,
            parts=self.parts,
            precision=self.precision,
        )
        self.stepper = Stepper(
            recipe=self.recipe,
            parts=self.parts,
            precision=self.precision,
            steps=self.steps,
            device=self.device,
            world=self.world,
        )

    @property
    def step(self) -> int:
        """Optimiser steps done."""
        return self.state.step

    @property
    def epoch(self) -> int:
        """Epochs finished."""
        return self.step // self.steps

    @property
    def finished(self) -> bool:
        """Whether the run is at its end, or was stopped early."""
        patience = self.recipe.train.patience
        return self.step >= self.total or (patience > 0 and self.state.stale >= patience)

    def resume(self) -> bool:
        """Load ``last.safetensors`` if there is one.

        Raises:
            TrainError: it belongs to another recipe, or the data has changed.
        """
        path = self.folder.last
        if not all_see(path, self.world, self.device):
            return False
        self.state = self.snapshots.restore(path)
        return True

    def _steps_of_epoch(self) -> Iterator[tuple[Part, ...]]:
        """The parts of each step that this epoch still has."""
        self.plan.set_epoch(self.epoch, self.step % self.steps)
        self.train_set.set_epoch(self.epoch)
        loader = DataLoader(
            self.train_set,
            batch_sampler=self.plan,
            num_workers=self.recipe.data.workers,
            pin_memory=self.device.type == "cuda",
        )
        parts = iter(loader)
        return zip(*[parts] * self.recipe.train.accumulate, strict=True)

    def _validate(self) -> tuple[Scores, float]:
        self.world.as_main(self.parts.model, self.parts.average.module)
        result = validate(
            self.parts.average.module,
            self.val_set,
            self.parts.loss,
            label_stride=self.recipe.model.label_stride,
            device=self.device,
            world=self.world,
        )
        self.state.stale += 1
        if self.recipe.train.keep_all and self.world.is_main:
            path = self.folder.path / f"step_{self.step:07d}.safetensors"
            self._save(path, result[0], full=False)
        if result[0].miou > self.state.best:
            self.state.best, self.state.stale = result[0].miou, 0
            if self.world.is_main:
                self._save(self.folder.best, result[0], full=False)
        return result

    def _save(self, path: Path, scores: Scores | None, *, full: bool) -> None:
        save_checkpoint(path, self.snapshots.take(self.state, scores, full=full))

    def _open_folder(self) -> None:
        if self.world.is_main:
            self.folder.open(
                recipe=self.recipe.as_dict(),
                source=self._source,
                environment=describe_environment(self.device, self.world) | self._given,
                step=self.step,
            )

    def _progress(self, loss: float, **more: Any) -> Progress:
        names = self.classes.names
        return progress_at(
            self.step, loss, steps=self.steps, total=self.total, classes=names, **more
        )

    def fit(self, report: Callable[[Progress], None] = lambda _: None) -> float:
        """Train to the end; return the best validation mIoU (of the averaged weights).

        Raises:
            TrainError: the loss is no longer finite, memory runs out, or the run folder cannot be
                written.
        """
        self._open_folder()
        try:
            with failures_in_words(self.device):
                if self.recipe.train.validate_first and self.step == 0:
                    self._end_row(report, 0.0, time.monotonic(), look=True)
                while not self.finished:
                    self._fit_epoch(report)
        finally:
            self.folder.close()
        return self.state.best

    def _fit_epoch(self, report: Callable[[Progress], None]) -> None:
        """What this epoch still has, or until the run ends."""
        start = saved = time.monotonic()
        self.parts.frozen.train()
        for parts in self._steps_of_epoch():
            loss, lr = self.stepper.take(self.step, parts)
            self.state.step += 1
            self.state.losses.append(loss)
            progress = self._progress(loss)
            if self.world.is_main:
                self.folder.add_step(step=self.step, epoch=progress.epoch, loss=loss, lr=lr)
            report(progress)
            scores = None
            row, look = due(self.recipe.train, self.step, steps=self.steps, total=self.total)
            if row:
                scores = self._end_row(report, lr, start, look=look)
                start = time.monotonic()
            epoch_end = self.step % self.steps == 0
            if epoch_end or self.finished or time.monotonic() - saved > SAVE_SECONDS:
                if self.world.is_main:
                    # The logs first: a kill between the two repeats the steps that they tell of.
                    self.folder.flush()
                    save_checkpoint(
                        self.folder.last, self.snapshots.take(self.state, scores, full=True)
                    )
                saved = time.monotonic()
            if self.finished:
                return

    def _end_row(
        self, report: Callable[[Progress], None], lr: float, start: float, *, look: bool
    ) -> Scores | None:
        """A row of the log, with a validation if it is time to `look`."""
        validation = self._validate() if look else None
        scores = validation[0] if validation else None
        losses, seconds = self.state.losses, time.monotonic() - start
        mean = sum(losses) / len(losses) if losses else math.nan  # before the first step
        if self.world.is_main:
            self.folder.add_row(
                epoch=math.ceil(self.step / self.steps),
                step=self.step,
                loss=mean,
                seconds=seconds,
                lr=lr,
                validation=validation,
            )
        report(self._progress(mean, scores=scores, seconds=seconds, ends_row=True))
        self.state.losses = []
        return scores
