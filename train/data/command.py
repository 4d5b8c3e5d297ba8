"""``python -m train data check DIR``: what a data set holds and what is wrong with it."""

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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """Look at data sets."""


@main.command()
@click.argument("folder", metavar="DIR", type=FILE)
@click.option(
    "--layout",
    type=click.Choice([AUTO, *LAYOUTS]),
    default=AUTO,
    show_default=True,
    help="How DIR is laid out (docs/data.md).",
)
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
