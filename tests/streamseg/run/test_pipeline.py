"""Stages as threads: order, the first error once, no thread left, every dropped item counted."""

from __future__ import annotations

import _thread
import random
import signal
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from streamseg.run.pipeline import Pipeline, Stage

pytestmark = pytest.mark.usefixtures("no_thread_left")

Items = list[Any]


class BoomError(Exception):
    pass


def same(items: Items) -> Items:
    return items


def jitter(items: Items) -> Items:
    time.sleep(random.Random(items[0]).random() / 200)
    return items


class Sink:
    """Keeps what it gets; may block until `gate` is set."""

    def __init__(self, gate: threading.Event | None = None) -> None:
        self.items: Items = []
        self.first = threading.Event()
        self._gate = gate

    def __call__(self, items: Items) -> Items:
        self.first.set()
        if self._gate is not None:
            assert self._gate.wait(10)
        self.items.extend(items)
        return []


class Endless:
    """A source that never ends, and counts what it brought."""

    def __init__(self, pause: float = 0) -> None:
        self.brought = 0
        self._pause = pause

    def __iter__(self) -> Iterator[int]:
        while True:
            self.brought += 1
            yield self.brought - 1
            time.sleep(self._pause)


def start(pipeline: Pipeline) -> threading.Thread:
    """Run a pipeline beside the test."""
    thread = threading.Thread(target=pipeline.run, daemon=True)
    thread.start()
    return thread


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("capacity", [1, 4])
def test_order_is_kept_when_workers_overtake_each_other(workers: int, capacity: int) -> None:
    sink = Sink()
    stages = [Stage("work", jitter, workers=workers), Stage("sink", sink)]
    Pipeline(range(40), stages, capacity=capacity).run()
    assert sink.items == list(range(40))


def test_a_stage_gets_full_batches_and_the_last_partial_one() -> None:
    batches: list[Items] = []

    def work(items: Items) -> Items:
        batches.append(list(items))
        return items

    sink = Sink()
    Pipeline(range(10), [Stage("work", work, batch=4), Stage("sink", sink)], capacity=2).run()
    assert batches == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert sink.items == list(range(10))


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_larger_and_smaller_follow_each_other_without_loss(workers: int) -> None:
    sink = Sink()
    stages = [
        Stage("three", jitter, batch=3, workers=workers),
        Stage("five", jitter, batch=5, workers=workers),
        Stage("one", same),
        Stage("sink", sink, batch=2),
    ]
    Pipeline(range(23), stages, capacity=2).run()
    assert sink.items == list(range(23))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("at", [0, 7, 199])
@pytest.mark.parametrize("dying", ["source", "first", "second", "sink"])
def test_whoever_dies_the_pipeline_ends_and_the_error_arrives(
    dying: str, at: int, workers: int
) -> None:
    boom = BoomError(dying)

    def dies(name: str) -> Any:
        def work(items: Items) -> Items:
            if name == dying and at in items:
                raise boom
            return [] if name == "sink" else items

        return work

    def source() -> Iterator[int]:
        for item in range(200):
            if dying == "source" and item == at:
                raise boom
            yield item

    stages = [
        Stage("first", dies("first"), workers=workers),
        Stage("second", dies("second"), batch=3),
        Stage("sink", dies("sink")),
    ]
    pipeline = Pipeline(source(), stages, capacity=2)
    with pytest.raises(BoomError) as caught:
        pipeline.run()
    assert caught.value is boom


def test_the_first_of_two_errors_is_the_one_that_counts() -> None:
    died = threading.Event()

    def first_to_die(items: Items) -> Items:
        died.set()
        raise BoomError("the cause")

    def source() -> Iterator[int]:
        yield 0
        assert died.wait(10)
        raise OSError("a consequence")

    with pytest.raises(BoomError, match="the cause"):
        Pipeline(source(), [Stage("sink", first_to_die)], capacity=1).run()


def test_an_error_before_the_first_item_arrives_too() -> None:
    class Broken:
        def __iter__(self) -> Iterator[int]:
            raise BoomError("at once")

    with pytest.raises(BoomError, match="at once"):
        Pipeline(Broken(), [Stage("sink", Sink())]).run()


def test_an_empty_source_is_an_empty_run() -> None:
    sink = Sink()
    Pipeline([], [Stage("work", same, batch=4), Stage("sink", sink)]).run()
    assert sink.items == []


@pytest.mark.parametrize("workers", [1, 2])
def test_stop_finishes_what_is_under_way(workers: int) -> None:
    gate = threading.Event()
    source, sink = Endless(), Sink(gate)
    pipeline = Pipeline(
        source, [Stage("work", jitter, workers=workers), Stage("sink", sink)], capacity=2
    )
    running = start(pipeline)
    assert sink.first.wait(10)
    time.sleep(0.05)  # the channels fill up: the source waits for room
    pipeline.stop()
    gate.set()
    running.join(10)
    assert not running.is_alive()
    # One item may be in the source's hands when the door closes.
    assert sink.items == list(range(len(sink.items)))
    assert source.brought - 1 <= len(sink.items) <= source.brought


