"""The training loop: which step, validation and checkpoint comes next. Knows no command line.

`parts` builds what it trains with, `step` takes a step, `resume` says what a checkpoint
holds, `validate` measures.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path

import torch

from train.checkpoint import save_checkpoint
from train.fit.distributed import World
from train.fit.environment import describe_environment
from train.fit.failures import failures_in_words
from train.fit.loading import loader_processes, parts_of_steps
from train.fit.optim import copy_weights
from train.fit.parts import build_parts
from train.fit.precision import Precision, quick
from train.fit.progress import Progress
from train.fit.record import Record
from train.fit.resume import Snapshots, State, all_see
from train.fit.runfolder import RunFolder
from train.fit.sampling import RunPlan
from train.fit.schedule import due
from train.fit.splits import open_splits, with_layout
from train.fit.step import Stepper
from train.fit.validate import validate
from train.metrics import Scores
from train.recipe import Recipe

SAVE_SECONDS = 300.0
"""Time between two resumable checkpoints at most."""
LEAST_SECONDS = 10.0
"""Time between two at least: small data sets have epochs of a step."""


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
        self._workers = loader_processes(recipe.data.workers, device)
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
        self.plan = RunPlan(
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

    def _validate(self) -> tuple[Scores, float]:
        self._average()
        self.world.as_main(self.parts.model, self.parts.average.module)
        result = validate(
            self.parts.average.module,
            self.val_set,
            self.parts.loss,
            label_stride=self.recipe.model.label_stride,
            precision=self.precision,
            workers=self._workers,
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

    def _average(self) -> None:
        """The weights that are looked at and kept: without a decay, the network's as they are."""
        if self.recipe.train.ema_decay == 0:
            copy_weights(self.parts.average, self.parts.model)

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

    def fit(self, report: Callable[[Progress], None] = lambda _: None) -> float:
        """Train to the end; return the best validation mIoU (of the averaged weights).

        Raises:
            TrainError: the loss is no longer finite, memory runs out, or the run folder cannot be
                written.
        """
        self._open_folder()
        self.record = Record(
            name=self.recipe.name,
            folder=self.folder,
            writes=self.world.is_main,
            classes=self.classes.names,
            steps=self.steps,
            total=self.total,
            state=self.state,
            device=self.device,
            report=report,
        )
        quick(self.device, tf32=self.recipe.train.tf32)
        try:
            with failures_in_words(self.device):
                if self.recipe.train.validate_first and self.step == 0:
                    self._end_row(0.0, time.monotonic(), look=True)
                self._train()
        finally:
            self.folder.close()
        return self.state.best

    def _train(self) -> None:
        """All steps that the run still has."""
        start = saved = time.monotonic()
        self.plan.begin(self.step)
        batches = parts_of_steps(
            self.train_set, self.plan, workers=self._workers, device=self.device
        )
        self.parts.frozen.train()
        while not self.finished:
            loss, lr = self.stepper.take(self.step, next(batches))
            self.state.step += 1
            self.record.step(loss, lr)
            scores = None
            row, look = due(self.recipe.train, self.step, steps=self.steps, total=self.total)
            if row:
                scores = self._end_row(lr, start, look=look)
                start = time.monotonic()
            if self._time_to_save(saved):
                self._save_last(scores)
                saved = time.monotonic()

    def _time_to_save(self, saved: float) -> bool:
        """At an epoch's end unless that was a moment ago, in long epochs, and at the end."""
        passed = time.monotonic() - saved
        if self.finished or passed > SAVE_SECONDS:
            return True
        return self.step % self.steps == 0 and passed >= LEAST_SECONDS

    def _save_last(self, scores: Scores | None) -> None:
        """Everything that a resume needs."""
        self.record.settle()
        self._average()
        if self.world.is_main:
            # The logs first: a kill between the two repeats the steps that they tell of.
            self.folder.flush()
            self._save(self.folder.last, scores, full=True)

    def _end_row(self, lr: float, start: float, *, look: bool) -> Scores | None:
        """A row of the log, with a validation if it is time to `look`."""
        self.record.settle()
        validation = self._validate() if look else None
        self.record.row(lr, time.monotonic() - start, validation)
        return validation[0] if validation else None
