"""Checkpoints: safetensors with a JSON header. Never pickle.

Two kinds share the format: ``best`` holds the (averaged) weights under the network's own names;
``last`` holds beside them everything that an exact resume needs.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.optim import Optimizer

from streamseg.models.palette import CAMVID, Palette
from train.errors import TrainError
from train.models import ModelSpec, Segmenter, build_model
from train.recipe import Recipe, recipe_from_dict

HEADER_KEY = "streamseg"
FORMAT = 1
BEFORE = {"basic_dilation": "both", "pyramid_bin1": "bias"}
"""What keys of ``[model]`` mean that a header lacks because they did not exist yet: how networks
were built then, where that is not the default now."""


@dataclass(kw_only=True, slots=True)
class Checkpoint:
    """A checkpoint in memory."""

    recipe: Recipe
    classes: Palette
    """What the scores' channels mean."""
    epoch: int
    """Epochs finished."""
    metrics: dict[str, Any]
    """Validation metrics of these weights, and the best mIoU so far."""
    tensors: dict[str, Tensor] = field(repr=False)
    """``model.*`` (what to run), and for a resume ``raw.*``, ``optim.*``, ``counter.*``."""

    def build(self) -> Segmenter:
        """The network with these weights, in evaluation mode.

        Raises:
            TrainError: the weights are not those of the recipe's network.
        """
        spec: ModelSpec = self.recipe.model
        model = build_model(spec)
        try:
            model.load_state_dict(part(self.tensors, "model"))
        except RuntimeError as error:
            raise TrainError(
                f"the checkpoint's weights do not fit its own recipe [model] ({error})"
            ) from error
        return model.eval()


def part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors under ``prefix.``, without it."""
    start = prefix + "."
    return {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}


def save_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write to a temporary name, then rename: a kill never leaves half a checkpoint.

    Raises:
        TrainError: it cannot be written (folder, disk).
    """
    header = {
        "format": FORMAT,
        "recipe": checkpoint.recipe.as_dict(),
        "classes": dataclasses.asdict(checkpoint.classes),
        "epoch": checkpoint.epoch,
        "metrics": checkpoint.metrics,
    }
    # clone: averaged and raw weights may share storage right after a load, safetensors refuses that
    tensors = {k: v.detach().cpu().contiguous().clone() for k, v in checkpoint.tensors.items()}
    partial = path.with_name(path.name + ".part")
    try:
        save_file(tensors, partial, metadata={HEADER_KEY: json.dumps(header)})
        _settle(partial)
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)  # half a checkpoint would keep a full disk full
        raise TrainError(
            f"{path}: cannot be written ({error}); what was there before is as it was"
        ) from error


def _settle(path: Path) -> None:
    """Have a file on disk, readable for whom the umask lets: safetensors makes it 0600."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)
    # Without it a power cut may leave the new name with nothing in it.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def is_checkpoint(path: Path) -> bool:
    """Whether a file is a checkpoint of ours: safetensors with our header."""
    if not path.is_file():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            return HEADER_KEY in (file.metadata() or {})
    except (SafetensorError, OSError):
        return False


def load_checkpoint(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        TrainError: no such file, no safetensors file, or none of ours.
    """
    if not path.is_file():
        raise TrainError(f"{path}: no such checkpoint")
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(HEADER_KEY)
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise TrainError(f"{path}: cut short, or not a safetensors file ({error})") from error
    if text is None:
        raise TrainError(
            f"{path}: not a streamseg checkpoint (no '{HEADER_KEY}' header); "
            "bare backbone weights go to --init"
        )
    try:
        header = json.loads(text)
        if header["format"] != FORMAT:
            raise TrainError(
                f"{path}: checkpoint format {header['format']}, this version reads {FORMAT}"
            )
        return Checkpoint(
            recipe=recipe_from_dict(_as_meant(header["recipe"]), str(path)),
            classes=_palette(header),
            epoch=int(header["epoch"]),
            metrics=header["metrics"],
            tensors=tensors,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise TrainError(f"{path}: its streamseg header is broken ({error!r})") from error


def _as_meant(recipe: dict[str, Any]) -> dict[str, Any]:
    return recipe | {"model": BEFORE | recipe.get("model", {})}


def _palette(header: dict[str, Any]) -> Palette:
    if "classes" not in header:
        return CAMVID  # the first checkpoints knew no other data
    classes = header["classes"]
    return Palette(
        names=tuple(classes["names"]), colours=tuple(tuple(c) for c in classes["colours"])
    )


def optimizer_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """An optimiser's state as flat tensors ``<parameter index>.<name>``."""
    return {
        f"{index}.{name}": value
        for index, state in optimizer.state_dict()["state"].items()
        for name, value in state.items()
        if isinstance(value, Tensor)
    }


def restore_optimizer(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` took out; groups and rates come from the recipe."""
    state: dict[int, dict[str, Any]] = {}
    for key, value in tensors.items():
        index, name = key.split(".", 1)
        state.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict(
        {"state": state, "param_groups": optimizer.state_dict()["param_groups"]}
    )


def as_counter(value: int) -> Tensor:
    """An integer as a tensor that a checkpoint can hold."""
    return torch.tensor(value, dtype=torch.int64)
