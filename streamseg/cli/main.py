"""Command line: parse, call, map errors to exit codes. No logic.

Exit codes: 0 done, 1 it failed, 2 the command line must be changed, 130 stopped by Ctrl-C.
Heavy modules are imported inside the commands: ``--help`` must be instant.
"""

from __future__ import annotations

import io
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from streamseg.cli import interrupts
from streamseg.cli.engines import COMMANDS
from streamseg.cli.interrupts import INTERRUPTED
from streamseg.errors import StreamsegError
from streamseg.version import __version__

if TYPE_CHECKING:
    from streamseg.cli.report import ProgressView
    from streamseg.run.stats import Stats
    from streamseg.runtime.building.request import Watcher

F = TypeVar("F", bound=Callable[..., Any])


class _Number(click.FloatRange):
    """A number in a range; ``nan`` is in none, whatever it is compared with."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        number = super().convert(value, param, ctx)
        if math.isnan(number):
            self.fail(f"{value} is no number.", param, ctx)
        return number


class _Group(click.Group):
    """Turns every error into one sentence and an exit code; a traceback only with --debug."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        # The name of a file may hold what the encoding of a console, or of a redirect on Windows,
        # does not: that must not turn a finished run into a failed one.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except KeyboardInterrupt:
            click.echo("interrupted: nothing was written", err=True)
            sys.exit(INTERRUPTED)
        except StreamsegError as error:
            if _debug(ctx):
                raise
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except MemoryError:
            click.echo("error: out of memory; try a smaller --size or --batch", err=True)
            sys.exit(1)
        except Exception as error:
            if _debug(ctx):
                raise
            click.echo(
                f"error: {type(error).__name__}: {error} (this is a bug of streamseg; "
                "run again with --debug and report what it prints)",
                err=True,
            )
            sys.exit(1)


def _debug(ctx: click.Context) -> bool:
    return bool(ctx.find_root().meta.get("streamseg.debug"))


def _set_debug(ctx: click.Context, _: click.Parameter, value: bool) -> None:
    if value:
        ctx.find_root().meta["streamseg.debug"] = True


def debug_option(command: F) -> F:
    """Add ``--debug`` to a command."""
    return click.option(
        "--debug",
        is_flag=True,
        expose_value=False,
        callback=_set_debug,
        help="Show tracebacks.",
    )(command)


def engine_options(command: F) -> F:
    """Options of whatever runs a model: which, how large, how drawn."""
    for option in reversed(
        (
            click.option("--model", default="mbv2", show_default=True, help="Name or .onnx file."),
            click.option(
                "--engine",
                "backend",
                type=click.Choice(["auto", "tensorrt", "onnxruntime", "torch"]),
                default="auto",
                show_default=True,
                help="What runs the model; auto takes the fastest that works here.",
            ),
            click.option(
                "--precision",
                type=click.Choice(["fp32", "fp16", "int8"]),
                help="Of the engine [default: the best one that is there].",
            ),
            click.option(
                "--no-build",
                "build",
                flag_value=False,
                default=True,
                help="Do not build engines now; take what is there.",
            ),
            click.option(
                "--size",
                metavar="WxH|SHORT",
                help="What the network sees, in multiples of 32 [default: from the aspect ratio].",
            ),
            click.option(
                "--mode",
                type=click.Choice(["overlay", "mask", "side-by-side"]),
                default="overlay",
                show_default=True,
                help="Blend over the picture, plain class colours, or both pictures.",
            ),
            click.option(
                "--alpha",
                type=_Number(0, 1),
                default=0.5,
                show_default=True,
                help="Share of the class colour.",
            ),
            click.option("--classes", metavar="A,B", help="Draw only these classes."),
            click.option("--legend", is_flag=True, help="Draw class names and colours."),
            click.option(
                "--threads",
                type=click.IntRange(min=1),
                help="CPU threads of engine and coders [default: all cores].",
            ),
        )
    ):
        command = option(command)
    return command


