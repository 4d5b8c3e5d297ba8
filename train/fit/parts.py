"""What a run trains with: network, loss, optimiser, average. Knows nothing about steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.swa_utils import AveragedModel

from train.data.dataset import SegmentationData
from train.distil.data import DistilData
from train.fit.distributed import World
from train.fit.initial import FOLDED, initialise
from train.fit.losses import SegmentationLoss, class_weights
from train.fit.optim import make_average, make_optimizer
from train.fit.schedule import rate_factor
from train.fit.soft_loss import DistilLoss
from train.models import Segmenter, build_model
from train.models.folded import measure_norms
from train.models.frozen import Frozen
from train.models.segmenter import normalise
from train.recipe import Recipe

MEASURED = 96
"""Pictures that BatchNorm statistics are measured on, about."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """Built once, then changed in place by each step."""

    model: Segmenter
    network: nn.Module
    """`model`, wrapped for several processes: what a step runs."""
    loss: SegmentationLoss | DistilLoss
    optimizer: Optimizer
    rate: Callable[[int], float]
    """Step number to the factor of all learning rates."""
    average: AveragedModel
    """What is validated and kept."""
    frozen: Frozen
    init_line: str
    """What the weights start from, for the terminal."""


def build_parts(
    recipe: Recipe,
    train_set: SegmentationData | DistilData,
    init: Path | str | None,
    *,
    total: int,
    device: torch.device,
    world: World,
) -> Parts:
    """Everything that `total` steps need; weights are drawn from the recipe's seed.

    Raises:
        TrainError: `init` cannot be read or is of another network.
    """
    torch.manual_seed(recipe.train.seed)
    model, init_line = _build_network(recipe, train_set, init, device, world)
    frozen = Frozen(model, recipe.optim)
    loss = _build_loss(recipe, train_set).to(device)
    optimizer = make_optimizer(model, recipe.optim)
    average = make_average(model, recipe.train.ema_decay)
    if world.size > 1 and recipe.loss.auxiliary == 0 and recipe.model.head != "ocr":
        frozen.add(getattr(model, "auxiliary", None))
    return Parts(
        model=model,
        network=world.wrap(
            cast(nn.Module, torch.compile(model)) if recipe.train.compile else model,
            device,
            static=recipe.train.accumulate == 1,
        ),
        loss=loss,
        optimizer=optimizer,
        rate=rate_factor(recipe.optim, total),
        average=average,
        frozen=frozen,
        init_line=init_line,
    )


def _build_network(
    recipe: Recipe,
    train_set: SegmentationData | DistilData,
    init: Path | str | None,
    device: torch.device,
    world: World,
) -> tuple[Segmenter, str]:
    """The network with its first weights, on the device, and a line that says which."""
    model = build_model(recipe.model)
    with world.in_turn():
        line = initialise(model, init, train_set.classes, recipe.train.start_classes)
    if str(init).startswith(FOLDED):
        measure_norms(model.eval(), _some_pictures(train_set))
    model.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return (world.synchronised(model, device) if recipe.train.sync_batchnorm else model), line


def _some_pictures(train_set: SegmentationData | DistilData) -> Iterator[Tensor]:
    """Batches float ``[1, 3, H, W]``, normalised: the first epoch's, the same each time."""
    step = max(1, len(train_set) // MEASURED)
    for index in range(0, len(train_set), step):
        yield normalise(train_set[index][0][None])


def _build_loss(
    recipe: Recipe, train_set: SegmentationData | DistilData
) -> SegmentationLoss | DistilLoss:
    balance = recipe.loss.balance
    unweighted = torch.ones(len(train_set.classes), dtype=torch.int64)
    pixels = unweighted if balance == "none" else train_set.class_pixels()
    loss = SegmentationLoss(class_weights(pixels, balance), recipe.loss)
    return DistilLoss(loss, recipe.distil) if recipe.distil.active else loss
