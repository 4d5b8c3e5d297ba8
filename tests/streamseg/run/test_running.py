"""Runs are counted in and out, ended together, and waited for."""

from __future__ import annotations

import threading

import pytest

from streamseg.errors import UsageError
from streamseg.run.running import Running


def test_closing_waits_for_the_runs_of_other_threads() -> None:
    order: list[str] = []
    running = Running("thing", lambda: order.append("closed"))
    begun, told = threading.Event(), threading.Event()

    def work() -> None:
        with running.run(told.set):
            begun.set()
            assert told.wait(10)
            order.append("run ended")

    thread = threading.Thread(target=work)
    thread.start()
    assert begun.wait(10)
    running.close()
    thread.join(10)
    assert order == ["run ended", "closed"]


def test_a_run_of_the_same_thread_is_waited_for_by_its_end() -> None:
    order: list[str] = []
    running = Running("thing", lambda: order.append("closed"))
    with running.run():
        running.close()
        assert running.closed
        assert order == []
    assert order == ["closed"]


def test_closing_twice_ends_once_and_nothing_begins_any_more() -> None:
    ends: list[int] = []
    running = Running("thing", lambda: ends.append(1))
    running.close()
    running.close()
    assert ends == [1]
    with pytest.raises(UsageError, match="the thing is closed"), running.run():
        pytest.fail("it began")
