"""``python -m train data check DIR``: what a data set holds and what is wrong with it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from train.data.check import check as check_data
from train.data.check_report import as_dict, show
from train.data.layouts import LAYOUTS
from train.errors import TrainError


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Look at data sets."""


@main.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--layout",
    type=click.Choice(["auto", *LAYOUTS]),
    default="auto",
    show_default=True,
    help="How DIR is laid out (docs/data.md).",
)
@click.option("--split", help="Check this split only.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--debug", is_flag=True, help="Show tracebacks.")
def check(folder: Path, layout: str, split: str | None, as_json: bool, debug: bool) -> None:
    """Say what DIR holds, each class's share of the pixels, and what is wrong.

    All files are read. Exits with 1 if something is wrong.
    """
    errors = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )
    task = bar.add_task("reading", total=None)
    try:
        with bar:
            found = check_data(
                folder,
                layout=layout,
                split=split,
                report=lambda name, done, of: bar.update(
                    task, description=name, completed=done, total=of
                ),
            )
    except TrainError as error:
        if debug:
            raise
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    if as_json:
        click.echo(json.dumps(as_dict(found), indent=2))
    else:
        show(found, Console())
    sys.exit(0 if found.good else 1)
