"""What the commands of the engines room share: errors in one sentence, progress, file names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console

from engines.errors import EngineBuildError
from streamseg.errors import StreamsegError
from train import console as shared
from train.errors import TrainError

FILE = shared.FILE
ERRORS = (EngineBuildError, TrainError, StreamsegError)


def one_sentence(debug: bool) -> AbstractContextManager[None]:
    """Turn what went wrong into one sentence and an exit code; with `debug`, a traceback."""
    return shared.one_sentence(debug, errors=ERRORS)


def progress_on(console: Console, what: str) -> Callable[[Iterator[Any], int], Iterator[Any]]:
    """A progress bar over samples, on terminals only."""

    def wrap(samples: Iterator[Any], total: int) -> Iterator[Any]:
        with shared.make_bar(console, transient=False) as bar:
            yield from bar.track(samples, total=total, description=what)

    return wrap
