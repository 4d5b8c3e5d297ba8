"""Engines are opened once for each kind of use, and shared without crowding them."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from streamseg.runtime.options import EngineOptions
from streamseg.runtime.pool import EnginePool, SharedEngine
from tests.streamseg.fakes import FakeEngine


def test_no_more_threads_than_workers_are_inside() -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def busy(_: int) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        time.sleep(0.01)
        with lock:
            inside -= 1

    engine = SharedEngine(FakeEngine(workers=2, before=busy))
    frames = np.zeros((1, 32, 32, 3), np.uint8)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: engine.infer(frames), range(24)))
    assert most == 2


def test_closing_a_shared_engine_leaves_it_open() -> None:
    inner = FakeEngine()
    with SharedEngine(inner):
        pass
    assert not inner.closed


def test_one_engine_for_files_and_one_for_live_sources(toy_model: Path) -> None:
    with EnginePool(EngineOptions(model=toy_model, backend="onnxruntime", threads=1)) as pool:
        files = pool.get((64, 32)).engine
        assert pool.get((96, 64)).engine is files
        live = pool.get((64, 32), low_latency=True).engine
        assert live is not files
        assert live.spec.batch == 1


def test_engines_made_for_a_size_are_kept_by_size(
    toy_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamseg.runtime.pool.size_matters", lambda _: True)
    with EnginePool(EngineOptions(model=toy_model, threads=1)) as pool:
        small = pool.get((64, 32)).engine
        assert pool.get((96, 64)).engine is not small
        assert pool.get((64, 32)).engine is small