def encoder_options(command: F) -> F:
    """Options of the file that is written and of the report."""
    for option in reversed(
        (
            click.option("--codec", default="libx264", show_default=True, help="Video encoder."),
            click.option(
                "--crf", type=click.IntRange(0, 63), help="Quality, lower is better [default: 20]."
            ),
            click.option("--preset", help="Encoder preset [default: veryfast]."),
            click.option("--overwrite", is_flag=True, help="Replace an existing output file."),
            click.option(
                "--json", "json_target", metavar="FILE", help="Statistics as JSON; - is stdout."
            ),
            click.option("--quiet", is_flag=True, help="Print errors and warnings only."),
        )
    ):
        command = option(command)
    return command


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="streamseg")
@debug_option
def main() -> None:
    """Segment a video or a camera stream, fast, on the machine you have."""
    interrupts.install()
    os.environ.setdefault("SVT_LOG", "0")  # SVT-AV1 writes lines of its own, on every start too


@main.command()
@click.argument("src", metavar="IN")
@click.argument("dst", metavar="OUT")
@engine_options
@click.option("--batch", type=click.IntRange(min=1), help="Frames per engine call.")
@encoder_options
@debug_option
def video(
    src: str,
    dst: str,
    classes: str | None,
    json_target: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Segment the video file IN into the video file OUT (.mp4, .mov or .mkv).

    Ctrl-C finishes a playable OUT of what was done so far.
    """
    from streamseg.cli.report import ProgressView, check_json_target
    from streamseg.functions import segment_video

    check_json_target(json_target, src, dst)
    with ProgressView(quiet=quiet or json_target == "-") as view:
        stats = segment_video(
            src,
            dst,
            classes=_names(classes),
            on_progress=view,
            watcher=_watcher(view),
            **options,
        )
    _finish(stats, json_target, quiet)
    if stats.interrupted:
        sys.exit(INTERRUPTED)


@main.command()
@click.option(
    "--source",
    default="0",
    show_default=True,
    help="Camera number or device, rtsp://, http://, tcp://, udp://, srt://, or a file.",
)
@click.option("--realtime", is_flag=True, help="SOURCE is a file: play it at its own speed.")
@click.option("--out", "dst", metavar="FILE", help="Record to this .mp4, .mov or .mkv.")
@click.option("--duration", type=_Number(min=0, min_open=True), help="Seconds.")
@engine_options
@encoder_options
@debug_option
def webcam(
    dst: str | None,
    duration: float | None,
    classes: str | None,
    json_target: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Segment a camera or a network stream, freshest frame first.

    Ends with the stream, after --duration, or at Ctrl-C; a recording is finished in each case.
    """
    from streamseg.cli.report import ProgressView, check_json_target
    from streamseg.functions import segment_live

    check_json_target(json_target, options["source"], dst)
    with ProgressView(live=True, quiet=quiet or json_target == "-") as view:
        stats = segment_live(
            dst=dst,
            duration_seconds=duration,
            classes=_names(classes),
            on_progress=view,
            watcher=_watcher(view),
            **options,
        )
    _finish(stats, json_target, quiet)


@main.command()
@click.argument("path", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
@debug_option
def sample(path: Path, overwrite: bool, quiet: bool) -> None:
    """Copy a short street clip to OUT (.mp4): a clip to try things on."""
    from streamseg.functions import write_sample
    from streamseg.video.file import FileSource

    write_sample(path, overwrite=overwrite)
    if not quiet:
        with FileSource(path, copy_audio=False) as clip:
            frames, info = clip.info.frames_expected or 0, clip.info
        seconds = float(frames / info.rate)
        click.echo(f"{path}: {frames} frames, {info.width}x{info.height}, {seconds:g} s")


def _watcher(view: ProgressView) -> Watcher:
    from streamseg.runtime.building.request import Watcher

    return Watcher(notice=view.notice, progress=view.building)


def _names(text: str | None) -> list[str] | None:
    if text is None:
        return None
    return [name.strip() for name in text.split(",") if name.strip()]


def _finish(stats: Stats, json_target: str | None, quiet: bool) -> None:
    from streamseg.cli.report import print_stats, write_json

    for warning in stats.warnings:
        click.echo(f"warning: {warning}", err=True)
    if stats.interrupted:
        click.echo(f"stopped: {stats.output} holds the {stats.frames} frames done so far", err=True)
    if json_target is not None:
        write_json(stats, json_target)
    if not quiet and json_target != "-":
        print_stats(stats)


for _command in COMMANDS:
    main.add_command(debug_option(_command))
