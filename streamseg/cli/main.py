"""Command line: the group of commands, and errors as one sentence and an exit code. No logic.

Exit codes: 0 done, 1 it failed, 2 the command line must be changed, 3 a camera was given up, 130
stopped by Ctrl-C.
Heavy modules are imported inside the commands: ``--help`` must be instant.
"""

from __future__ import annotations

import io
import os
import sys
from typing import Any

import click

from streamseg.cli import interrupts
from streamseg.cli.codecs import codecs
from streamseg.cli.engines import build_engine, doctor, engines
from streamseg.cli.image import image
from streamseg.cli.importmodel import import_model
from streamseg.cli.interrupts import INTERRUPTED, leave
from streamseg.cli.models import models
from streamseg.cli.options import debug_option, wants_debug
from streamseg.cli.output import say
from streamseg.cli.plot import plot
from streamseg.cli.recolor import recolor
from streamseg.cli.sample import sample
from streamseg.cli.versions import show_version, version_options
from streamseg.cli.video import video
from streamseg.cli.webcam import webcam
from streamseg.errors import StreamsegError

# OpenCV's own lines about a picture that it cannot read would stand beside our sentence.
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")


class _Group(click.Group):
    """Turns every error into one sentence and an exit code; a traceback only with --debug."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        # The name of a file may hold what the encoding of a console, or of a redirect on Windows,
        # does not: that must not turn a finished run into a failed one.
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
        try:
            return super().main(*args, **kwargs)
        except SystemExit as error:
            leave(error.code)
            raise

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, BrokenPipeError):
            raise
        except KeyboardInterrupt as interrupt:
            say(f"interrupted: {str(interrupt) or 'nothing was written'}")
            sys.exit(INTERRUPTED)
        except StreamsegError as error:
            if wants_debug(ctx):
                raise
            say(f"error: {error}")
            sys.exit(error.exit_code)
        except MemoryError:
            say("error: out of memory; try a smaller --size or --batch")
            sys.exit(1)
        except Exception as error:
            if wants_debug(ctx):
                raise
            say(
                f"error: {type(error).__name__}: {error} (this is a bug of streamseg; "
                "run again with --debug and report what it prints)"
            )
            sys.exit(1)


@click.group(
    cls=_Group,
    context_settings={"help_option_names": ["-h", "--help"]},
    invoke_without_command=True,
)
@version_options
@debug_option
@click.pass_context
def main(ctx: click.Context, wants_version: bool, as_json: bool) -> None:
    """Segment a video or a camera stream, fast, on the machine you have."""
    if wants_version:
        show_version(as_json=as_json)
        ctx.exit()
    if as_json:
        raise click.UsageError("--json before a command goes with --version; give it behind.", ctx)
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())
        ctx.exit(2)
    interrupts.install()
    os.environ.setdefault("SVT_LOG", "0")  # SVT-AV1 writes lines of its own, on every start too


for _command in (
    video,
    recolor,
    plot,
    webcam,
    image,
    sample,
    codecs,
    models,
    import_model,
    build_engine,
    engines,
    doctor,
):
    main.add_command(debug_option(_command))
