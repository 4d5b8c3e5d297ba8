"""TensorRT on an NVIDIA GPU: the backend's three functions, and the engine that runs a plan.

Neither `tensorrt` nor cuda-python is imported with this module: `runtime.backends.trt_api` and
`streamseg.runtime.backends.cuda` are, when a function here needs them. Torch is not needed.

Shape legend: N batch, H height, W width.
"""

from __future__ import annotations

import importlib
import platform
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

from streamseg.closing import ClosedAtExit
from streamseg.errors import EngineError
from streamseg.models.modelfile import ModelHeader
from streamseg.runtime.backends.base import (
    BackendUnavailableError,
    BuildConfig,
    BuildProgress,
    LoadOptions,
)
from streamseg.runtime.backends.names import TENSORRT_INSTALL
from streamseg.runtime.backends.trt_seam import Device, DeviceInfo, Plan, TensorInfo
from streamseg.runtime.backends.trt_slot import FRAMES, LABELS, Slot
from streamseg.runtime.engine import EngineSpec, check_frames, check_labels

SLOTS = 2
"""One computes while the other copies; a third would only wait."""
AMPERE = (8, 0)
DRIVER_FILE = Path("/proc/driver/nvidia/version")


def environment() -> Mapping[str, str]:
    """TensorRT's version, the GPU, its architecture, its driver, the operating system.

    Raises:
        BackendUnavailableError: a package, a library, a driver or a GPU is missing or too old.
    """
    api, device = _load_modules()
    info: DeviceInfo = device.info()
    return {
        "tensorrt": api.version(),
        "gpu": info.name,
        "compute_capability": ".".join(map(str, info.compute_capability)),
        "driver": driver_version(info, DRIVER_FILE),
        "platform": f"{sys.platform}-{platform.machine()}",
    }


def driver_version(info: DeviceInfo, file: Path) -> str:
    """The driver's branch where the system tells it, and the newest CUDA it runs.

    Not its release: security updates change that overnight, and plans do not depend on it.
    """
    cuda = "CUDA " + ".".join(map(str, info.cuda_of_driver))
    try:
        release = re.search(r"\s(\d+\.\d+(\.\d+)?)\s", file.read_text())
    except OSError:
        return cuda
    return f"{release[1].partition('.')[0]} ({cuda})" if release else cuda


def build(
    model: Path, header: ModelHeader, config: BuildConfig, *, progress: BuildProgress
) -> bytes:
    """See `BuildingBackend.build` and `streamseg.runtime.backends.trt_build.build`."""
    api, device = _load_modules()
    from streamseg.runtime.backends import trt_build

    info = device.info()
    if config.hardware_compat == "ampere+" and info.compute_capability < AMPERE:
        raise EngineError(
            f"{info.name}: has compute capability {'.'.join(map(str, info.compute_capability))}, "
            "and plans of --hardware-compat ampere+ begin at 8.0; leave the option out"
        )
    return trt_build.build(api.build_plan, model, config, progress)


def load(payload: bytes, header: ModelHeader, path: Path, options: LoadOptions) -> TensorRTEngine:
    """See `BuildingBackend.load`. The GPU computes: `options.threads` changes nothing."""
    api, device = _load_modules()
    return TensorRTEngine(
        api.LoadedPlan(payload, str(path)),
        device,
        header,
        path,
        options,
        name=f"TensorRT {api.version()}",
    )


