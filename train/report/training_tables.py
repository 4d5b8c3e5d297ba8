"""Tables of how runs were trained, in the shapes of reports 001, 003 and 004."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from train.report.entry import Entry
from train.report.evaluation import Evaluation
from train.report.names import backbone
from train.report.runs import Run
from train.report.table import DASH, Table
from train.report.tables import number, percent
from train.report.words import printed


def _text(value: Any) -> str:
    """A recipe's value in a cell."""
    if value is None or value == "":
        return DASH
    if isinstance(value, bool):
        return "Yes" if value else "No"
    if isinstance(value, list | tuple):
        return " to ".join(_text(v) for v in value)
    return (
        f"{value:g}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else str(value)
    )


def _iterations(run: Run) -> str:
    """Optimiser steps of the run, or its epochs where the log does not say steps."""
    steps = [row.step for row in run.rows if row.step is not None]
    if steps:
        return f"{max(steps):,}"
    if run.setting("train", "iterations"):
        return _text(run.setting("train", "iterations"))
    return f"{_text(run.setting('train', 'epochs'))} epochs"


def _learning_rate(run: Run) -> str:
    lr, factor = run.setting("optim", "lr"), run.setting("optim", "backbone_factor")
    if lr is None or factor in (None, 1, 1.0):
        return _text(lr)
    return f"{lr:g} (backbone {lr * factor:g})"


def _trained(entries: Sequence[Entry]) -> list[Run]:
    return [entry.run for entry in entries if entry.run is not None and entry.run.recipe]


def training(entries: Sequence[Entry]) -> Table | None:
    """Report 001's table of training parameters, a row for each run."""
    runs = _trained(entries)
    if not runs:
        return None
    columns = ("Model", "Dataset", "Number of Class", "Scales", "Iteration", "Batch Size")
    rows = tuple(
        (
            run.name,
            printed(run.setting("data", "layout", DASH)),
            _text(len(run.classes) if run.classes else None),
            _scaling(run),
            _iterations(run),
            _text(run.setting("train", "batch")),
            _momentum(run),
            _learning_rate(run),
        )
        for run in runs
    )
    return Table(title="Training", columns=(*columns, "Momentum", "Learning Rate"), rows=rows)


def _momentum(run: Run) -> str:
    return _text(run.setting("optim", "momentum")) if _optimiser(run) == "SGD" else DASH


def _optimiser(run: Run) -> str:
    return printed(run.setting("optim", "name", DASH))


def tests(entries: Sequence[Entry]) -> Table | None:
    """Report 001's table of test parameters, a row for each evaluation."""
    found: list[Evaluation] = [v for entry in entries for v in entry.evaluations]
    if not found:
        return None
    return Table(
        title="Tests",
        columns=("Model", "Test Set", "Input Size", "Batch Size", "Pictures", "Protocol"),
        rows=tuple(
            (v.name, v.target, v.size or "each picture's own", "1", _text(v.pictures), v.protocol)
            for v in found
        ),
    )


def course(entries: Sequence[Entry]) -> Table | None:
    """Reports 002 and 004: how long a run took, what its loss did, when it was best."""
    runs = [run for run in _trained(entries) if run.rows]
    if not runs:
        return None
    rows = []
    for run in runs:
        last, best = run.rows[-1], run.best
        first = next((row for row in run.rows if row.step != 0), last)  # step 0 has no loss
        rows.append(
            (
                run.name,
                _text(last.epoch),
                _iterations(run),
                number(run.seconds / 3600, 2),
                number(first.loss, 3),
                number(last.loss, 3),
                percent(best.scores["miou"] if best else None),
                _text(best.epoch if best else None),
            )
        )
    columns = ("Model", "Epochs", "Iterations", "Time (h)", "First loss", "Last loss")
    return Table(
        title="Course of training. Losses: means of the log's first and last line",
        columns=(*columns, "Best mIoU (%)", "at epoch"),
        rows=tuple(rows),
    )


HYPER_PARAMETERS: dict[str, tuple[str, str]] = {
    "Weight Decay": ("optim", "weight_decay"),
    "Initial Learning Rate": ("optim", "lr"),
    "End Learning Rate": ("optim", "end_lr"),
    "Decay Steps": ("optim", "decay_steps"),
    "Warm-up Steps": ("optim", "warmup_steps"),
    "Batch Size": ("train", "batch"),
    "Random Horizontal Flipping": ("data", "flip"),
    "Colour Jitter": ("data", "jitter"),
    "Loss": ("loss", "name"),
    "Class Weights": ("loss", "balance"),
    "Auxiliary Loss": ("loss", "auxiliary"),
    "Weight Average (decay)": ("train", "ema_decay"),
    "Seed": ("train", "seed"),
}
"""Report 004's rows that are one key of the recipe each, and what else decides a run."""


