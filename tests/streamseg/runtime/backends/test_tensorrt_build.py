"""The TensorRT backend's building half over a fake builder, and what `environment` says."""

from __future__ import annotations

import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from streamseg.errors import EngineError, ModelError
from streamseg.runtime.backends import tensorrt
from streamseg.runtime.backends.base import (
    BackendUnavailableError,
    BuildConfig,
    BuildProgress,
    Profile,
)
from streamseg.runtime.backends.trt_build import build
from streamseg.runtime.backends.trt_seam import BuildMonitor, BuildRequest, BuiltPlan, DeviceInfo
from tests.streamseg.fakes import toy_header
from tests.streamseg.runtime.backends.fake_gpu import FakeGpu

CONFIG = BuildConfig(profile=Profile(batch=(1, 4, 8), max_size=(640, 384)))


class FakeBuilder:
    """Stands for `trt_api.build_plan`: three steps, told from a thread of its own."""

    def __init__(self, steps: int = 3, before: Callable[[int], None] = lambda _: None) -> None:
        self.steps, self.before = steps, before
        self.requests: list[BuildRequest] = []
        self.done = 0
        self.cache_fits = True

    def __call__(self, request: BuildRequest, monitor: BuildMonitor) -> BuiltPlan | None:
        self.requests.append(request)
        thread = threading.Thread(target=self._work, args=(monitor,))
        thread.start()
        thread.join()
        if monitor.stopped:
            return None
        given = request.timing_cache
        grown = None if given is None else (given if self.cache_fits else b"") + b"measured;"
        return BuiltPlan(
            plan=b"plan of " + request.onnx,
            timing_cache=grown,
            timing_cache_rejected=bool(given) and not self.cache_fits,
        )

    def _work(self, monitor: BuildMonitor) -> None:
        monitor.start("Building", self.steps)
        for step in range(self.steps):
            self.before(step)
            self.done += 1
            if not monitor.step("Building", step):
                break
        monitor.finish("Building")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "street.onnx"
    path.write_bytes(b"street")
    return path


def silent(phase: str, done: int, total: int) -> None: ...


def test_a_config_in_the_builders_terms(model: Path) -> None:
    builder = FakeBuilder()
    config = replace(CONFIG, workspace_mib=512, hardware_compat="ampere+", version_compat=True)
    assert build(builder, model, config, silent) == b"plan of street"
    (request,) = builder.requests
    frames = request.ranges["frames"]
    assert (frames.low, frames.best, frames.high) == (
        (1, 288, 512, 3),
        (4, 288, 512, 3),
        (8, 384, 640, 3),
    )
    assert (5, 320, 640, 3) in frames
    assert (5, 320, 672, 3) not in frames
    assert (9, 320, 640, 3) not in frames
    assert request.workspace_bytes == 512 << 20
    assert (request.hardware_compat, request.version_compat) == ("ampere+", True)
    assert request.timing_cache is None
    assert request.path == str(model)


def test_progress_is_told_phase_by_phase(model: Path) -> None:
    told: list[tuple[str, int, int]] = []
    build(FakeBuilder(), model, CONFIG, lambda *what: told.append(what))
    assert told == [("Building", done, 3) for done in (0, 1, 2, 3, 3)]


def test_what_progress_raises_stops_the_build_and_is_raised(model: Path) -> None:
    builder = FakeBuilder(steps=100)

    def enough(phase: str, done: int, total: int) -> None:
        if done == 2:
            raise EngineError("cancelled by the caller")

    with pytest.raises(EngineError, match="cancelled by the caller"):
        build(builder, model, CONFIG, enough)
    assert builder.done == 2


def test_an_interrupt_stops_the_build_at_its_next_step(model: Path) -> None:
    def slow(step: int) -> None:
        if step == 1:
            signal.raise_signal(signal.SIGINT)  # reaches the main thread, which only waits
        time.sleep(0.05)

    # A shell's background jobs start with the signal ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    builder = FakeBuilder(steps=200, before=slow)
    try:
        with pytest.raises(KeyboardInterrupt):
            build(builder, model, CONFIG, silent)
    finally:
        signal.signal(signal.SIGINT, before)
    assert builder.done < 100
    count = builder.done
    time.sleep(0.2)
    assert builder.done == count, "it stopped before the interrupt was raised"


def test_the_timing_cache_is_read_extended_and_saved(model: Path, tmp_path: Path) -> None:
    cache = tmp_path / "new" / "timing.cache"
    config = replace(CONFIG, timing_cache=cache)
    builder = FakeBuilder()
    for _ in range(2):
        build(builder, model, config, silent)
    assert [request.timing_cache for request in builder.requests] == [b"", b"measured;"]
    assert cache.read_bytes() == b"measured;measured;"
    assert list(cache.parent.iterdir()) == [cache], "no partial file"