class TensorRTEngine(ClosedAtExit):
    """A plan on the GPU, with a double buffer.

    Two slots, each with its own stream, context and memory: two threads may call `infer` at the
    same time, and copies of one overlap the computation of the other. A batch above the plan's
    largest is split, one below its smallest is filled up.

    When the GPU is out of memory, here or in `infer`, `DeviceMemoryError` is raised, the memory of
    the slot is given back, and a smaller batch may be tried: `runtime.choosing.smallerbatch` does
    so, and says it.

    Args:
        plan: a deserialised plan with input ``frames`` and output ``labels``, both uint8.
        device: the GPU it was loaded on.
        header: the model's.
        path: names it in messages.
        options: how it is to be run; low latency is one frame at a time, in one slot.
        name: the backend's name and version, for people.

    Raises:
        DeviceMemoryError: no room for two batches.
        EngineError: not a plan of ours.
    """

    def __init__(
        self,
        plan: Plan,
        device: Device,
        header: ModelHeader,
        path: Path,
        options: LoadOptions,
        *,
        name: str,
    ) -> None:
        _check_tensors(plan.tensors, path)
        self._path = path
        self._range = plan.shape_range(FRAMES)
        low, best, high = (
            shape[0] for shape in (self._range.low, self._range.best, self._range.high)
        )
        wanted = options.batch or (1 if options.low_latency else best)
        self.spec = EngineSpec(
            backend=f"{name}, {device.info().name}",
            model=header,
            path=path,
            batch=min(max(wanted, low), high),
            workers=1 if options.low_latency else SLOTS,
            threads=1 if options.low_latency else SLOTS,
        )
        self._changed = threading.Condition()
        self._slots: list[Slot] = []
        self._free: list[Slot] = []
        self._closed = False
        try:
            for _ in range(self.spec.workers):
                slot = Slot(plan, device)
                self._slots.append(slot)
                slot.prepare((self.spec.batch, *self._range.best[1:]))
        except BaseException:
            self._close_slots()
            raise
        self._free.extend(self._slots)

    def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `Engine.infer`; the returned array is the caller's.

        Raises:
            ValueError: not frames.
            DeviceMemoryError: no room for this many frames of this size; fewer may fit.
            EngineError: a size that the plan was not built for, closed, or the GPU failed.
        """
        check_frames(frames_NHWC, self.spec.model)
        low, high = self._range.low, self._range.high
        height, width = frames_NHWC.shape[1:3]
        if not (low[1] <= height <= high[1] and low[2] <= width <= high[2]):
            raise EngineError(
                f"{self._path}: this engine takes {_sizes(low, high)}, not {width}x{height}; "
                "build one for that size with 'streamseg build-engine --size'"
            )
        parts = []
        with self._slot() as slot:
            for start in range(0, len(frames_NHWC), high[0]):
                part = frames_NHWC[start : start + high[0]]
                parts.append(slot.run(part, max(len(part), low[0])))
        labels_NHW = parts[0] if len(parts) == 1 else np.concatenate(parts)
        check_labels(labels_NHW, frames_NHWC, self.spec.model, self._path)
        return labels_NHW

    def close(self) -> None:
        """Give the GPU's memory back when calls that are under way are done."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: len(self._free) == len(self._slots))
            self._free.clear()
            self._close_slots()

    @contextmanager
    def _slot(self) -> Iterator[Slot]:
        """A slot that nobody else uses; waits for one."""
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._closed)
            if self._closed:
                raise EngineError(f"{self._path}: the engine is closed")
            slot = self._free.pop()
        try:
            yield slot
        finally:
            with self._changed:
                self._free.append(slot)
                self._changed.notify_all()

    def _close_slots(self) -> None:
        while self._slots:
            self._slots.pop().close()


def _check_tensors(tensors: tuple[TensorInfo, ...], path: Path) -> None:
    expected = {(FRAMES, True, "UINT8", 4), (LABELS, False, "UINT8", 3)}
    found = {(t.name, t.is_input, t.dtype, len(t.shape)) for t in tensors}
    if found != expected:
        names = ", ".join(f"{t.name} {t.dtype} {list(t.shape)}" for t in tensors)
        raise EngineError(
            f"{path}: a TensorRT plan, but not of a streamseg model: it has {names or 'nothing'}; "
            "build one with 'streamseg build-engine'"
        )


def _sizes(low: tuple[int, ...], high: tuple[int, ...]) -> str:
    smallest, largest = f"{low[2]}x{low[1]}", f"{high[2]}x{high[1]}"
    return smallest if smallest == largest else f"{smallest} to {largest}"


def _load_modules() -> tuple[ModuleType, Device]:
    """`trt_api`, and the GPU."""
    try:
        cuda = importlib.import_module("streamseg.runtime.backends.cuda")
        api = importlib.import_module("streamseg.runtime.backends.trt_api")
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f"TensorRT is not installed (no module {error.name}); {TENSORRT_INSTALL}"
        ) from error
    except (ImportError, OSError) as error:
        raise BackendUnavailableError(
            f"TensorRT is installed, but does not load ({error}); "
            f"install it again: {TENSORRT_INSTALL}"
        ) from error
    except AttributeError as error:  # names that older releases do not have
        way_out = "a Jetson gets a newer one with JetPack 7" if _is_jetson() else TENSORRT_INSTALL
        raise BackendUnavailableError(
            f"the installed TensorRT is older than 10.12 ({error}); {way_out}"
        ) from error
    api.version()
    device: Device = cuda.Device()
    return api, device


def _is_jetson() -> bool:
    """Whether TensorRT is a part of the system, which no package index replaces."""
    return Path("/etc/nv_tegra_release").exists()
