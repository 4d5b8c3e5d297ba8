"""What commands share: errors in one sentence, progress bars. Knows no command, and no torch."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from train.errors import TrainError

FILE = click.Path(path_type=Path)
DEBUG = click.option("--debug", is_flag=True, help="Show tracebacks.")
"""Every command's switch from sentences to tracebacks."""


@contextmanager
def one_sentence(
    debug: bool,
    *,
    errors: tuple[type[Exception], ...] = (TrainError,),
    who: str = "",
    stopped: Callable[[], str] = lambda: "stopped; nothing was written",
) -> Iterator[None]:
    """Turn what went wrong into one sentence and an exit code; with `debug`, a traceback.

    Args:
        debug: let errors through.
        errors: the trees of errors that are meant for users; their `exit_code`, else 1.
        who: said before the sentence, where several processes share a terminal.
        stopped: what is said after Ctrl-C (exit code 130); nothing if it is empty.
    """
    try:
        yield
    except errors as error:
        if debug:
            raise
        click.echo(f"{who}error: {error}", err=True)
        sys.exit(getattr(error, "exit_code", 1))
    except KeyboardInterrupt:
        if sentence := stopped():
            click.echo(sentence, err=True)
        sys.exit(130)


def make_bar(console: Console, *more: ProgressColumn, transient: bool = True) -> Progress:
    """A progress bar with the time that is left, on terminals only; `more` stands before that."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        *more,
        TimeRemainingColumn(),
        console=console,
        transient=transient,
        disable=not console.is_terminal,
    )


def split_name(argument: str) -> tuple[str | None, Path]:
    """``NAME=PATH`` or ``PATH``; a path that exists is never taken apart."""
    name, equals, path = argument.partition("=")
    if equals and name and path and not Path(argument).exists():
        return name, Path(path)
    return None, Path(argument)
