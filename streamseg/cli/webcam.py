"""`streamseg webcam`: a camera or a network stream."""

from __future__ import annotations

from typing import Any

import click

from streamseg.cli.options import (
    Number,
    cleaning_options,
    drawing_options,
    encoder_options,
    engine_options,
    open_segmenter,
    report_options,
    take_cleaning,
    take_drawing,
    take_encoder,
)
from streamseg.cli.video import finish


@click.command()
@click.option(
    "--source",
    default="0",
    show_default=True,
    help="Camera number or device, rtsp://, http://, tcp://, udp://, srt://, or a file.",
)
@click.option("--realtime", is_flag=True, help="SOURCE is a file: play it at its own speed.")
@click.option("--out", "record", metavar="FILE", help="Record to this .mp4, .mkv …")
@click.option("--duration", "duration_seconds", type=Number(min=0, min_open=True), help="Seconds.")
@engine_options("mbv2-voc")
@drawing_options
@cleaning_options
@encoder_options
@report_options
def webcam(
    source: str, record: str | None, json_target: str | None, quiet: bool, **values: Any
) -> None:
    """Segment a camera or a network stream, freshest frame first.

    Ends with the stream, after --duration, or at Ctrl-C; a recording is finished in each case.
    """
    from streamseg.cli.bars import RunBar
    from streamseg.cli.output import check_json_target

    check_json_target(json_target, source, record)
    draw, clean, encoder = take_drawing(values), take_cleaning(values), take_encoder(values)
    with (
        RunBar(live=True, quiet=quiet or json_target == "-") as bar,
        open_segmenter(values, bar.watcher) as segmenter,
    ):
        stats = segmenter.live(
            source, record, draw=draw, clean=clean, encoder=encoder, on_progress=bar, **values
        )
    finish(stats, json_target, quiet)
