"""The TensorRT engine's logic on a fake GPU: no real one runs here."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from streamseg.errors import DeviceMemoryError, EngineError
from streamseg.runtime.backends.base import LoadOptions
from streamseg.runtime.backends.tensorrt import TensorRTEngine
from streamseg.runtime.backends.trt_seam import TensorInfo
from streamseg.runtime.choosing.smallerbatch import SmallerBatches
from tests.streamseg.fakes import toy_header
from tests.streamseg.runtime.backends.fake_gpu import FakeGpu, FakePlan

FRAME = 32 * 64
"""Pixels of a frame."""


def frames(count: int, seed: int = 0, height: int = 32, width: int = 64) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (count, height, width, 3), np.uint8)


def expected(frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    labels: NDArray[np.uint8] = frames_NHWC.argmax(axis=3).astype(np.uint8)
    return labels


def open_on(
    gpu: FakeGpu,
    plan: FakePlan | None = None,
    *,
    batch: int | None = None,
    low_latency: bool = False,
) -> TensorRTEngine:
    return TensorRTEngine(
        plan or FakePlan(gpu),
        gpu,
        toy_header(),
        Path("street.engine"),
        LoadOptions(batch=batch, low_latency=low_latency),
        name="TensorRT 10.12",
    )


@pytest.fixture
def gpu() -> Iterator[FakeGpu]:
    """Fails a test that leaves memory, streams or graphs behind."""
    gpu = FakeGpu()
    yield gpu
    assert gpu.empty


def test_what_it_says_of_itself(gpu: FakeGpu) -> None:
    with open_on(gpu) as engine:
        assert engine.spec.backend == "TensorRT 10.12, Fake 1"
        assert (engine.spec.batch, engine.spec.workers) == (4, 2)
    with open_on(gpu, low_latency=True) as engine:
        assert (engine.spec.batch, engine.spec.workers) == (1, 1)
    with open_on(gpu, batch=100) as engine:
        assert engine.spec.batch == 8, "the plan's largest"
    with open_on(gpu, FakePlan(gpu, low=(2, 32, 64, 3)), low_latency=True) as engine:
        assert engine.spec.batch == 2, "the plan's smallest"


@pytest.mark.parametrize("count", [1, 3, 4, 8])
def test_labels_of_any_batch_the_plan_takes(gpu: FakeGpu, count: int) -> None:
    with open_on(gpu) as engine:
        for seed in range(4):  # plain, captured, launched
            given = frames(count, seed)
            np.testing.assert_array_equal(engine.infer(given), expected(given))


def test_a_batch_above_the_largest_is_split_and_one_below_the_smallest_is_filled_up(
    gpu: FakeGpu,
) -> None:
    plan = FakePlan(gpu, low=(4, 32, 64, 3), best=(4, 32, 64, 3), high=(6, 32, 64, 3))
    with open_on(gpu, plan) as engine:
        given = frames(15)
        np.testing.assert_array_equal(engine.infer(given), expected(given))
        assert [shape[0] for shape in plan.shapes] == [6, 6, 4]


def test_the_returned_labels_are_the_callers(gpu: FakeGpu) -> None:
    with open_on(gpu, low_latency=True) as engine:
        first = engine.infer(frames(1, 1))
        kept = first.copy()
        engine.infer(frames(1, 2))
        np.testing.assert_array_equal(first, kept)
        first[:] = 9
        np.testing.assert_array_equal(engine.infer(frames(1, 1)), kept)


def test_frames_that_are_not_contiguous(gpu: FakeGpu) -> None:
    with open_on(gpu) as engine:
        given = frames(2, height=32, width=128)[:, :, ::2][:, ::-1]
        np.testing.assert_array_equal(engine.infer(given), expected(given))


def test_a_shape_is_captured_at_its_second_batch_and_launched_from_then_on(gpu: FakeGpu) -> None:
    plan = FakePlan(gpu)
    with open_on(gpu, plan, low_latency=True) as engine:
        for _ in range(5):
            engine.infer(frames(1))
        assert (gpu.captures, gpu.launches, len(plan.shapes)) == (1, 4, 2)
        engine.infer(frames(2))  # a last, partial batch: once, so never captured
        assert (gpu.captures, gpu.launches, gpu.graphs) == (1, 4, 0)
        given = frames(1, 7)
        np.testing.assert_array_equal(engine.infer(given), expected(given))


def test_without_graphs_it_runs_call_by_call(gpu: FakeGpu) -> None:
    gpu.capture_fails = True
    with open_on(gpu, low_latency=True) as engine:
        for seed in range(4):
            given = frames(1, seed)
            np.testing.assert_array_equal(engine.infer(given), expected(given))
    assert (gpu.captures, gpu.launches) == (1, 0), "tried once, not at every batch"


def test_sizes_within_the_profile_change_freely(gpu: FakeGpu) -> None:
    plan = FakePlan(gpu, high=(8, 96, 128, 3))
    with open_on(gpu, plan) as engine:
        for height, width in ((32, 64), (96, 128), (64, 64), (32, 64), (32, 64), (96, 128)):
            given = frames(3, height, height, width)
            np.testing.assert_array_equal(engine.infer(given), expected(given))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 32), (32, 96)])
def test_another_size_is_refused_in_words(gpu: FakeGpu, height: int, width: int) -> None:
    with open_on(gpu) as engine:
        words = f"street.engine: this engine takes 64x32, not {width}x{height}; build one"
        with pytest.raises(EngineError, match=words):
            engine.infer(frames(1, 0, height, width))
        with pytest.raises(ValueError, match="uint8"):
            engine.infer(frames(1).astype(np.float32))


def test_two_threads_at_once_each_get_their_own_labels(gpu: FakeGpu) -> None:
    meeting = threading.Barrier(2, timeout=10)

    def meet() -> None:
        meeting.wait()

    gpu.before_wait = meet
    with open_on(gpu) as engine, ThreadPoolExecutor(2) as pool:
        given = [frames(4, seed) for seed in range(8)]
        for start in range(0, 8, 2):  # each pair meets inside the GPU: neither waits for the other
            answers = list(pool.map(engine.infer, given[start : start + 2]))
            for frames_NHWC, labels in zip(given[start : start + 2], answers, strict=True):
                np.testing.assert_array_equal(labels, expected(frames_NHWC))
    assert gpu.most_at_once == 2


def test_more_threads_than_slots_wait_their_turn(gpu: FakeGpu) -> None:
    gpu.before_wait = lambda: time.sleep(0.001)
    with open_on(gpu) as engine, ThreadPoolExecutor(6) as pool:
        given = [frames(1 + seed % 8, seed) for seed in range(40)]
        for frames_NHWC, labels in zip(given, pool.map(engine.infer, given), strict=True):
            np.testing.assert_array_equal(labels, expected(frames_NHWC))
    assert gpu.most_at_once == 2


def test_close_waits_for_calls_under_way_and_ends_those_that_wait(gpu: FakeGpu) -> None:
    inside, go_on = threading.Event(), threading.Event()

    def block() -> None:
        inside.set()
        assert go_on.wait(10)

    gpu.before_wait = block
    engine = open_on(gpu, low_latency=True)
    given = frames(1)
    with ThreadPoolExecutor(3) as pool:
        running = pool.submit(engine.infer, given)
        assert inside.wait(10)
        waiting = pool.submit(engine.infer, given)
        closing = pool.submit(engine.close)
        with pytest.raises(EngineError, match=r"street\.engine: the engine is closed"):
            waiting.result(10)
        assert not closing.done()
        assert not gpu.empty, "memory is kept as long as work is under way"
        go_on.set()
        np.testing.assert_array_equal(running.result(10), expected(given))
        closing.result(10)
    assert gpu.empty
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.infer(given)


def test_a_failed_run_leaves_an_engine_that_works(gpu: FakeGpu) -> None:
    plan = FakePlan(gpu)
    with open_on(gpu, plan, low_latency=True) as engine:
        for _ in range(3):
            engine.infer(frames(1))
        plan.enqueue_fails = True
        engine.infer(frames(1))  # its graph needs no enqueueing
        with pytest.raises(EngineError, match="fake TensorRT failed"):
            engine.infer(frames(2))
        plan.enqueue_fails = False
        for seed in range(4):
            given = frames(2, seed)
            np.testing.assert_array_equal(engine.infer(given), expected(given))


def test_a_wait_that_fails_gives_the_slot_back(gpu: FakeGpu) -> None:
    def fail() -> None:
        raise EngineError("waiting for the GPU: CUDA failed")

    with open_on(gpu, low_latency=True) as engine:
        gpu.before_wait = fail
        with pytest.raises(EngineError, match="waiting for the GPU"):
            engine.infer(frames(1))
        gpu.before_wait = lambda: None
        for stream in gpu.streams.values():
            stream.queue.clear()
        engine.infer(frames(1))


def test_out_of_memory_says_what_was_needed_and_leaves_nothing() -> None:
    gpu = FakeGpu(memory=2 * 4 * FRAME * 14 - 1)
    with pytest.raises(DeviceMemoryError, match=r"out of memory; 4 frames of 64x32 need .* MiB"):
        open_on(gpu)
    assert gpu.empty


def test_out_of_memory_takes_smaller_batches_and_says_so() -> None:
    gpu = FakeGpu(memory=2 * 2 * FRAME * 14)
    plan, said = FakePlan(gpu), list[str]()
    engine = SmallerBatches(
        lambda batch: open_on(gpu, plan, batch=batch),
        largest=4,
        notice=said.append,
    )
    with engine:
        assert engine.spec.batch == 2
        assert len(said) == 1
        assert "going on with batches of 2" in said[0]
        given = frames(5)
        np.testing.assert_array_equal(engine.infer(given), expected(given))
        assert max(shape[0] for shape in plan.shapes) == 2
    assert gpu.empty


def test_out_of_memory_while_running_takes_smaller_batches_and_says_so(gpu: FakeGpu) -> None:
    plan, said = FakePlan(gpu, high=(8, 96, 128, 3)), list[str]()
    with SmallerBatches(lambda _: open_on(gpu, plan), largest=4, notice=said.append) as engine:
        engine.infer(frames(4))
        gpu.memory = gpu.used + FRAME * 14  # another program took the rest
        given = frames(4, 0, 64, 64)
        np.testing.assert_array_equal(engine.infer(given), expected(given))
        assert len(said) == 1
        small = frames(4, 1)
        np.testing.assert_array_equal(engine.infer(small), expected(small))


def test_a_plan_of_another_model_is_refused(gpu: FakeGpu) -> None:
    image = TensorInfo(name="image", is_input=True, dtype="FLOAT", shape=(1, 3, 224, 224))
    with pytest.raises(EngineError, match=r"not of a streamseg model: it has image FLOAT \[1, 3"):
        open_on(gpu, FakePlan(gpu, tensors=(image,)))
