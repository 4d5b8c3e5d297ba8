"""``python -m train data check|prepare``: what a data set holds; the same as plain folders."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console

from train.console import DEBUG, FILE, make_bar, one_sentence
from train.data.check import check as check_data
from train.data.check_report import as_dict, show
from train.data.detect import AUTO
from train.data.layouts import LAYOUTS
from train.data.prepare import PIXELS
from train.data.prepare import prepare as write_prepared

LAYOUT = click.option(
    "--layout",
    type=click.Choice([AUTO, *LAYOUTS]),
    default=AUTO,
    show_default=True,
    help="How the folder is laid out (docs/data.md).",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Look at data sets, and bring them into one form."""


@main.command()
@click.argument("folder", metavar="DIR", type=FILE)
@LAYOUT
@click.option("--split", help="Check this split only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@DEBUG
def check(folder: Path, layout: str, split: str | None, as_json: bool, debug: bool) -> None:
    """Say what DIR holds, each class's share of the pixels, and what is wrong.

    All files are read. Exits with 1 if something is wrong.
    """
    errors = Console(stderr=True)
    bar = make_bar(errors)
    task = bar.add_task("reading", total=None)
    with one_sentence(debug, stopped=lambda: "stopped; nothing was found out"), bar:
        found = check_data(
            folder,
            layout=layout,
            split=split,
            report=lambda name, done, of: bar.update(
                task, description=name, completed=done, total=of
            ),
        )
    if as_json:
        click.echo(json.dumps(as_dict(found), indent=2))
    else:
        show(found, Console())
    sys.exit(0 if found.good else 1)


@main.command()
@click.argument("folder", metavar="DIR", type=FILE)
@click.argument("out", metavar="OUT", type=FILE)
@LAYOUT
@click.option(
    "--pixels",
    type=click.IntRange(min=32 * 32),
    default=PIXELS,
    show_default=True,
    help="Bigger pictures are shrunk to so many pixels.",
)
@DEBUG
def prepare(folder: Path, out: Path, layout: str, pixels: int, debug: bool) -> None:
    """Write DIR's pictures and labels as plain folders to OUT, split into train and val.

    Pictures get the size that videos are seen at; classes without a pixel are left out.
    """
    bar = make_bar(Console(stderr=True))
    task = bar.add_task("reading", total=None)
    with one_sentence(debug, stopped=lambda: f"stopped; {out} is not complete, delete it"), bar:
        done = write_prepared(
            folder,
            out,
            layout=layout,
            pixels=pixels,
            report=lambda what, done, of: bar.update(
                task, description=what, completed=done, total=of
            ),
        )
    click.echo(
        f"{done.root}: {done.train} pictures to train on, {done.val} to validate on, ", nl=False
    )
    click.echo(f"{len(done.classes)} classes ({', '.join(done.classes.names)})")
    if done.unused:
        click.echo(f"left out, without a pixel: {', '.join(done.unused)}")
