"""What the commands of the engines room share: errors in one sentence, progress, file names."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from engines.errors import EngineBuildError
from streamseg.errors import StreamsegError
from train.errors import TrainError

FILE = click.Path(path_type=Path)


@contextmanager
def one_sentence(debug: bool) -> Iterator[None]:
    """Turn what went wrong into one sentence and an exit code; with `debug`, a traceback."""
    try:
        yield
    except (EngineBuildError, TrainError, StreamsegError) as error:
        if debug:
            raise
        click.echo(f"error: {error}", err=True)
        sys.exit(getattr(error, "exit_code", 1))
    except KeyboardInterrupt:
        click.echo("stopped; nothing was written", err=True)
        sys.exit(130)


def progress_on(console: Console, what: str) -> Callable[[Iterator[Any], int], Iterator[Any]]:
    """A progress bar over samples, on terminals only."""

    def wrap(samples: Iterator[Any], total: int) -> Iterator[Any]:
        bar = Progress(
            TextColumn(what),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        with bar:
            yield from bar.track(samples, total=total)

    return wrap
