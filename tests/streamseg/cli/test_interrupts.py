"""A command's process ends with its code, whatever threads are left."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.streamseg.conftest import REPOSITORY

_SCRIPT = """
import sys, threading
from streamseg.cli import interrupts
interrupts.install()
stuck = threading.Event()
threading.Thread(target=stuck.wait, name={name!r}, daemon=True).start()
print("said", end="")
interrupts.leave({code!r})
print(" and went on")
"""


@pytest.mark.parametrize(
    ("name", "code", "ends", "says"),
    [
        ("streamseg-open", 130, 130, "said"),
        ("streamseg-open", None, 0, "said"),
        ("streamseg-open", "a message", 1, "said"),
        ("another", 130, 0, "said and went on\n"),
    ],
)
def test_it_ends_at_once_where_a_thread_of_ours_is_stuck(
    name: str, code: object, ends: int, says: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SCRIPT.format(name=name, code=code)],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (ends, says)
