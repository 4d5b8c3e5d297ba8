"""The building half of the TensorRT backend: a model file in, a plan out.

Turns a `BuildConfig` into the builder's terms, keeps the timing cache on disk, and runs the build
in a thread, so that Ctrl-C is heard while TensorRT measures. Running plans is in
`runtime.backends.tensorrt`; TensorRT itself is behind `runtime.backends.trt_api`.
"""

from __future__ import annotations

import logging
import os
import tempfile
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import TypeAlias

from streamseg.errors import EngineError, ModelError
from streamseg.runtime.backends.base import BuildConfig, BuildProgress, Profile
from streamseg.runtime.backends.trt_seam import BuildMonitor, BuildRequest, BuiltPlan, ShapeRange
from streamseg.runtime.backends.trt_slot import FRAMES, MIB

_LOG = logging.getLogger("streamseg")

PlanBuilder: TypeAlias = Callable[[BuildRequest, BuildMonitor], BuiltPlan | None]
"""`trt_api.build_plan`, or what a test puts in its place."""


class Watch:
    """A `BuildMonitor` that reports to a `BuildProgress` and can be told to stop.

    TensorRT cannot carry a Python exception through its own code: what the callback raises is kept
    here, the build is stopped, and `build` raises it.
    """

    def __init__(self, progress: BuildProgress) -> None:
        self._progress = progress
        self._lock = threading.Lock()
        self._steps: dict[str, int] = {}
        self._stop = threading.Event()
        self.error: BaseException | None = None

    @property
    def stopped(self) -> bool:
        """See `BuildMonitor.stopped`."""
        return self._stop.is_set()

    def stop(self) -> None:
        """Stop the build at its next step."""
        self._stop.set()

    def start(self, phase: str, steps: int) -> None:
        """See `BuildMonitor.start`."""
        with self._lock:
            self._steps[phase] = steps
            self._report(phase, 0)

    def step(self, phase: str, step: int) -> bool:
        """See `BuildMonitor.step`."""
        with self._lock:
            self._report(phase, step + 1)
        return not self.stopped

    def finish(self, phase: str) -> None:
        """See `BuildMonitor.finish`."""
        with self._lock:
            if phase in self._steps:
                self._report(phase, self._steps[phase])

    def _report(self, phase: str, done: int) -> None:
        if self.stopped:
            return
        try:
            self._progress(phase, done, max(done, self._steps.get(phase, 0)))
        except BaseException as error:
            self.error = error
            self.stop()


def build(
    build_plan: PlanBuilder, model: Path, config: BuildConfig, progress: BuildProgress
) -> bytes:
    """Build a plan from a model file; its precision is the graph's own.

    Warns (`RuntimeWarning`) when a timing cache does not fit, or cannot be saved: the plan is good.

    Args:
        build_plan: `trt_api.build_plan`.
        model: the model file.
        config: what to build.
        progress: told about TensorRT's phases; what it raises stops the build and is raised here.

    Raises:
        ModelError: the model file cannot be read.
        BackendUnavailableError: TensorRT does not start here.
        EngineError: the build failed, or the timing cache cannot be read.
    """
    request = build_request(model, config)
    watch = Watch(progress)
    built = _in_thread(lambda: build_plan(request, watch), watch)
    if watch.error is not None:
        raise watch.error
    assert built is not None, "only a stopped build has no result"
    for warning in built.warnings:
        _LOG.info("TensorRT: %s", warning)
    if config.timing_cache is not None:
        if built.timing_cache_rejected:
            _warn(
                f"{config.timing_cache}: of another TensorRT or GPU, or broken; a new one replaces "
                "it"
            )
        _save(config.timing_cache, built.timing_cache)
    return built.plan


def build_request(model: Path, config: BuildConfig) -> BuildRequest:
    """A build in TensorRT's terms.

    Raises:
        ModelError: the model file cannot be read.
        EngineError: the timing cache cannot be read.
    """
    try:
        onnx = model.read_bytes()
    except OSError as error:
        raise ModelError(f"{model}: cannot be read ({error.strerror})") from error
    if config.precision == "fp32" and find_spec("onnx") is not None:
        # Stored as float16 behind casts: plain constants take the parser's usual way, as in fp16.
        # What is no model of ours, the parser tells better.
        from streamseg.runtime.precision.graph import load_fp32

        with suppress(ModelError):
            onnx = load_fp32(model).SerializeToString()
    workspace = config.workspace_mib
    return BuildRequest(
        onnx=onnx,
        path=str(model),
        ranges={FRAMES: frames_range(config.profile)},
        workspace_bytes=None if workspace is None else workspace * MIB,
        timing_cache=_read(config.timing_cache),
        hardware_compat=config.hardware_compat,
        version_compat=config.version_compat,
        optimization_level=config.optimization_level,
    )


def frames_range(profile: Profile) -> ShapeRange:
    """The shapes of ``frames`` ``[N, H, W, 3]``; a profile says width before height."""
    sizes = (profile.min_size, profile.opt_size, profile.max_size)
    low, best, high = (
        (batch, height, width, 3)
        for batch, (width, height) in zip(profile.batch, sizes, strict=True)
    )
    return ShapeRange(low=low, best=best, high=high)


def _in_thread(work: Callable[[], BuiltPlan | None], watch: Watch) -> BuiltPlan | None:
    """Do the work in a thread and wait for it; an interrupt stops the build and is raised."""
    results: list[BuiltPlan | None] = []
    errors: list[BaseException] = []
    # Not Thread.join: once interrupted, Python 3.11 takes a thread that runs for one that ended.
    done = threading.Event()

    def run() -> None:
        try:
            results.append(work())
        except BaseException as error:
            errors.append(error)
        finally:
            done.set()

    threading.Thread(target=run, name="tensorrt-build", daemon=True).start()
    try:
        while not done.wait(0.2):  # with a timeout, so that signals are handled on every system
            pass
    except BaseException:
        watch.stop()
        done.wait()  # TensorRT still uses the GPU; a second Ctrl-C leaves it to itself
        raise
    if errors:
        raise errors[0]
    return results[0]


def _read(path: Path | None) -> bytes | None:
    if path is None:
        return None
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise EngineError(
            f"{path}: the timing cache cannot be read ({error.strerror}); choose another"
        ) from error


def _save(path: Path, data: bytes | None) -> None:
    """Replace the file when the new one is complete; a build in between is not lost for a disk."""
    if not data:
        return
    partial = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        Path(partial).replace(path)
    except OSError as error:
        if partial is not None:
            Path(partial).unlink(missing_ok=True)
        _warn(
            f"{path}: the timing cache cannot be saved ({error.strerror}); the next build is slow"
        )


def _warn(message: str) -> None:
    warnings.warn(message, RuntimeWarning, stacklevel=3)
