"""What a run leaves behind, but for its checkpoints: recipe, environment, logs, TensorBoard.

``docs/training.md`` describes every file. Knows nothing about networks or training.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from train.errors import TrainError
from train.fit.events import Events
from train.fit.rows import (
    LOG_COLUMNS,
    STEP_COLUMNS,
    class_columns,
    kept_rows,
    validation_cells,
    write_rows,
)
from train.metrics import Scores

LOGS = ("log.csv", "steps.csv", "recipe.toml", "environment.json")


class RunFolder:
    """Writes a run's logs; `open` before the first step, `close` after the last.

    Args:
        path: the folder; made if need be.
        classes: class names, in index order.
        tensorboard: also write TensorBoard events.
    """

    def __init__(self, path: Path, *, classes: tuple[str, ...], tensorboard: bool) -> None:
        self.path = path
        self.best = path / "best.safetensors"
        self.last = path / "last.safetensors"
        self._classes, self._tensorboard = classes, tensorboard
        self._columns = [*LOG_COLUMNS, *class_columns(classes)]
        self._rows: list[dict[str, Any]] = []
        self._steps: TextIO | None = None
        self._events = Events()

    def check(self) -> None:
        """Look whether the folder could be written, before hours of work.

        Raises:
            TrainError: it could not.
        """
        place = next(place for place in (self.path, *self.path.parents) if place.exists())
        if not place.is_dir() or not os.access(place, os.W_OK):
            what = "may not be written to" if place.is_dir() else "is a file"
            raise TrainError(f"{self.path}: {place} {what}; choose another --out")

    def open(
        self, *, recipe: dict[str, Any], source: str | None, environment: dict[str, Any], step: int
    ) -> None:
        """Describe the run, and take the logs back to `step`, after which they go on.

        Args:
            recipe: the resolved recipe.
            source: the TOML file's text, as given.
            environment: where and on what it runs.
            step: optimiser steps done.

        Raises:
            TrainError: the folder cannot be written or holds another run's weights, or TensorBoard
                is not installed.
        """
        resolved = json.dumps(recipe, indent=2) + "\n"
        described, about = self.path / "recipe.json", self.path / "environment.json"
        try:
            if step == 0:
                self._refuse_others(resolved)
            else:  # the weights that a run started from stay those of its start
                environment = environment | _start_of(about)
            self.path.mkdir(parents=True, exist_ok=True)
            described.write_text(resolved)
            about.write_text(json.dumps(environment, indent=2) + "\n")
            if source is not None:
                (self.path / "recipe.toml").write_text(source)
            self._rows = (
                [dict(row) for row in kept_rows(self.path / "log.csv", step)] if step else []
            )
            steps = self.path / "steps.csv"
            write_rows(steps, STEP_COLUMNS, kept_rows(steps, step))
            self._steps = steps.open("a", newline="")
        except OSError as error:
            raise TrainError(
                f"{self.path}: cannot be written ({error.strerror}); choose another --out"
            ) from error
        if self._tensorboard:
            with self._writing():
                self._events = Events(self.path / "tensorboard", step)

    def _refuse_others(self, ours: str) -> None:
        """Refuse to begin over what something else has left.

        Logs of a run that never came to a checkpoint are given up.
        """
        described = self.path / "recipe.json"
        found = described.read_text() if described.is_file() else ""
        if self.best.is_file() and found != ours:
            raise TrainError(
                f"{self.best}: the run folder holds weights of another run; choose another --out"
            )
        strange = [name for name in LOGS if not found and (self.path / name).exists()]
        if strange:
            raise TrainError(
                f"{self.path / strange[0]}: is not from a run (there is no recipe.json beside it) "
                "and would be replaced; choose another --out"
            )

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns a full disk and the like into a sentence."""
        try:
            yield
        except OSError as error:
            raise TrainError(
                f"{self.path}: cannot be written ({error.strerror or error}); the run can go on "
                "from its last checkpoint when that is mended"
            ) from error

    def add_step(self, *, step: int, epoch: int, loss: float, lr: float) -> None:
        """One optimiser step."""
        assert self._steps is not None, "open comes first"
        with self._writing():
            csv.writer(self._steps).writerow([step, epoch, f"{loss:.6g}", f"{lr:.6g}"])
            self._events.add_step(step, loss, lr)

    def flush(self) -> None:
        """Have all steps so far on disk: a checkpoint may follow.

        Raises:
            TrainError: the folder cannot be written.
        """
        if self._steps is not None:
            with self._writing():
                self._steps.flush()

    def add_row(
        self,
        *,
        epoch: int,
        step: int,
        loss: float,
        seconds: float,
        lr: float,
        validation: tuple[Scores, float] | None,
    ) -> None:
        """The end of an epoch or a validation: a row of ``log.csv``, written whole or not at all.

        Everything logged before is on disk when this returns: a checkpoint may follow.

        Raises:
            TrainError: the folder cannot be written.
        """
        row: dict[str, Any] = {"epoch": epoch, "step": step, "loss": f"{loss:.5f}"}
        row |= {"seconds": f"{seconds:.1f}", "lr": f"{lr:.6g}"}
        found = {} if validation is None else validation_cells(*validation, self._classes)
        row |= {name: f"{value:.5f}" for name, value in found.items()}
        self._rows.append(row)
        self.flush()
        with self._writing():
            if found:
                self._events.add_validation(step, found)
            write_rows(self.path / "log.csv", self._columns, self._rows)

    def close(self) -> None:
        """Write out what is buffered.

        Raises:
            TrainError: the folder cannot be written.
        """
        with self._writing():
            try:
                if self._steps is not None:
                    self._steps.close()
            finally:
                self._events.close()


def _start_of(about: Path) -> dict[str, Any]:
    """What an ``environment.json`` says of a run's start."""
    try:
        return {"init": json.loads(about.read_text())["init"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}
