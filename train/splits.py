"""A recipe's two splits, opened and checked before any network is built."""

from __future__ import annotations

from pathlib import Path

from train.data import SegmentationData, training_set, validation_set
from train.errors import TrainError
from train.recipe import Recipe


def open_splits(recipe: Recipe, data: Path) -> tuple[SegmentationData, SegmentationData]:
    """The training split, augmented, and the validation split, as ``[data]`` says.

    Raises:
        TrainError: they cannot be read, are smaller than a batch, or have no labelled pixel.
    """
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
