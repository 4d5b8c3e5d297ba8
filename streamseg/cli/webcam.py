"""`streamseg webcam`: a camera or a network stream."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

import click

from streamseg.cli.options import (
    Number,
    Span,
    cleaning_options,
    drawing_options,
    encoder_options,
    engine_options,
    hold_option,
    open_segmenter,
    report_options,
    stabilize_option,
    take_cleaning,
    take_drawing,
    take_encoder,
)
from streamseg.cli.video import finish

if TYPE_CHECKING:
    from streamseg.cli.bars import RunBar
    from streamseg.drawing.options import DrawOptions
    from streamseg.live.options import CameraOptions
    from streamseg.page.screen import Screen
    from streamseg.run.job import OnProgress, RunProgress


SOURCE_LOST = 3
"""Exit code: the camera was given up; the recording is whole."""

F = TypeVar("F", bound=Callable[..., Any])


def _list_cameras(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if not value:
        return
    from streamseg.live.address import find_cameras

    cameras = find_cameras()
    for number, name in enumerate(cameras):
        click.echo(f"{number}: {name}")
    if not cameras:
        click.echo(
            "no camera was found; --source takes addresses too, and 'streamseg sample street.mp4' "
            "gives a clip for --source street.mp4 --realtime"
        )
    ctx.exit()


def camera_options(command: F) -> F:
    """Add what is asked of a camera, and how long it is waited for."""
    for option in reversed(
        (
            click.option("--camera-size", metavar="WxH", help="Picture size asked of a device."),
            click.option("--fps", type=Number(min=0, min_open=True), help="Frames a second of it."),
            click.option(
                "--pixel-format", metavar="NAME", help="mjpeg, yuyv422, nv12 … of a device."
            ),
            click.option(
                "--timeout",
                type=Number(min=0, min_open=True),
                default=10.0,
                show_default=True,
                help="Seconds of silence after which a connection is made anew.",
            ),
            click.option(
                "--give-up-after",
                type=Number(min=0),
                help="Seconds without a picture after which the run ends, with exit code 3 "
                "[default: never]; 0 connects only once.",
            ),
            click.option(
                "--list",
                is_flag=True,
                expose_value=False,
                is_eager=True,
                callback=_list_cameras,
                help="List the cameras of this machine and exit.",
            ),
        )
    ):
        command = option(command)
    return command


def page_options(command: F) -> F:
    """Add whether and where a run can be looked at."""
    for option in reversed(
        (
            click.option(
                "--view",
                type=click.Choice(["browser", "none"]),
                help="Serve a page to look at, and open it [default: browser on a terminal].",
            ),
            click.option(
                "--host",
                default="127.0.0.1",
                show_default=True,
                help="Address to serve the page at; others than this machine then need a token, "
                "which is printed.",
            ),
            click.option(
                "--port",
                type=click.IntRange(0, 65_535),
                help="Its port [default: the first free one from 8008].",
            ),
        )
    ):
        command = option(command)
    return command


@contextmanager
def page(
    values: dict[str, Any], draw: DrawOptions, bar: RunBar
) -> Iterator[tuple[list[Screen], OnProgress]]:
    """Serve the page that `page_options` ask for, to the end of the block.

    Yields:
        Who looks on, and whom to tell how the run goes.
    """
    view, host, port = values.pop("view"), values.pop("host"), values.pop("port")
    if view == "none" or (view is None and (bar.quiet or not bar.on_terminal)):
        yield [], bar
        return
    from streamseg.page.screen import Screen
    from streamseg.page.server import PageServer, open_browser

    screen = Screen(draw)

    def tell(progress: RunProgress) -> None:
        bar(progress)
        screen.progress(progress)

    with PageServer(screen, host=host, port=port) as server:
        bar.notice(f"page: {server.address}")
        open_browser(server.address)
        yield [screen], tell


def take_camera(values: dict[str, Any]) -> CameraOptions:
    """Take the values of `camera_options` out of a command's."""
    from streamseg.live.options import CameraOptions

    return CameraOptions(
        size=values.pop("camera_size"),
        fps=values.pop("fps"),
        pixel_format=values.pop("pixel_format"),
        timeout_seconds=values.pop("timeout"),
        give_up_after_seconds=values.pop("give_up_after"),
    )


@click.command()
@click.option(
    "--source",
    default="0",
    show_default=True,
    help="Camera number or device; rtsp://, rtmp://, http://, tcp://, udp://; env:NAME for an "
    "address in an environment variable; an .sdp file, a named pipe, - for standard input; or, "
    "with --realtime, a video file.",
)
@click.option("--realtime", is_flag=True, help="SOURCE is a file: play it at its own speed.")
@click.option("--out", "record", metavar="FILE", help="Record to this .mp4, .mkv …")
@click.option(
    "--segment",
    "segment_seconds",
    type=Span(),
    metavar="LENGTH",
    help="Record files of this length (30s, 10m, 1h), named after --out and the moment in which "
    "each begins, in UTC.",
)
@click.option("--duration", "duration_seconds", type=Number(min=0, min_open=True), help="Seconds.")
@page_options
@camera_options
@engine_options("mbv2-voc")
@hold_option
@drawing_options
@cleaning_options
@stabilize_option
@encoder_options
@report_options
def webcam(
    source: str, record: str | None, json_target: str | None, quiet: bool, **values: Any
) -> None:
    """Segment a camera or a network stream, freshest frame first.

    A sender that is gone is connected to again, and the recording goes on. Ends after --duration
    or --give-up-after, or at Ctrl-C; a recording is finished in each case.
    """
    from streamseg.cli.bars import RunBar
    from streamseg.cli.output import check_json_target

    check_json_target(json_target, source, record)
    camera = take_camera(values)
    draw, clean, encoder = take_drawing(values), take_cleaning(values), take_encoder(values)
    with (
        RunBar(live=True, quiet=quiet or json_target == "-") as bar,
        page(values, draw, bar) as (screens, on_progress),
        open_segmenter(values, bar.watcher) as segmenter,
    ):
        stats = segmenter.live(
            source,
            record,
            draw=draw,
            clean=clean,
            encoder=encoder,
            camera=camera,
            onlookers=screens,
            on_progress=on_progress,
            **values,
        )
    finish(stats, json_target, quiet)
    if stats.camera is not None and stats.camera.lost:
        sys.exit(SOURCE_LOST)
