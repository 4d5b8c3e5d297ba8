"""Runs commands that may fail, hang or be killed, each within a time; and goes on.

Knows nothing about what they measure. For POSIX systems: it ends whole process groups.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

_GRACE_SECONDS = 5.0
_LINES = 25

Outcome = Literal["done", "failed", "out of time", "not started"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One command of a longer run."""

    name: str
    command: Sequence[str]
    seconds: float
    """It may take at most."""
    json_file: Path | None = None
    """Where it writes its result; None: the last line of its output is one, if any is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of a part."""

    name: str
    outcome: Outcome
    seconds: float
    why: str = ""
    """The last line it said, if it is not done."""
    output: str = ""
    """The last lines of stdout and stderr together."""
    values: Any = None
    """Its result, from JSON."""


def run(part: Part, *, seconds: float, environment: Mapping[str, str]) -> Result:
    """Run a part's command, in a process group that is ended when its time is over.

    Args:
        part: what to run.
        seconds: what is left of the whole run's time.
        environment: variables beside those of this process.
    """
    limit = min(part.seconds, seconds)
    if limit <= 0:
        return Result(name=part.name, outcome="not started", seconds=0, why="no time was left")
    start = time.monotonic()
    try:
        process = subprocess.Popen(
            list(part.command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            env={**os.environ, **environment},
            start_new_session=True,
        )
    except OSError as error:
        why = f"{part.command[0]}: {error.strerror or error}"
        return Result(name=part.name, outcome="not started", seconds=0, why=why)
    outcome: Outcome = "done"
    try:
        output, _ = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        outcome, output = "out of time", _ended(process)
    except BaseException:
        _ended(process)
        raise
    if outcome == "done" and process.returncode != 0:
        outcome = "failed"
    lines = [line for line in output.splitlines() if line.strip()]
    why = ""
    if outcome == "out of time":
        why = f"ended after {limit:.3g} s"
    elif outcome == "failed":
        why = lines[-1].strip() if lines else f"exit code {process.returncode}, without a word"
    return Result(
        name=part.name,
        outcome=outcome,
        seconds=time.monotonic() - start,
        why=why,
        output="\n".join(lines[-_LINES:]),
        values=_values(part, lines),
    )


def _ended(process: subprocess.Popen[str]) -> str:
    """End a process and all that it started; what it had said."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(process.pid, sign)
        except ProcessLookupError:
            break
        try:
            return process.communicate(timeout=_GRACE_SECONDS)[0]
        except subprocess.TimeoutExpired:
            continue
    return process.communicate()[0]


def _values(part: Part, lines: Sequence[str]) -> Any:
    try:
        if part.json_file is not None:
            return json.loads(part.json_file.read_text())
        return json.loads(lines[-1]) if lines and lines[-1].startswith("{") else None
    except (OSError, ValueError):
        return None