def test_abort_drops_what_is_under_way() -> None:
    gate = threading.Event()
    source, sink = Endless(), Sink(gate)
    pipeline = Pipeline(source, [Stage("sink", sink)], capacity=4)
    running = start(pipeline)
    assert sink.first.wait(10)
    time.sleep(0.05)
    pipeline.abort()
    gate.set()
    running.join(10)
    assert not running.is_alive()
    assert sink.items == [0]


@pytest.fixture
def _interruptible() -> Iterator[None]:
    """A shell starts background jobs with SIGINT ignored, and Python then never raises."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_interruptible")
def test_after_an_interrupt_wait_really_waits() -> None:
    """An interrupted Thread.join makes CPython 3.11 and 3.12 believe that the thread has ended."""
    gate = threading.Event()
    sink = Sink(gate)
    pipeline = Pipeline(range(3), [Stage("sink", sink)])
    threading.Timer(0.2, _thread.interrupt_main).start()
    with pytest.raises(KeyboardInterrupt):
        pipeline.run()
    pipeline.stop()
    threading.Timer(0.2, gate.set).start()
    pipeline.wait()
    assert sink.items == [0, 1, 2]


@pytest.mark.parametrize(("batch", "workers"), [(1, 1), (1, 2), (4, 1)])
def test_a_live_run_delivers_or_counts_every_frame(batch: int, workers: int) -> None:
    def slow(items: Items) -> Items:
        time.sleep(0.004)
        sink.extend(items)
        return []

    def source() -> Iterator[int]:
        for item in range(100):
            time.sleep(0.001)
            yield item

    sink: Items = []
    stages = [
        Stage("work", same, batch=batch, workers=workers, wait_for_batch=False),
        Stage("sink", slow, wait_for_batch=False),
    ]
    pipeline = Pipeline(source(), stages, capacity=1, drop_oldest=True)
    pipeline.run()
    assert pipeline.dropped > 0
    assert len(sink) + pipeline.dropped == 100
    assert sink == sorted(sink)
    assert sink[-1] == 99, "the freshest frame is never dropped"


def test_a_stopped_live_run_accounts_for_every_frame() -> None:
    gate = threading.Event()
    source, sink = Endless(pause=0.001), Sink(gate)
    pipeline = Pipeline(source, [Stage("sink", sink)], capacity=1, drop_oldest=True)
    running = start(pipeline)
    assert sink.first.wait(10)
    time.sleep(0.05)
    pipeline.stop()
    gate.set()
    running.join(10)
    assert not running.is_alive()
    received = pipeline.stage_stats(1.0)[0].items
    assert received == len(sink.items) + pipeline.dropped


def test_stop_does_not_wait_for_a_silent_source() -> None:
    silence = threading.Event()

    def source() -> Iterator[int]:
        yield 0
        silence.wait(60)

    sink = Sink()
    pipeline = Pipeline(source(), [Stage("sink", sink)])
    running = start(pipeline)
    assert sink.first.wait(10)
    pipeline.stop()
    running.join(10)
    assert not running.is_alive()
    assert sink.items == [0]
    silence.set()


def test_results_come_in_order() -> None:
    stages = [Stage("work", jitter, batch=3, workers=2), Stage("double", lambda xs: [*xs, *xs])]
    results = list(Pipeline(range(7), stages, capacity=2).results())
    assert results == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6]


def test_results_closed_early_tear_everything_down() -> None:
    before = set(threading.enumerate())
    results = Pipeline(Endless(), [Stage("work", same, workers=2)], capacity=2).results()
    assert [next(results) for _ in range(4)] == [0, 1, 2, 3]
    assert set(threading.enumerate()) - before
    results.close()
    assert set(threading.enumerate()) - before == set()


def test_results_raise_the_error_of_a_stage_after_what_came_before() -> None:
    def dies(items: Items) -> Items:
        if 5 in items:
            raise BoomError("at five")
        return items

    results: Items = []
    with pytest.raises(BoomError, match="at five"):
        results.extend(Pipeline(range(50), [Stage("dies", dies)], capacity=1).results())
    assert results == list(range(len(results)))


def test_a_sink_with_several_workers_is_a_mistake() -> None:
    pipeline = Pipeline(range(20), [Stage("sink", Sink(), workers=2)], capacity=2)
    with pytest.raises(ValueError, match="must have one worker"):
        pipeline.run()


def test_every_stage_has_its_row_of_numbers() -> None:
    stages = [Stage("work", same, batch=2), Stage("sink", Sink())]
    pipeline = Pipeline(range(9), stages, source_name="camera")
    pipeline.run()
    rows = [(row.name, row.items, row.calls) for row in pipeline.stage_stats(1.0)]
    assert rows == [("camera", 9, 9), ("work", 9, 5), ("sink", 9, 9)]


def test_the_caller_is_told_how_it_goes() -> None:
    gate = threading.Event()
    ticks: list[int] = []

    def tick() -> None:
        ticks.append(1)
        gate.set()

    Pipeline(range(3), [Stage("sink", Sink(gate))]).run(tick, interval=0.01)
    assert ticks
