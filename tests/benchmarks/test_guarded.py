"""A part that fails, hangs or is not there costs only itself."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from benchmarks.guarded import Part, Result, run


def _run(
    code: str, *, limit: float = 20, left: float = 20, json_file: Path | None = None
) -> Result:
    part = Part(name="it", command=[sys.executable, "-c", code], seconds=limit, json_file=json_file)
    return run(part, seconds=left, environment={"WORD": "set"})


def test_a_result_is_the_last_line() -> None:
    found = _run("import os; print('one'); print('{\"word\": \"' + os.environ['WORD'] + '\"}')")
    assert (found.outcome, found.values, found.why) == ("done", {"word": "set"}, "")


def test_a_result_is_in_its_file(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    found = _run(f"open({str(file)!r}, 'w').write('[1, 2]')", json_file=file)
    assert (found.outcome, found.values) == ("done", [1, 2])


def test_a_failure_is_told_by_its_last_line() -> None:
    found = _run("print('so far'); raise SystemExit('no GPU here')")
    assert (found.outcome, found.why, found.values) == ("failed", "no GPU here", None)
    assert found.output == "so far\nno GPU here"


def test_a_crash_without_a_word_is_told_too() -> None:
    found = _run("import os, signal; os.kill(os.getpid(), signal.SIGKILL)")
    assert (found.outcome, found.why) == ("failed", "exit code -9, without a word")


@pytest.mark.parametrize(("limit", "left"), [(0.5, 20), (20, 0.5)])
def test_one_that_hangs_is_ended_with_its_children(limit: float, left: float) -> None:
    part = Part(name="it", command=["sh", "-c", "echo began; sleep 60 & wait"], seconds=limit)
    start = time.monotonic()
    found = run(part, seconds=left, environment={})
    assert (found.outcome, found.why) == ("out of time", "ended after 0.5 s")
    assert found.output == "began"
    # The child holds the output open: it was ended, too.
    assert time.monotonic() - start < 30


def test_none_begins_without_time() -> None:
    assert _run("print(1)", left=0).outcome == "not started"


def test_a_program_that_is_not_there_is_named() -> None:
    part = Part(name="card", command=["no-such-program"], seconds=5)
    found = run(part, seconds=5, environment={})
    assert (found.outcome, found.why) == (
        "not started",
        "no-such-program: No such file or directory",
    )
