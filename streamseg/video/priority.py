"""Keeps encoders from running the process in real time."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

_THREADS = Path("/proc/self/task")


@contextlib.contextmanager
def ordinary_priority() -> Iterator[None]:
    """What runs within leaves the calling thread's scheduling as it was; new threads get the same.

    SVT-AV1 run as root (in most containers, that is) gives its threads *and the one that opens it*
    the highest real-time priority. Threads and processes started later inherit that, and one that
    waits actively then takes a core from the whole machine.
    """
    if sys.platform != "linux":
        yield
        return
    policy, priority = os.sched_getscheduler(0), os.sched_getparam(0)
    before = _threads()
    try:
        yield
    finally:
        # 0 is the calling thread. The encoder's own are those that were not there before.
        for thread in {0, *(_threads() - before)}:
            with contextlib.suppress(OSError):  # ended meanwhile, or not ours to change
                if os.sched_getscheduler(thread) != policy:
                    os.sched_setscheduler(thread, policy, priority)


def _threads() -> set[int]:
    try:
        return {int(entry.name) for entry in _THREADS.iterdir()}
    except OSError:  # /proc is not mounted everywhere
        return set()
