"""A recipe's two splits, opened and checked before any network is built."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from train.data.dataset import SegmentationData
from train.data.detect import layout_of
from train.data.opening import training_set, validation_set
from train.distil.data import DistilData, open_distil_splits
from train.errors import TrainError
from train.recipe import Recipe


def with_layout(recipe: Recipe, data: Path | None) -> Recipe:
    """The recipe with the layout that `data` has in place of "auto": checkpoints name it.

    Raises:
        TrainError: `data` has none of the layouts.
    """
    if data is None:
        return recipe
    layout = layout_of(data, recipe.data.layout)
    return dataclasses.replace(recipe, data=dataclasses.replace(recipe.data, layout=layout))


def open_splits(
    recipe: Recipe, data: Path | None, report: Callable[[int, int], None] = lambda done, of: None
) -> tuple[SegmentationData | DistilData, SegmentationData]:
    """The training split, augmented, and the validation split, as ``[data]`` and ``[distil]`` say.

    `report` is called with pictures done and their number while teachers label them.

    Raises:
        TrainError: they cannot be read, are smaller than a batch, or have no labelled pixel.
    """
    if recipe.distil.active:
        return open_distil_splits(recipe, data, report)
    if data is None:
        raise TrainError(f"{recipe.name}: give --data, the folder of the data set")
    train = training_set(recipe.data, data, seed=recipe.train.seed)
    val = validation_set(recipe.data, data)
    if len(train) < recipe.train.batch:
        raise TrainError(
            f"{data}: {len(train)} training pictures are fewer than one batch "
            f"of {recipe.train.batch}; lower train.batch"
        )
    for split in (train, val):
        # stops at the first labelled pixel: a data set may have 100,000 pictures
        if not any(bool((labels < len(split.classes)).any()) for _, labels in split.pairs()):
            raise TrainError(f"{split.items[0].labels.parent}: no pixel has a known class")
    return train, val
