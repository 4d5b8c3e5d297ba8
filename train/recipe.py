"""Recipes: one TOML file says everything about a training run but where its files lie.

Every table is a dataclass beside its defaults; an unknown key or a value out of range is an error
that names the file, the table and the key.
"""

from __future__ import annotations

import dataclasses
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from train.data.config import DataConfig
from train.errors import TrainError
from train.models import ModelSpec


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(kw_only=True, slots=True, frozen=True)
class OptimConfig:
    """``[optim]``: optimiser and poly schedule, ``lr * (1 - step / steps) ** power``."""

    name: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.01
    """Learning rate of head and decoder at the schedule's start."""
    backbone_factor: float = 0.1
    """The backbone's learning rate as a share of `lr`."""
    momentum: float = 0.9
    """SGD only."""
    weight_decay: float = 1e-4
    """Not applied to biases and BatchNorm."""
    warmup_steps: int = 50
    power: float = 0.9

    def __post_init__(self) -> None:
        _require(self.name in ("sgd", "adamw"), f"name is {self.name!r}; known: ['sgd', 'adamw']")
        _require(self.lr > 0, f"lr must be positive, got {self.lr}")
        _require(self.backbone_factor >= 0, "backbone_factor must not be negative")
        _require(self.weight_decay >= 0, "weight_decay must not be negative")
        _require(self.warmup_steps >= 0, "warmup_steps must not be negative")


@dataclass(kw_only=True, slots=True, frozen=True)
class LossConfig:
    """``[loss]``: cross-entropy with class weights and an auxiliary term."""

    balance: Literal["none", "sqrt", "median"] = "sqrt"
    """Class weights: none; median-frequency balancing (Eigen & Fergus 2015); or its square root."""
    auxiliary: float = 0.4
    """Weight of the auxiliary head's loss (PSPNet: 0.4)."""

    def __post_init__(self) -> None:
        known = ["none", "sqrt", "median"]
        _require(self.balance in known, f"balance is {self.balance!r}; known: {known}")
        _require(self.auxiliary >= 0, f"auxiliary must not be negative, got {self.auxiliary}")


@dataclass(kw_only=True, slots=True, frozen=True)
class LoopConfig:
    """``[train]``: how long, how many, from which seed."""

    epochs: int = 20
    batch: int = 8
    ema_decay: float = 0.998
    """Decay of the exponential moving average of the weights; 0 switches it off."""
    validate_every: int = 1
    """Epochs between validations; the last epoch is always validated."""
    seed: int = 0

    def __post_init__(self) -> None:
        _require(self.epochs >= 1, f"epochs must be at least 1, got {self.epochs}")
        _require(self.batch >= 2, f"batch must be at least 2 (BatchNorm), got {self.batch}")
        _require(0 <= self.ema_decay < 1, f"ema_decay must be in [0, 1), got {self.ema_decay}")
        _require(self.validate_every >= 1, "validate_every must be at least 1")


@dataclass(kw_only=True, slots=True, frozen=True)
class Recipe:
    """A whole recipe; `as_dict` is what a checkpoint's header holds."""

    name: str
    model: ModelSpec
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: LoopConfig = field(default_factory=LoopConfig)

    def as_dict(self) -> dict[str, Any]:
        """Plain values only, as JSON stores them."""
        return dataclasses.asdict(self)


T = TypeVar("T")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a TOML value is of a field's type; an integer passes for a float."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return isinstance(value, str)  # which ones: the dataclass says it, with the known ones
    if origin is tuple:
        return (
            isinstance(value, tuple)
            and len(value) == len(arguments)
            and all(_fits(v, h) for v, h in zip(value, arguments, strict=True))
        )
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _table(kind: type[T], values: Any, where: str) -> T:
    if not isinstance(values, dict):
        raise TrainError(f"{where}: must be a table")
    known = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise TrainError(f"{where}: unknown key {key!r}; known: {', '.join(known)}")
    plain = {k: tuple(v) if isinstance(v, list) else v for k, v in values.items()}
    hints = get_type_hints(kind)
    for key, value in plain.items():
        if not _fits(value, hints[key]):
            kind_name = getattr(hints[key], "__name__", str(hints[key]))
            raise TrainError(f"{where}: {key} must be of type {kind_name}, got {values[key]!r}")
    try:
        return kind(**plain)
    except (ValueError, TypeError) as error:
        raise TrainError(f"{where}: {error}") from error


def recipe_from_dict(values: dict[str, Any], where: str) -> Recipe:
    """Build a recipe from parsed TOML (or a checkpoint's header).

    Raises:
        TrainError: an unknown table or key, or a value out of range.
    """
    tables = {
        "model": ModelSpec,
        "data": DataConfig,
        "optim": OptimConfig,
        "loss": LossConfig,
        "train": LoopConfig,
    }
    for key in values:
        if key not in (*tables, "name"):
            known = ", ".join(("name", *tables))
            raise TrainError(f"{where}: unknown table or key {key!r}; known: {known}")
    return Recipe(
        name=str(values.get("name", Path(where).stem)),
        model=_table(ModelSpec, values.get("model", {}), f"{where} [model]"),
        data=_table(DataConfig, values.get("data", {}), f"{where} [data]"),
        optim=_table(OptimConfig, values.get("optim", {}), f"{where} [optim]"),
        loss=_table(LossConfig, values.get("loss", {}), f"{where} [loss]"),
        train=_table(LoopConfig, values.get("train", {}), f"{where} [train]"),
    )


def load_recipe(path: Path, overrides: list[str] | None = None) -> Recipe:
    """Read a TOML recipe; each override is ``table.key=value`` with a TOML value.

    Raises:
        TrainError: no such file, not TOML, an unknown key or a value out of range.
    """
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise TrainError(f"{path}: no such recipe; see train/recipes/") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise TrainError(f"{path}: not a TOML recipe ({error})") from error
    for override in overrides or []:
        table_key, separator, text = override.partition("=")
        table, dot, key = table_key.partition(".")
        if not separator or not dot:
            raise TrainError(f"--set {override}: write table.key=value, e.g. train.epochs=5")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        section = values.setdefault(table, {})
        if not isinstance(section, dict):
            raise TrainError(f"--set {override}: {table} is a value, not a table, in {path}")
        section[key] = value
    return recipe_from_dict(values, str(path))
