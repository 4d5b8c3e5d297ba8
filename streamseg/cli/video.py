"""`streamseg video`: one file into another, or many into a folder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamseg.cli.interrupts import INTERRUPTED
from streamseg.cli.options import (
    cleaning_options,
    drawing_options,
    encoder_options,
    engine_options,
    hold_option,
    input_options,
    label_output_options,
    measure_options,
    open_segmenter,
    part_options,
    report_options,
    stabilize_option,
    take_cleaning,
    take_drawing,
    take_encoder,
    take_input,
    take_label_outputs,
    take_measures,
    take_part,
)
from streamseg.errors import UsageError

if TYPE_CHECKING:
    from streamseg.run.stats import Stats


@click.command()
@click.argument("paths", metavar="IN... [OUT]", nargs=-1, required=True)
@click.option(
    "--out-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Segment every IN into this folder, under its own name; no OUT then.",
)
@engine_options()
@hold_option
@drawing_options
@cleaning_options
@stabilize_option
@part_options
@input_options
@label_output_options
@measure_options
@click.option(
    "--resume",
    is_flag=True,
    help="Keep what is done beside OUT, in OUT.resume, until it is complete; go on there after a "
    "stop, a crash or a power cut.",
)
@click.option("--batch", type=click.IntRange(min=1), help="Frames per engine call.")
@encoder_options
@report_options
def video(
    paths: tuple[str, ...],
    out_dir: Path | None,
    json_target: str | None,
    quiet: bool,
    **values: Any,
) -> None:
    """Segment the video file IN into the video file OUT (.mp4 .mov .mkv .webm .avi .ts .gif).

    IN may also be - (standard input), an http address, or pictures: a folder, or a pattern in
    quotes, as 'shots/*.png' or %04d.jpg. OUT may be - (a pipe).

    OUT may be left out where something else is asked for, as --labels or --measure.

    With --out-dir, any number of files through one engine: one that fails does not stop the
    others, and the exit code is then 1. Ctrl-C finishes a playable file of what was done so far.
    """
    from streamseg.cli.bars import RunBar
    from streamseg.cli.output import check_json_target

    labels, measure = take_label_outputs(values), take_measures(values)
    if out_dir is not None and (labels or measure):
        raise UsageError(
            "--labels, --label-pngs, --measure and --when are of one video; give IN without "
            "--out-dir"
        )
    if out_dir is None and len(paths) == 1 and not (labels or measure):
        raise click.UsageError("Missing argument 'OUT' (for several files give --out-dir DIR).")
    if out_dir is None and len(paths) > 2:
        raise UsageError(
            f"video takes IN and OUT, got {len(paths)}; for several files give --out-dir DIR"
        )
    check_json_target(json_target, *paths)
    if paths[1:] == ("-",) and json_target == "-":
        raise UsageError("-: takes the video or the statistics, not both; give --json a file name")
    draw, clean, encoder = take_drawing(values), take_cleaning(values), take_encoder(values)
    part, read = take_part(values), take_input(values)
    with (
        RunBar(quiet=quiet or json_target == "-") as bar,
        open_segmenter(values, bar.watcher) as segmenter,
    ):
        options = {
            **values,
            "draw": draw,
            "clean": clean,
            "encoder": encoder,
            "part": part,
            "read": read,
        }
        if out_dir is not None:
            from streamseg.cli.several import segment_all

            results = segment_all(segmenter, paths, out_dir, options, bar)
        else:
            src, dst = paths[0], paths[1] if len(paths) == 2 else None
            stats = segmenter.video(
                src, dst, labels=labels, measure=measure, on_progress=bar, **options
            )
    if out_dir is not None:
        from streamseg.cli.several import report_all

        sys.exit(report_all(results, json_target, quiet=quiet))
    finish(stats, json_target, quiet)
    if stats.interrupted:
        sys.exit(INTERRUPTED)


def finish(stats: Stats, json_target: str | None, quiet: bool) -> None:
    """Say what there is to say of one run that is done."""
    from streamseg.cli.output import say, write_json
    from streamseg.cli.tables import print_stats

    for note in () if quiet else stats.notes:
        click.echo(f"note: {note}", err=True)
    for warning in stats.warnings:
        say(f"warning: {warning}")
    if stats.interrupted:
        if stats.output is None:
            say(f"stopped after {stats.frames} frames")
        else:
            say(f"stopped: {stats.output} holds the {stats.frames} frames done so far")
    if json_target is not None:
        write_json(stats.as_dict(), json_target)
    if not quiet and json_target != "-" and stats.output != "-":
        print_stats(stats)
