"""``python -m train init RECIPE --init SOURCE -o FILE``: a checkpoint without a step.

What a network is before any training can then be evaluated, exported and shown like a trained one.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import click
import torch

from streamseg.models.palette import Palette
from train.checkpoint import Checkpoint, save_checkpoint
from train.console import DEBUG, FILE, one_sentence
from train.data.layouts import find_split
from train.errors import UsageError
from train.fit.initial import classes_of, initialise
from train.fit.splits import with_layout
from train.models import build_model
from train.recipe import Recipe, load_recipe


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("recipe", type=FILE)
@click.option("--init", required=True, help="Start weights, as for training.")
@click.option("--data", type=FILE, help="Data folder whose classes it gets (default: its own).")
@click.option("-o", "--out", type=FILE, required=True, help="Checkpoint to write.")
@click.option("--set", "overrides", multiple=True, metavar="TABLE.KEY=VALUE", help="Override.")
@click.option("--overwrite", is_flag=True, help="Replace what --out names.")
@DEBUG
def main(
    recipe: Path,
    init: str,
    data: Path | None,
    out: Path,
    overrides: tuple[str, ...],
    overwrite: bool,
    debug: bool,
) -> None:
    """Write the network of RECIPE with start weights to --out, untrained."""
    if out.exists() and not overwrite:
        raise click.UsageError(f"{out}: exists already; use --overwrite")
    with one_sentence(debug):
        loaded = with_layout(load_recipe(recipe, list(overrides)), data)
        classes = _classes(loaded, data, init)
        spec = dataclasses.replace(loaded.model, classes=len(classes))
        torch.manual_seed(loaded.train.seed)
        model = build_model(spec)
        line = initialise(model, init, classes, loaded.train.start_classes)
        save_checkpoint(
            out,
            Checkpoint(
                recipe=dataclasses.replace(loaded, model=spec),
                classes=classes,
                epoch=0,
                metrics={},
                tensors={f"model.{key}": value for key, value in model.state_dict().items()},
            ),
        )
    click.echo(line)
    click.echo(f"{out}: {len(classes)} classes, not trained")


def _classes(recipe: Recipe, data: Path | None, init: str) -> Palette:
    """Those of the data, or the ones that the start weights were trained on.

    Raises:
        UsageError: there is no data, and the weights name no classes.
    """
    if data is not None:
        return find_split(recipe.data.layout, data, recipe.data.train_split).classes
    found = classes_of(init)
    if found is None:
        raise UsageError(f"--init {init}: does not say its classes; give --data, which has them")
    return found
