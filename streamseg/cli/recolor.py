"""`streamseg recolor`: stored labels drawn over their video again."""

from __future__ import annotations

import sys
from typing import Any

import click

from streamseg.cli.interrupts import INTERRUPTED
from streamseg.cli.options import (
    cleaning_options,
    drawing_options,
    encoder_options,
    input_options,
    measure_options,
    part_options,
    report_options,
    stabilize_option,
    take_cleaning,
    take_drawing,
    take_encoder,
    take_input,
    take_measures,
    take_part,
)
from streamseg.cli.video import finish


@click.command()
@click.argument("labels", metavar="LABELS.mkv")
@click.argument("src", metavar="IN")
@click.argument("dst", metavar="OUT")
@drawing_options
@cleaning_options
@stabilize_option
@part_options
@input_options
@measure_options
@encoder_options
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads of coders.")
@report_options
def recolor(
    labels: str, src: str, dst: str, json_target: str | None, quiet: bool, **values: Any
) -> None:
    """Draw the labels of LABELS.mkv over the video IN again, into OUT, without a network.

    LABELS.mkv is what 'streamseg video IN --labels LABELS.mkv' wrote: for other colours, classes,
    modes or quality, at the speed of a transcode.
    """
    from streamseg.cli.bars import RunBar
    from streamseg.cli.output import check_json_target
    from streamseg.recolor import recolor_video

    check_json_target(json_target, labels, src, dst)
    options = {
        "draw": take_drawing(values),
        "clean": take_cleaning(values),
        "encoder": take_encoder(values),
        "measure": take_measures(values),
        "part": take_part(values),
        "read": take_input(values),
        **values,
    }
    with RunBar(quiet=quiet or json_target == "-") as bar:
        stats = recolor_video(labels, src, dst, on_progress=bar, **options)
    finish(stats, json_target, quiet)
    if stats.interrupted:
        sys.exit(INTERRUPTED)
