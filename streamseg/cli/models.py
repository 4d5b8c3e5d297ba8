"""`streamseg models`: what there is to run, what for, how good and how fast here."""

from __future__ import annotations

import sys

import click


@click.command()
@click.argument("files", metavar="[FILE.onnx ...]", nargs=-1)
@click.option("--no-timing", "timing", flag_value=False, default=True, help="Do not run them.")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads [default: all cores].")
@click.option("--json", "json_target", metavar="FILE", help="The list as JSON; - is stdout.")
def models(
    files: tuple[str, ...], timing: bool, threads: int | None, json_target: str | None
) -> None:
    """List the models that come along, and FILEs: classes, purpose, accuracy, time a frame here.

    Milliseconds are of one frame at the model's own size, with all cores on it, by the engine that
    would run now; nothing is built.
    """
    from streamseg.cli.bars import BuildBar
    from streamseg.cli.modelsheet import as_text, sheets_of
    from streamseg.cli.output import check_json_target, print_text, write_json

    check_json_target(json_target, *files)
    with BuildBar(quiet=json_target == "-") as bar:
        sheets = sheets_of(files, timing=timing, threads=threads, progress=bar.progress)
    if json_target is not None:
        write_json({"models": [sheet.as_dict() for sheet in sheets]}, json_target)
    if json_target != "-":
        print_text(as_text(sheets) + "\n")
    if any(sheet.problem is not None for sheet in sheets):
        sys.exit(1)
