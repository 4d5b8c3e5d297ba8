"""What goes to standard output, standard error or into a file of statistics: text and JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from streamseg.errors import OutputError, UsageError


def printable(text: str) -> str:
    """Text that a terminal only shows: the name of a file may hold escapes that would act there."""
    return "".join(
        char if char.isprintable() or char == "\n" else ascii(char)[1:-1] for char in text
    )


def say(text: str) -> None:
    """One line for people, on standard error."""
    click.echo(printable(text), err=True)


def print_text(text: str) -> None:
    """Write to standard output.

    Raises:
        OutputError: it takes no more: a full disk behind a redirect.
    """
    if sys.stdout is None:  # closed by whoever started this: nobody wants to read it
        return
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"standard output: cannot be written to ({error.strerror}); the video is complete"
        ) from error


def check_json_target(target: str | None, *videos: str | None) -> None:
    """Refuse, before any work, a place where the statistics cannot go.

    Raises:
        UsageError: a missing folder, a folder, or one of the videos.
    """
    if target is None or target == "-":
        return
    path = Path(target)
    if path.is_dir():
        raise UsageError(f"{path}: is a folder; give --json a file name")
    if not path.parent.is_dir():
        raise UsageError(f"{path}: the folder {path.parent} does not exist; create it first")
    for video in videos:
        if video is not None and path.resolve() == Path(video).resolve():
            raise UsageError(f"{path}: is the video; give --json another file name")


def write_json(values: Mapping[str, Any], target: str) -> None:
    """Plain values as JSON, into a file or, for ``-``, onto standard output.

    Raises:
        OutputError: the file cannot be written.
    """
    text = json.dumps(values, indent=2) + "\n"
    if target == "-":
        print_text(text)
        return
    try:
        Path(target).write_text(text)
    except OSError as error:
        raise OutputError(
            f"{target}: the statistics cannot be written there ({error.strerror})"
        ) from error
