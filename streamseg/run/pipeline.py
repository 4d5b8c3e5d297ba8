"""Stages as threads, joined by bounded channels. Knows nothing about videos, engines or click.

    source -> stage -> stage -> ... -> last stage (a sink returns nothing)

- Order is kept, also by a stage with several workers.
- Memory is bounded: a channel holds a few items, a full one makes its producer wait.
- The first error of any stage stops all of them and is raised once, from `run` or `results`.
- `stop` ends the input: what is under way is finished. `abort` drops everything.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from streamseg.run.channel import Aborted, Channel
from streamseg.run.stats import StageClock, StageStats


@dataclass(frozen=True, slots=True)
class Slot:
    """What a channel holds: items that may still be being computed."""

    future: Future[list[Any]]
    items: int
    """How many they are (a stage returns as many as it took)."""

    @classmethod
    def done(cls, items: list[Any]) -> Slot:
        """Items that are there already."""
        future: Future[list[Any]] = Future()
        future.set_result(items)
        return cls(future, len(items))


_SOURCE_GRACE_SECONDS = 1.0
"""How long the end waits for a source's thread, which may be inside a read that never returns."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a pipeline."""

    name: str
    work: Callable[[list[Any]], list[Any]]
    """A batch of items in, the items for the next stage out, in order. Called from a thread."""
    batch: int = 1
    """Items per call at most."""
    workers: int = 1
    """Calls that may run at the same time; `work` must be thread-safe if above 1."""
    wait_for_batch: bool = True
    """False takes what is there instead of waiting for a full batch: for live streams."""


