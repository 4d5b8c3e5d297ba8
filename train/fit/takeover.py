"""Tensors of one network into another whose classes may differ.

What belongs to a class goes with the class, by name or by index (`StartClasses`); the rest of the
layers that score classes stays random, and one line says what was done.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from streamseg.models.palette import Palette
from train.data.classnames import match
from train.errors import TrainError
from train.models import ModelSpec, Segmenter, build_model
from train.settings.fit import StartClasses


def class_axes(spec: ModelSpec) -> dict[str, int]:
    """The tensors whose size depends on the number of classes, and along which axis.

    Found by building the network's outline for two numbers of classes: true of every network.
    """
    with torch.device("meta"):
        few, more = (
            build_model(dataclasses.replace(spec, classes=classes)).state_dict()
            for classes in (2, 3)
        )
    return {
        key: axis
        for key, value in few.items()
        for axis in range(value.ndim)
        if value.shape[axis] != more[key].shape[axis]
    }


def class_pairs(
    names: Sequence[str], before: Sequence[str], rule: StartClasses
) -> list[tuple[int, int]]:
    """Which class of ours starts as which class of a file: pairs of indices.

    "name": those that both lists name; a name of the same meaning will do
    (`train.data.classnames`): motorcycle for motorbike. "index": class i as class i, whatever they
    mean, as far as both lists go.
    """
    if rule == "index":
        return [(index, index) for index in range(min(len(names), len(before)))]
    found = ((index, match(name, before)) for index, name in enumerate(names))
    return [(index, there) for index, there in found if there is not None]


def with_shared_classes(
    own: Tensor, loaded: Tensor, axis: int, pairs: Sequence[tuple[int, int]]
) -> Tensor:
    """`own` with the slices of the classes of `pairs` taken from `loaded`."""
    result = own.clone()
    for index, there in pairs:
        result.select(axis, index).copy_(loaded.select(axis, there))
    return result


def kept_line(names: Sequence[str], before: Sequence[str], rule: StartClasses) -> str:
    """What became of a classifier of other classes, for people."""
    pairs = class_pairs(names, before, rule)
    which = ", ".join(names[index] for index, _ in pairs) or "none"
    if rule == "index":
        which = ", ".join(f"{before[there]} as {names[index]}" for index, there in pairs)
    return (
        f"its classifier is replaced: {len(names)} classes for {len(before)}, kept by {rule}: "
        f"{which}"
    )


def _with_own_auxiliary(
    loaded: dict[str, Tensor], own: dict[str, Tensor]
) -> tuple[dict[str, Tensor], str]:
    """Weights whose auxiliary head is there if the network has one, and what was done about it.

    It serves training alone, and recipes that share a network may differ in it.
    """
    theirs, ours = (any(k.startswith("auxiliary.") for k in keys) for keys in (loaded, own))
    if theirs == ours:
        return loaded, ""
    kept = {k: v for k, v in loaded.items() if not k.startswith("auxiliary.")}
    if theirs:
        return kept, " without its auxiliary head"
    mine = {k: v for k, v in own.items() if k.startswith("auxiliary.")}
    return kept | mine, " with a new auxiliary head"


def take_over(
    model: Segmenter,
    loaded: dict[str, Tensor],
    before: tuple[str, ...],
    classes: Palette,
    rule: StartClasses,
    path: Path | str,
) -> str:
    """All tensors of a network with the classes `before`; what was done, for people.

    Raises:
        TrainError: they are another network's.
    """
    own = model.state_dict()
    loaded, about = _with_own_auxiliary(loaded, own)
    same = before == classes.names
    axes = {} if same else class_axes(model.spec)
    odd = [key for key in own if key not in loaded] + [key for key in loaded if key not in own]
    odd += [
        key
        for key, value in own.items()
        if key in loaded and key not in axes and loaded[key].shape != value.shape
    ]
    if odd:
        raise TrainError(
            f"{path}: holds another network than the recipe's [model]: {len(odd)} tensors differ "
            f"(first: {odd[0]}); give --init a checkpoint of the same network"
        )
    pairs = class_pairs(classes.names, before, rule)
    for key, axis in axes.items():
        if loaded[key] is not own[key]:  # a new auxiliary head has nothing to take over
            loaded[key] = with_shared_classes(own[key], loaded[key], axis, pairs)
    model.load_state_dict(loaded)
    if same:
        return f"starting from the whole network of {path}{about}"
    kept = kept_line(classes.names, before, rule)
    return f"starting from the network of {path}{about}; {kept}"