def test_a_timing_cache_of_another_gpu_is_replaced_and_said(model: Path, tmp_path: Path) -> None:
    cache = tmp_path / "timing.cache"
    cache.write_bytes(b"other;")
    builder = FakeBuilder()
    builder.cache_fits = False
    with pytest.warns(RuntimeWarning, match=r"timing\.cache: of another TensorRT or GPU"):
        build(builder, model, replace(CONFIG, timing_cache=cache), silent)
    assert cache.read_bytes() == b"measured;"


def test_a_timing_cache_that_cannot_be_saved_does_not_lose_the_engine(
    model: Path, tmp_path: Path
) -> None:
    config = replace(CONFIG, timing_cache=tmp_path / "file" / "timing.cache")

    def block(step: int) -> None:
        (tmp_path / "file").write_bytes(b"")  # a file where the folder should be

    with pytest.warns(RuntimeWarning, match=r"timing\.cache: the timing cache cannot be saved \("):
        assert build(FakeBuilder(before=block), model, config, silent) == b"plan of street"


def test_files_that_cannot_be_read(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"none\.onnx: cannot be read \(No such file"):
        build(FakeBuilder(), tmp_path / "none.onnx", CONFIG, silent)
    with pytest.raises(EngineError, match=r"the timing cache cannot be read \(Is a directory"):
        build(FakeBuilder(), model, replace(CONFIG, timing_cache=tmp_path), silent)


def test_what_the_builder_raises_is_raised(model: Path) -> None:
    def refuse(request: BuildRequest, monitor: BuildMonitor) -> BuiltPlan | None:
        raise EngineError(f"{request.path}: TensorRT 11.4 does not take this graph: node 3, Resize")

    with pytest.raises(EngineError, match=r"street\.onnx: .* node 3, Resize"):
        build(refuse, model, CONFIG, silent)


def fake_modules(monkeypatch: pytest.MonkeyPatch, gpu: FakeGpu) -> None:
    """`trt_api` and `cuda` as they look where both work."""
    api, cuda = ModuleType("trt_api"), ModuleType("cuda")
    vars(api).update(version=lambda: "11.4.0.106", build_plan=FakeBuilder())
    vars(cuda).update(Device=lambda: gpu)
    monkeypatch.setitem(sys.modules, "streamseg.runtime.backends.trt_api", api)
    monkeypatch.setitem(sys.modules, "streamseg.runtime.backends.cuda", cuda)


def test_the_backends_functions_where_all_is_there(
    monkeypatch: pytest.MonkeyPatch, model: Path
) -> None:
    fake_modules(monkeypatch, FakeGpu())
    found = tensorrt.environment()
    assert set(found) == {"tensorrt", "gpu", "compute_capability", "driver", "platform"}
    assert (found["tensorrt"], found["gpu"]) == ("11.4.0.106", "Fake 1")
    assert found["compute_capability"] == "9.0"
    progress: BuildProgress = silent
    plan = tensorrt.build(model, toy_header(), CONFIG, progress=progress)
    assert plan == b"plan of street"


def test_the_drivers_release(tmp_path: Path) -> None:
    info: DeviceInfo = FakeGpu().info()
    file = tmp_path / "version"
    assert tensorrt.driver_version(info, file) == "CUDA 13.0"
    file.write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.65.06  Sun\nGCC 12\n")
    assert tensorrt.driver_version(info, file) == "580 (CUDA 13.0)"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ModuleNotFoundError('No module', name='tensorrt')", "TensorRT is not installed"),
        ("raise ImportError('libnvinfer.so.10: cannot open')", r"does not load \(libnvinfer\.so"),
        ("raise AttributeError('no IProgressMonitor')", "older than 10.12"),
    ],
)
def test_a_missing_or_broken_installation_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, code: str, words: str
) -> None:
    """A package `tensorrt` that fails in that way, under the real `trt_api`."""
    fake_modules(monkeypatch, FakeGpu())
    monkeypatch.delitem(sys.modules, "streamseg.runtime.backends.trt_api")
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    (tmp_path / "tensorrt.py").write_text(code + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendUnavailableError, match=words) as caught:
        tensorrt.environment()
    assert "pip install 'tensorrt-cu13>=10.13,<12' 'cuda-bindings>=13,<14' onnx" in str(
        caught.value
    )
    assert "streamseg.runtime.backends.trt_api" not in sys.modules


def test_no_warning_without_a_reason(model: Path, tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        build(FakeBuilder(), model, replace(CONFIG, timing_cache=tmp_path / "t.cache"), silent)
