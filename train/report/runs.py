"""Reading runs: a run folder that `train.fit.trainer` wrote, or a single checkpoint.

Knows nothing about networks or pictures. A recipe stays a plain dictionary here: a report can then
show runs of older and newer versions side by side.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.models.palette import Palette
from train.checkpoint import Checkpoint, load_checkpoint
from train.console import split_name
from train.errors import TrainError
from train.report.logs import LogRow, read_log, read_steps

BEST, LOG, STEPS = "best.safetensors", "log.csv", "steps.csv"
NO_STEPS: NDArray[np.float64] = np.zeros((0, 2))


@dataclass(kw_only=True, slots=True, frozen=True, eq=False)
class Run:
    """What a report knows of one training run before anything is evaluated."""

    name: str
    place: Path
    """The run folder or the checkpoint that was named."""
    checkpoint: Path | None
    """The weights to evaluate, None while a run has not been validated yet."""
    recipe: dict[str, Any] = field(repr=False)
    environment: dict[str, Any] = field(repr=False)
    classes: Palette | None = field(repr=False)
    rows: tuple[LogRow, ...] = field(repr=False, default=())
    steps: NDArray[np.float64] = field(repr=False, default_factory=NO_STEPS.copy)
    """Step and loss of every optimiser step ``[S, 2]``; empty for runs that do not log it."""

    @property
    def validations(self) -> tuple[LogRow, ...]:
        """The log's rows that hold a validation."""
        return tuple(row for row in self.rows if "miou" in row.scores)

    @property
    def best(self) -> LogRow | None:
        """The validation whose weights were kept."""
        return max(self.validations, key=lambda row: row.scores["miou"], default=None)

    @property
    def seconds(self) -> float:
        """Time of all epochs in the log."""
        return sum(row.seconds for row in self.rows)

    def setting(self, table: str, key: str, default: Any = None) -> Any:
        """One value of the recipe, or `default` where its version had no such key."""
        values = self.recipe.get(table, {})
        return values.get(key, default) if isinstance(values, dict) else default

    @property
    def size(self) -> tuple[int, int] | None:
        """Height and width that pictures are resized to; None: each picture's own."""
        resize = self.setting("data", "resize", 0)
        if isinstance(resize, int):
            return (resize, resize) if resize else None
        return int(resize[0]), int(resize[1])

    @property
    def input_size(self) -> str | None:
        """`size` as ``WIDTHxHEIGHT``."""
        return None if self.size is None else f"{self.size[1]}x{self.size[0]}"

    def load(self) -> Checkpoint:
        """The checkpoint, read.

        Raises:
            TrainError: there is none, or it cannot be read.
        """
        if self.checkpoint is None:
            raise TrainError(f"{self.place}: no {BEST} yet: let the run reach a validation")
        return load_checkpoint(self.checkpoint)


def read_run(argument: str) -> Run:
    """A run from ``[NAME=]RUN``; without a name it is called like its folder.

    Raises:
        TrainError: no such run, nothing of a run in it, or a broken file; it names the file.
    """
    name, place = split_name(argument)
    if place.is_file():
        return _from_checkpoint(name or _checkpoint_name(place), place)
    if not place.is_dir():
        raise TrainError(f"{place}: no such run folder or checkpoint")
    log, best = place / LOG, place / BEST
    if not log.is_file() and not best.is_file():
        raise TrainError(
            f"{place}: neither {LOG} nor {BEST} in it; give a folder that training wrote (--out)"
        )
    checkpoint = load_checkpoint(best) if best.is_file() else None
    recipe = _read_json(place / "recipe.json")
    rows = read_log(log) if log.is_file() else ()
    if checkpoint is None and not rows:
        raise TrainError(f"{log}: no epoch has ended yet; let the run go on, then report it")
    return Run(
        name=name or place.resolve().name,
        place=place,
        checkpoint=best if checkpoint else None,
        recipe=recipe or (checkpoint.recipe.as_dict() if checkpoint else {}),
        environment=_read_json(place / "environment.json"),
        classes=checkpoint.classes if checkpoint else None,
        rows=rows,
        steps=read_steps(place / STEPS) if (place / STEPS).is_file() else NO_STEPS,
    )


def _checkpoint_name(path: Path) -> str:
    stem = path.stem
    return path.resolve().parent.name if stem in ("best", "last") else stem


def _from_checkpoint(name: str, path: Path) -> Run:
    loaded = load_checkpoint(path)
    return Run(
        name=name,
        place=path,
        checkpoint=path,
        recipe=loaded.recipe.as_dict(),
        environment={},
        classes=loaded.classes,
    )


def read_runs(arguments: tuple[str, ...]) -> list[Run]:
    """All runs, with names that differ.

    Raises:
        TrainError: see `read_run`; or two runs have one name, or different classes.
    """
    runs: list[Run] = []
    for argument in arguments:
        run = read_run(argument)
        for other in runs:
            if other.name == run.name:
                raise TrainError(
                    f"{run.place}: another run is called {run.name!r} too; "
                    f"name them: A={other.place} B={run.place}"
                )
            check_same_classes(other, run)
        runs.append(run)
    return runs


def check_same_classes(first: Run, second: Run) -> None:
    """Refuse to compare networks of different classes.

    Raises:
        TrainError: their class names differ.
    """
    if first.classes is None or second.classes is None:
        return
    a, b = first.classes.names, second.classes.names
    if a != b:
        raise TrainError(
            f"{second.place}: {len(b)} classes ({b[0]}, ...), but {first.place} has {len(a)} "
            f"({a[0]}, ...); make one report for each data set"
        )


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        values = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise TrainError(f"{path}: not a JSON file ({error})") from error
    if not isinstance(values, dict):
        raise TrainError(f"{path}: must hold a JSON object, got {type(values).__name__}")
    return values
