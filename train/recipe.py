"""Recipes: one TOML file says everything about a training run but where its files lie.

Every table is a dataclass beside its defaults; an unknown key or a value out of range is an error
that names the file, the table and the key.
"""

from __future__ import annotations

import copy
import dataclasses
import math
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from train.data.config import DataConfig
from train.errors import TrainError, UsageError
from train.models import ModelSpec
from train.settings.distil import DistilConfig
from train.settings.fit import LoopConfig, LossConfig, OptimConfig

__all__ = [
    "DataConfig",
    "DistilConfig",
    "LoopConfig",
    "LossConfig",
    "ModelSpec",
    "OptimConfig",
    "Recipe",
    "load_recipe",
    "recipe_from_dict",
]


@dataclass(kw_only=True, slots=True, frozen=True)
class Recipe:
    """A whole recipe; `as_dict` is what a checkpoint's header holds."""

    name: str
    model: ModelSpec
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    train: LoopConfig = field(default_factory=LoopConfig)
    distil: DistilConfig = field(default_factory=DistilConfig)

    def as_dict(self) -> dict[str, Any]:
        """Plain values only, as JSON stores them."""
        return dataclasses.asdict(self)


HARMLESS = (
    *("data.workers", "data.cache", "distil.cache"),
    *("train.keep_all", "train.tensorboard"),
)
"""Keys that change no number of a run: it may go on with others."""


def changed_keys(before: Recipe, now: Recipe) -> list[str]:
    """``table.key: old -> new`` of all keys in which two recipes differ, but for `HARMLESS`."""
    old, new = _flat(before), _flat(now)
    return [
        f"{key}: {old[key]} -> {new[key]}"
        for key in old
        if old[key] != new[key] and key not in HARMLESS
    ]


def _flat(recipe: Recipe) -> dict[str, Any]:
    tables = recipe.as_dict()
    flat = {"name": tables.pop("name")}
    return flat | {
        f"{table}.{key}": value for table, keys in tables.items() for key, value in keys.items()
    }


T = TypeVar("T")


def _fits(value: Any, hint: Any) -> bool:
    """Whether a TOML value is of a field's type; an integer passes for a float."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return isinstance(value, str)  # which ones: the dataclass says it, with the known ones
    if origin in (Union, UnionType):
        return any(_fits(value, argument) for argument in arguments)
    if origin is tuple:
        if not isinstance(value, tuple):
            return False
        hints = arguments
        if len(arguments) == 2 and arguments[1] is ...:
            hints = arguments[:1] * len(value)
        return len(value) == len(hints) and all(
            _fits(v, h) for v, h in zip(value, hints, strict=True)
        )
    if hint is NoneType:
        return value is None
    if hint is float:  # TOML has inf and nan; no key has a use for them
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _frozen(value: Any) -> Any:
    """Lists as tuples, also inside each other."""
    return tuple(_frozen(v) for v in value) if isinstance(value, list | tuple) else value


def _table(kind: type[T], values: Any, where: str) -> T:
    if not isinstance(values, dict):
        raise TrainError(f"{where}: must be a table")
    known = [f.name for f in dataclasses.fields(kind)]  # type: ignore[arg-type]
    for key in values:
        if key not in known:
            raise TrainError(f"{where}: unknown key {key!r}; known: {', '.join(known)}")
    plain = {key: _frozen(value) for key, value in values.items()}
    hints = get_type_hints(kind)
    for key, value in plain.items():
        if not _fits(value, hints[key]):
            plain_type = isinstance(hints[key], type) and get_origin(hints[key]) is None
            kind_name = hints[key].__name__ if plain_type else str(hints[key])
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
        "distil": DistilConfig,
    }
    for key in values:
        if key not in (*tables, "name"):
            known = ", ".join(("name", *tables))
            raise TrainError(f"{where}: unknown table or key {key!r}; known: {known}")
    name = values.get("name", Path(where).stem)
    if not isinstance(name, str) or not name:
        raise TrainError(f"{where}: name must be a text, got {name!r}")
    return Recipe(
        name=name,
        model=_table(ModelSpec, values.get("model", {}), f"{where} [model]"),
        data=_table(DataConfig, values.get("data", {}), f"{where} [data]"),
        optim=_table(OptimConfig, values.get("optim", {}), f"{where} [optim]"),
        loss=_table(LossConfig, values.get("loss", {}), f"{where} [loss]"),
        train=_table(LoopConfig, values.get("train", {}), f"{where} [train]"),
        distil=_table(DistilConfig, values.get("distil", {}), f"{where} [distil]"),
    )


def load_recipe(path: Path, overrides: list[str] | None = None) -> Recipe:
    """Read a TOML recipe; each override is ``table.key=value`` with a TOML value.

    Raises:
        TrainError: no such file, not TOML, an unknown key or a value out of range; a `UsageError`
            if an override is to blame.
    """
    try:
        values = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise TrainError(f"{path}: no such recipe; see train/recipes/") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise TrainError(f"{path}: not a TOML recipe ({error})") from error
    if not overrides:
        return recipe_from_dict(values, str(path))
    changed = copy.deepcopy(values)
    for override in overrides:
        _override(changed, override, path)
    try:
        return recipe_from_dict(changed, str(path))
    except TrainError as error:
        if _is_good(values, path):  # what is wrong came with the command line
            raise UsageError(f"{error}; change --set, the file alone is in order") from error
        raise


def _override(values: dict[str, Any], override: str, path: Path) -> None:
    """Put one ``table.key=value`` into parsed TOML."""
    table_key, separator, text = override.partition("=")
    table, dot, key = table_key.partition(".")
    if not separator or not dot:
        raise UsageError(f"--set {override}: write table.key=value, e.g. train.epochs=5")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        value = text
    section = values.setdefault(table, {})
    if not isinstance(section, dict):
        raise UsageError(f"--set {override}: {table} is a value, not a table, in {path}")
    section[key] = value


def _is_good(values: dict[str, Any], path: Path) -> bool:
    try:
        recipe_from_dict(values, str(path))
    except TrainError:
        return False
    return True