class Pipeline:
    """Runs items of a source through stages.

    Args:
        source: iterated in a thread of its own; its time counts as the first stage.
        stages: in order.
        source_name: how the source is called in the statistics.
        capacity: items each channel holds.
        drop_oldest: nobody waits for room: when a channel is full its oldest item goes, so that
            every stage takes up the freshest item there is.
    """

    def __init__(
        self,
        source: Iterable[Any],
        stages: Sequence[Stage],
        *,
        source_name: str = "source",
        capacity: int = 4,
        drop_oldest: bool = False,
    ) -> None:
        self._source = source
        self._stages = list(stages)
        self._clocks = [
            StageClock(source_name),
            *(StageClock(stage.name, stage.workers) for stage in self._stages),
        ]
        # A channel holds futures: a stage with several workers hands over results that are still
        # being computed, in order, and the next stage waits for each in turn.
        self._channels: list[Channel[Slot]] = [
            # Room for every call of the stage before it, or its workers could not all be busy.
            Channel(max(capacity, workers), drop_oldest=drop_oldest)
            for workers in (1, *(stage.workers for stage in self._stages))
        ]
        self._stopping = threading.Event()
        self._sink = False
        self._dropped = [0] * len(self._channels)
        self._error: BaseException | None = None
        self._error_lock = threading.Lock()
        self._ended: list[threading.Event] = []

    @property
    def dropped(self) -> int:
        """Items the source brought that did not reach the last stage."""
        return sum(self._dropped)

    @property
    def dropped_before(self) -> dict[str, int]:
        """These, by the stage that was too slow to take them."""
        counts = zip(self._stages, self._dropped, strict=False)  # behind the last one is nothing
        return {stage.name: count for stage, count in counts if count}

    def stop(self) -> None:
        """Take no more from the source; finish what is under way.

        Does not wait for the source: a silent camera may keep its thread inside a read.
        """
        self._stopping.set()
        self._channels[0].close()

    def abort(self) -> None:
        """Drop everything that is under way."""
        self._stopping.set()
        for channel in self._channels:
            channel.abort()

    def stage_stats(self, wall_seconds: float) -> tuple[StageStats, ...]:
        """A row per stage, the source first."""
        return tuple(clock.summary(wall_seconds) for clock in self._clocks)

    def run(self, tick: Callable[[], None] | None = None, *, interval: float = 0.1) -> None:
        """Run to the end; `tick` is called every `interval` seconds from the caller's thread.

        The last stage is a sink: what it returns is thrown away. A KeyboardInterrupt here is the
        caller's to handle: catch it, `stop`, and `wait`.

        Raises:
            ValueError: the last stage has several workers.
            Exception: the first error of the source, of a stage or of `tick`, as it was raised.
        """
        if self._stages[-1].workers > 1:
            raise ValueError("a sink takes one call after another: its stage must have one worker")
        self._sink = True
        self._start()
        self.wait(tick, interval=interval)

    def _start(self) -> None:
        # Daemons: a device that hangs must not keep the process alive.
        targets: list[tuple[str, Callable[[], None]]] = [("source", self._run_source)]
        for index, stage in enumerate(self._stages):
            targets.append((stage.name, lambda i=index: self._run_stage(i)))  # type: ignore[misc]
        for name, target in targets:
            # Not `Thread.join`: on CPython 3.11 a KeyboardInterrupt inside a join marks the
            # thread as ended while it still runs.
            ended = threading.Event()

            def run(target: Callable[[], None] = target, ended: threading.Event = ended) -> None:
                try:
                    target()
                finally:
                    ended.set()

            self._ended.append(ended)
            threading.Thread(target=run, name=f"streamseg-{name}", daemon=True).start()

    def wait(self, tick: Callable[[], None] | None = None, *, interval: float = 0.1) -> None:
        """Go on waiting for the end, after a KeyboardInterrupt left `run`."""
        try:
            for ended in reversed(self._ended[1:]):
                while not ended.wait(interval):
                    if tick is not None:
                        tick()
        except Exception:  # of `tick`: nobody may close a file under a thread that still uses it
            self.abort()
            for ended in reversed(self._ended[1:]):
                ended.wait()
            raise
        self._ended[0].wait(_SOURCE_GRACE_SECONDS)
        self._raise_first_error()

    def results(self) -> Generator[Any, None, None]:
        """Run, and yield what the last stage returns, in order.

        Closing the generator early (``break``) tears the pipeline down.

        Raises:
            Exception: as `run`.
        """
        self._start()
        try:
            for slot in self._channels[-1]:
                yield from slot.future.result()
        except Aborted:
            pass  # a stage died; its error is raised below
        finally:
            self.end()
        self._raise_first_error()

    def end(self) -> None:
        """Drop everything that is under way, and wait for the stages a moment each."""
        self.abort()
        for ended in self._ended:
            ended.wait(_SOURCE_GRACE_SECONDS)

    def _raise_first_error(self) -> None:
        if self._error is not None:
            raise self._error

    def _fail(self, error: BaseException) -> None:
        with self._error_lock:
            if self._error is None and not isinstance(error, (Aborted, CancelledError)):
                self._error = error
        self.abort()

    def _put(self, channel: Channel[Slot], slot: Slot) -> None:
        oldest = channel.put(slot)
        if oldest is not None:
            # One thread puts into a channel: nobody else counts here.
            self._dropped[self._channels.index(channel)] += oldest.items

    def _run_source(self) -> None:
        clock, out = self._clocks[0], self._channels[0]
        try:
            iterator = iter(self._source)
            while not self._stopping.is_set():
                start = time.perf_counter()
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                clock.add(time.perf_counter() - start)
                try:
                    self._put(out, Slot.done([item]))
                except Aborted:  # stopped while it waited for room: this item comes too late
                    self._dropped[0] += 1
                    break
        except BaseException as error:  # whatever it was, it must reach the caller's thread
            self._fail(error)
        finally:
            out.close()

    def _run_stage(self, index: int) -> None:
        stage, clock = self._stages[index], self._clocks[index + 1]
        source, out = self._channels[index], self._channels[index + 1]
        sink = self._sink and index == len(self._stages) - 1
        pool = ThreadPoolExecutor(stage.workers) if stage.workers > 1 else None

        def work(items: list[Any]) -> list[Any]:
            start = time.perf_counter()
            results = stage.work(items)
            clock.add(time.perf_counter() - start, len(items))
            return results

        try:
            for items in self._batches(source, stage):
                if pool is not None:
                    self._put(out, Slot(pool.submit(work, items), len(items)))
                    continue
                results = work(items)
                if not sink:
                    self._put(out, Slot.done(results))
        except BaseException as error:
            self._fail(error)
        finally:
            if pool is not None:
                pool.shutdown(wait=True, cancel_futures=self._error is not None)
            out.close()

    def _batches(self, source: Channel[Slot], stage: Stage) -> Iterator[list[Any]]:
        waiting: list[Any] = []
        while slots := source.get_batch(stage.batch, wait_for_all=stage.wait_for_batch):
            for slot in slots:
                waiting.extend(slot.future.result())
            while len(waiting) >= stage.batch or (waiting and not stage.wait_for_batch):
                yield waiting[: stage.batch]
                del waiting[: stage.batch]
        if waiting:
            yield waiting
