"""``python -m train own PICTURES -o mine.onnx``: from labelled pictures to a model file."""

from __future__ import annotations

import time
from pathlib import Path

import click

from train.console import DEBUG, FILE, one_sentence
from train.data.command import LAYOUT
from train.errors import UsageError
from train.own.begin import NOTE, Asked, begin, in_minutes, is_output_of
from train.own.journey import Journey, run_command, travel


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("pictures", type=FILE)
@click.option("-o", "--output", type=FILE, required=True, help="Model file to write (.onnx).")
@click.option(
    "--from",
    "start",
    metavar="NAME|CKPT",
    help="Start: mbv2, mbv2-voc, a checkpoint (default: what knows most of the classes).",
)
@click.option(
    "--minutes",
    type=click.FloatRange(min=0.1),
    default=20.0,
    show_default=True,
    help="Train no longer than this; few pictures need less.",
)
@click.option("--folder", type=FILE, help="Where recipe, run and report go (default: OUTPUT-run).")
@LAYOUT
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads (default: all cores).")
@click.option("--overwrite", is_flag=True, help="Replace OUTPUT, if it is there.")
@DEBUG
def main(
    pictures: Path,
    output: Path,
    start: str | None,
    minutes: float,
    folder: Path | None,
    layout: str,
    device: str,
    threads: int | None,
    overwrite: bool,
    debug: bool,
) -> None:
    """Make a model file of your own labelled PICTURES, for `streamseg video --model`.

    PICTURES may be files of labelme, COCO or CVAT, pictures with colour or index PNGs, or any
    layout of docs/data.md. The same command again goes on where it stopped.
    """
    began = time.monotonic()
    folder = folder or output.with_name(f"{output.stem}-run")
    again = f"stopped; type the same command to go on from {folder}"
    with one_sentence(debug, stopped=lambda: again):
        _check_output(output, folder, overwrite=overwrite)
        asked = Asked(
            pictures=pictures,
            output=output,
            folder=folder,
            start=start,
            minutes=minutes,
            layout=layout,
            device=device,
            threads=threads,
        )
        journey = begin(asked, click.echo)
        lost = travel(journey.stages(), lambda line: click.echo(f"\n{line}"), run_command)
    _say_end(journey, lost, time.monotonic() - began)


def _check_output(output: Path, folder: Path, *, overwrite: bool) -> None:
    """Refuse what cannot be written, before minutes of work.

    Raises:
        UsageError: `output` is no .onnx, is there already, or its folder is not; or `folder` is
            something else's.
    """
    if output.suffix.lower() != ".onnx":
        raise UsageError(f"{output}: a model file's name ends in .onnx")
    if not output.parent.is_dir():
        raise UsageError(f"{output}: the folder {output.parent} does not exist; create it")
    if folder.exists() and not (folder / NOTE).is_file():
        raise UsageError(f"{folder}: is not from `train own`; choose another --folder")
    if output.exists() and not overwrite and not is_output_of(output, folder):
        raise UsageError(f"{output}: exists already; use --overwrite to replace it")


def _say_end(journey: Journey, lost: list[str], seconds: float) -> None:
    for line in lost:
        click.echo(f"note: {line}", err=True)
    click.echo(f"\n{journey.output} is made, in {in_minutes(seconds)}. Type:\n")
    click.echo(f"    streamseg video IN.mp4 OUT.mp4 --model {journey.output}\n")
    click.echo(
        f"{journey.folder / 'report'} shows what it sees; {journey.recipe} is what to change."
    )