def hyper_parameters(entries: Sequence[Entry]) -> Table | None:
    """Report 004, table 1: a row for each hyper-parameter, a column for each run."""
    runs = _trained(entries)
    if not runs:
        return None
    rows = [
        ("Pretraining", *(_pretraining(run) for run in runs)),
        ("Backbone", *(backbone(run) for run in runs)),
        ("Training Set", *(printed(run.setting("data", "layout", DASH)) for run in runs)),
        ("Optimizer", *(_optimiser(run) for run in runs)),
        ("Momentum", *(_momentum(run) for run in runs)),
        ("Learning Rate Policy", *(_policy(run) for run in runs)),
        ("Train Iterations", *(_iterations(run) for run in runs)),
        ("Batch Normalization Fine-Tuning", *(_batchnorm(run) for run in runs)),
    ]
    for label, (table, key) in HYPER_PARAMETERS.items():
        rows.append((label, *(_value(run, table, key) for run in runs)))
        if label == "Batch Size":  # the report's order
            rows += [
                ("Initial Rescale", *(_side(run, "resize", "1.0 (None)") for run in runs)),
                ("Random Scaling", *(_scaling(run) for run in runs)),
                ("Random Crop", *(_cropped(run) for run in runs)),
                ("Crop Size", *(_side(run, "crop", DASH) for run in runs)),
            ]
    told = tuple(row for row in rows if any(cell != DASH for cell in row[1:]))
    names = tuple(run.name for run in runs)
    return Table(title="Hyper-parameters", columns=("Hyper-parameter", *names), rows=told)


def _value(run: Run, table: str, key: str) -> str:
    value = run.setting(table, key)
    if key == "decay_steps" and value == 0:
        return "whole run"
    return _text(value)


def _scaling(run: Run) -> str:
    """The scales that were drawn from: a list or a range."""
    if scales := run.setting("data", "scales"):
        return ", ".join(_text(float(scale)) for scale in scales)
    scale = run.setting("data", "scale")
    return "No" if scale is not None and list(scale) == [1, 1] else _text(scale)


def _side(run: Run, key: str, nothing: str) -> str:
    """A size of the recipe, as width x height where it is no square."""
    size = run.setting("data", key)
    if isinstance(size, list | tuple):
        return f"{size[1]}x{size[0]}"
    return DASH if size is None else _text(size) if size else nothing


def _cropped(run: Run) -> str:
    crop = run.setting("data", "crop")
    return DASH if crop is None else "Yes" if crop else "No"


def _pretraining(run: Run) -> str:
    """The weights a run started from; a dash where the run folder does not say."""
    if "init" not in run.environment:
        return DASH
    init = run.environment["init"]
    return Path(str(init)).name if init else "No"


def _policy(run: Run) -> str:
    policy = run.setting("optim", "schedule", "poly")
    power = run.setting("optim", "power")
    return f"Poly (power = {power:g})" if policy == "poly" and power else str(policy).capitalize()


def _batchnorm(run: Run) -> str:
    frozen = run.setting("optim", "freeze_batchnorm", "none")
    return {"none": "Yes", "all": "No"}.get(str(frozen), f"not in the {frozen}")


def adaptation(entries: Sequence[Entry]) -> Table | None:
    """Report 003: how mIoU moved from the first validation to the last."""
    runs = [run for run in _trained(entries) if len(run.validations) > 1]
    if not runs:
        return None
    rows = []
    for run in runs:
        values = [row.scores["miou"] for row in run.validations]
        shown = (values[0], min(values), max(values), values[-1])
        lr, factor = run.setting("optim", "lr"), run.setting("optim", "backbone_factor", 1.0)
        rates = (_text(lr), _text(lr * factor if lr is not None else None))
        rows.append(
            (run.name, backbone(run), *rates, str(len(values)), *(percent(v) for v in shown))
        )
    return Table(
        title="Adaptation: validation mIoU during training. Unit: percentage",
        columns=(
            "Model",
            "Backbone",
            "Learning rate",
            "of the backbone",
            "Validations",
            "First",
            "Lowest",
            "Best",
            "Last",
        ),
        rows=tuple(rows),
    )
