"""``python -m train latency RUN|RECIPE...``: report 000's tables 3 and 4, in PyTorch.

python -m train latency train/recipes/000_pspnet_*.toml --device cuda --size 2048x1024
"""

from __future__ import annotations

import dataclasses
import json
import platform
from pathlib import Path
from typing import cast, get_args

import click
import torch
from rich.console import Console
from rich.table import Table

from train.checkpoint import load_checkpoint
from train.console import DEBUG, FILE, make_bar, one_sentence, split_name
from train.device import choose_device
from train.errors import TrainError, UsageError
from train.evaluation.command import Size
from train.latency.timing import Precision, Regime, time_networks
from train.models import Segmenter, build_model
from train.recipe import load_recipe

BEST = "best.safetensors"


def open_network(argument: str, classes: int) -> tuple[str, Segmenter]:
    """The network of ``[NAME=]RUN|CHECKPOINT|RECIPE.toml`` and what it is called.

    A recipe's has random weights, which take as long as trained ones, and `classes` classes.

    Raises:
        TrainError: there is no such thing, or it cannot be read.
    """
    given, place = split_name(argument)
    if place.suffix == ".toml":
        recipe = load_recipe(place)
        spec = dataclasses.replace(recipe.model, classes=classes)
        return given or recipe.name, build_model(spec)
    file = place / BEST if place.is_dir() else place
    if not file.is_file():
        raise TrainError(f"{file}: no such file; give a run folder, a checkpoint or a recipe")
    loaded = load_checkpoint(file)
    name = file.resolve().parent.name if file.name == BEST else file.stem
    return given or name, loaded.build()


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    models = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.processor() or platform.machine())


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("networks", nargs=-1, required=True, metavar="[NAME=]RUN|CKPT|RECIPE...")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option("--size", type=Size(), default="480x352", show_default=True, help="Of the pictures.")
@click.option("--batch", type=click.IntRange(min=1), default=1, show_default=True)
@click.option(
    "--precision", type=click.Choice(get_args(Precision)), default="fp32", show_default=True
)
@click.option("--rounds", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--compile", "compiled", is_flag=True, help="Through torch.compile.")
@click.option(
    "--classes",
    type=click.IntRange(2, 255),
    default=19,
    show_default=True,
    help="Of recipes' networks.",
)
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads (default: all cores).")
@click.option("--json", "json_path", type=FILE, help="Write a file for report --latency.")
@click.option("--overwrite", is_flag=True, help="Replace what --json names.")
@DEBUG
def main(
    networks: tuple[str, ...],
    device: str,
    size: tuple[int, int],
    batch: int,
    precision: str,
    rounds: int,
    compiled: bool,
    classes: int,
    threads: int | None,
    json_path: Path | None,
    overwrite: bool,
    debug: bool,
) -> None:
    """Time networks in PyTorch: milliseconds of a batch, from pictures on the device to labels.

    Warmed up, waited for, in turn; the median of --rounds. Recipes are built with random weights.
    """
    if json_path is not None and json_path.exists() and not overwrite:
        raise click.UsageError(f"{json_path}: exists already; use --overwrite")
    if threads:
        torch.set_num_threads(threads)
    with one_sentence(debug, stopped=lambda: "stopped; nothing was measured"):
        height, width = size
        regime = Regime(
            device=choose_device(device),
            size=(width, height),
            batch=batch,
            precision=cast(Precision, precision),
            rounds=rounds,
            compile=compiled,
        )
        models: dict[str, Segmenter] = {}
        for argument in networks:
            name, model = open_network(argument, classes)
            if name in models:
                raise UsageError(f"two networks are called {name!r}; give names: A=... B=...")
            models[name] = model
        bar = make_bar(Console(stderr=True))
        task = bar.add_task("timing", total=None)
        with bar:
            times = time_networks(
                models, regime, lambda done, of: bar.update(task, completed=done, total=of)
            )
        if json_path is not None:
            values = {
                "engine": str(regime),
                "machine": f"{_processor()}, {platform.system()}",
                "size": [width, height],
                "batch": batch,
                "milliseconds": times,
            }
            try:
                json_path.write_text(json.dumps(values, indent=1) + "\n")
            except OSError as error:
                raise TrainError(f"{json_path}: cannot be written ({error.strerror})") from error
    console = Console()
    heading = f"{regime}; batch {batch}, {width}x{height}; median of {rounds}"
    console.print(heading, highlight=False, markup=False, soft_wrap=True)
    table = Table(box=None, pad_edge=False)
    for column in ("Network", "Parameters (M)", "Batch (ms)", "Pictures/s"):
        table.add_column(column, justify="left" if column == "Network" else "right", no_wrap=True)
    for name, ms in times.items():
        parameters = sum(p.numel() for p in models[name].parameters()) / 1e6
        table.add_row(name, f"{parameters:.2f}", f"{ms:.1f}", f"{1000 * batch / ms:.1f}")
    console.print(table)
