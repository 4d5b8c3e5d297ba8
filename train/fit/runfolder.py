"""What a run leaves behind, but for its checkpoints: recipe, environment, logs, TensorBoard.

``docs/training.md`` describes every file. Knows nothing about networks or training.
"""

from __future__ import annotations

import contextlib
import csv
import json
import os
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from train.errors import TrainError
from train.metrics import Scores

LOG_COLUMNS = (
    "epoch",
    "step",
    "loss",
    "seconds",
    "lr",
    "val_loss",
    "miou",
    "mean_accuracy",
    "pixel_accuracy",
    "fw_iou",
)
"""Columns of ``log.csv`` before those of the classes."""
LOGS = ("log.csv", "steps.csv", "recipe.toml", "environment.json")
STEP_COLUMNS = ("step", "epoch", "loss", "lr")
"""Columns of ``steps.csv``."""


def class_columns(names: Iterable[str]) -> list[str]:
    """A column name for each class; one that is taken gets ``class`` before it."""
    return [f"class {name}" if name in LOG_COLUMNS else name for name in names]


def _kept_rows(path: Path, step: int) -> list[dict[str, str]]:
    """The rows of a log that belong to steps up to `step`; what a kill cut off is left out.

    Raises:
        TrainError: it is no log of ours.
    """
    if not path.is_file():
        return []
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
        complete = (row for row in rows if all(value is not None for value in row.values()))
        return [row for row in complete if int(row.get("step") or 0) <= step]
    except (ValueError, csv.Error) as error:
        raise TrainError(
            f"{path}: not a log of this run any more ({error}); move it away, or choose another "
            "--out"
        ) from error


def _write_rows(path: Path, columns: Iterable[str], rows: Iterable[dict[str, Any]]) -> None:
    partial = path.with_name(path.name + ".part")
    with partial.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(columns), extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    partial.replace(path)


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
        self._events: Any = None

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
            self._rows = [dict(row) for row in _kept_rows(self.path / "log.csv", step)]
            steps = self.path / "steps.csv"
            _write_rows(steps, STEP_COLUMNS, _kept_rows(steps, step))
            self._steps = steps.open("a", newline="")
        except OSError as error:
            raise TrainError(
                f"{self.path}: cannot be written ({error.strerror}); choose another --out"
            ) from error
        if self._tensorboard:
            with self._writing():
                self._events = _event_writer(self.path / "tensorboard", step)

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
            if self._events is not None:
                self._events.add_scalar("train/loss", loss, step)
                self._events.add_scalar("train/lr", lr, step)

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
        if validation is not None:
            scores, val_loss = validation
            values = {
                "val_loss": val_loss,
                "miou": scores.miou,
                "mean_accuracy": scores.mean_accuracy,
                "pixel_accuracy": scores.pixel_accuracy,
                "fw_iou": scores.frequency_weighted_iou,
            }
            names = class_columns(self._classes)
            by_class = dict(zip(names, scores.class_iou, strict=True))
            row |= {name: f"{value:.5f}" for name, value in (values | by_class).items()}
        self._rows.append(row)
        self.flush()
        with self._writing():
            if validation is not None:
                self._events_of(values, by_class, step)
            _write_rows(self.path / "log.csv", self._columns, self._rows)

    def _events_of(self, values: dict[str, float], by_class: dict[str, float], step: int) -> None:
        if self._events is None:
            return
        for name, value in values.items():
            self._events.add_scalar(f"val/{name}", value, step)
        for name, value in by_class.items():
            if value == value:  # a class that validation does not have is NaN
                self._events.add_scalar(f"val_iou/{name}", value, step)
        self._events.flush()

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
                if self._events is not None:
                    self._events.close()


def _start_of(about: Path) -> dict[str, Any]:
    """What an ``environment.json`` says of a run's start."""
    try:
        return {"init": json.loads(about.read_text())["init"]}
    except (OSError, ValueError, KeyError, TypeError):
        return {}


def _spoken(args: threading.ExceptHookArgs) -> None:
    """Threads' errors are printed, but for TensorBoard's: the next write raises that one again."""
    if not type(args.thread).__module__.startswith("tensorboard."):
        threading.__excepthook__(args)


def _event_writer(path: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise TrainError(
            "tensorboard is not installed: pip install tensorboard, or set train.tensorboard=false"
        ) from error
    threading.excepthook = _spoken
    # purge: what a killed run wrote after the checkpoint is not shown
    return SummaryWriter(str(path), purge_step=step + 1)
