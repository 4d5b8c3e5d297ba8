"""``python -m train RECIPE --data DIR --out DIR``: one training run, shown as it goes."""

from __future__ import annotations

import time
from pathlib import Path

import click
import torch
from rich.console import Console
from rich.progress import TextColumn

from train.console import DEBUG, FILE, make_bar, one_sentence
from train.device import choose_device
from train.fit.distributed import join_world, process_rank
from train.fit.progress import Progress as Step
from train.fit.trainer import Trainer
from train.recipe import load_recipe


class Reporter:
    """A progress bar on a terminal; there and elsewhere one plain line an epoch or validation."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.bar = make_bar(console, TextColumn("loss {task.fields[loss]:.3f}"), transient=False)
        self.task = self.bar.add_task("training", total=None, loss=float("nan"))

    def __call__(self, step: Step) -> None:
        """Show one step, or the end of an epoch."""
        self.bar.update(
            self.task,
            description=f"epoch {step.epoch}/{step.epochs}",
            total=step.total,
            completed=step.done,
            loss=step.loss,
        )
        if step.ends_row:
            self.console.print(
                f"epoch {step.epoch:3d}/{step.epochs}  step {step.done}/{step.total}  "
                f"loss {step.loss:.4f}  {_validation(step)}{step.seconds:.0f} s",
                highlight=False,
                soft_wrap=True,
            )


class Labelling:
    """Says every ten seconds how far the teachers are: nothing is quiet for minutes."""

    def __init__(self) -> None:
        self.said = 0.0

    def __call__(self, done: int, of: int) -> None:
        """Show it, if it is time; always at the end."""
        now = time.monotonic()
        if done == of or now - self.said >= 10:
            self.said = now
            click.echo(f"teachers have labelled {done} of {of} pictures")


def _validation(step: Step) -> str:
    """What a validation found; nothing where there was none."""
    if step.scores is None:
        return ""
    pairs = zip(step.scores.class_iou, step.classes, strict=True)
    worst = min((pair for pair in pairs if pair[0] == pair[0]), key=lambda pair: pair[0])
    return (
        f"val mIoU {100 * step.scores.miou:.2f} %  "
        f"pixel accuracy {100 * step.scores.pixel_accuracy:.2f} %  "
        f"worst {worst[1]} {100 * worst[0]:.1f} %  "
    )


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("recipe", type=FILE)
@click.option("--data", type=FILE, help="Data folder.")
@click.option("--out", type=FILE, required=True, help="Run folder.")
@click.option(
    "--init", help="Start weights: a backbone's or a run's file, folded:FILE, or 'torchvision'."
)
@click.option("--set", "overrides", multiple=True, metavar="TABLE.KEY=VALUE", help="Override.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads (default: all cores).")
@DEBUG
def main(
    recipe: Path,
    data: Path | None,
    out: Path,
    init: str | None,
    overrides: tuple[str, ...],
    device: str,
    threads: int | None,
    debug: bool,
) -> None:
    """Train RECIPE (a TOML file) on DATA. A run that was stopped goes on from its last checkpoint.

    Several GPUs: torchrun --nproc-per-node 8 -m train RECIPE --data DIR --out DIR
    """
    if threads:
        torch.set_num_threads(threads)
    rank = process_rank()
    who = "" if rank == 0 else f"process {rank}: "
    trainer: Trainer | None = None

    def stopped() -> str:
        step = trainer.step if trainer else 0
        return "" if rank else f"stopped after step {step}; run the same command to go on"

    with one_sentence(debug, who=who, stopped=stopped):
        loaded = load_recipe(recipe, list(overrides))
        with join_world(choose_device(device)) as (world, own):
            trainer = Trainer(
                loaded,
                data=data,
                out=out,
                init=init,
                device=own,
                world=world,
                source=recipe.read_text(),
                labelling=Labelling() if rank == 0 else lambda done, of: None,
            )
            best = _fit(trainer)
    if rank == 0:
        click.echo(f"best validation mIoU {100 * best:.2f} %: {trainer.folder.best}")


def _fit(trainer: Trainer) -> float:
    """Train, and show it on the main process's terminal."""
    if not trainer.world.is_main:
        trainer.resume()
        return trainer.fit()
    if trainer.resume():
        click.echo(f"resuming {trainer.folder.path} after step {trainer.step} of {trainer.total}")
    else:
        click.echo(trainer.parts.init_line)
    if trainer.world.size > 1:
        click.echo(f"{trainer.world.size} processes, each on {trainer.device.type}")
    reporter = Reporter(Console())
    with reporter.bar:
        best = trainer.fit(reporter)
    if trainer.step < trainer.total:
        patience = trainer.recipe.train.patience
        click.echo(
            f"stopped early at step {trainer.step}: no better mIoU in {patience} validations"
        )
    return best
