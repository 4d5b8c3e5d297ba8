"""PyTorch: a `torch.export` program, compiled ahead of time for this machine, without its source.

The program (``.pt2``, from ``python -m engines export --format both``) stands beside the ONNX
model file. `build` hands it to `runtime.backends.torch_build`; `load` runs what came out: a
package of AOTInductor, or a program as it is. Torch is imported by the functions, not with the
module.

Shape legend: N batch, H height, W width.
"""

from __future__ import annotations

import io
import json
import platform
import queue
import sys
import threading
import zipfile
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from streamseg.closing import ClosedAtExit
from streamseg.errors import DeviceMemoryError, EngineError
from streamseg.models.modelfile import ModelHeader
from streamseg.runtime.backends.base import (
    BackendUnavailableError,
    BuildConfig,
    BuildProgress,
    LoadOptions,
)
from streamseg.runtime.backends.torch_program import (
    BUILD_KEY,
    PROGRAM_SUFFIX,
    archive_member,
    quiet,
)
from streamseg.runtime.cpu import cpu_features, cpu_name
from streamseg.runtime.engine import EngineSpec, check_frames, check_labels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

MAX_WORKERS = 16
"""Calls at the same time on the CPU: each holds its own feature maps."""
CUDA_LANES = 2
"""One computes while the other copies."""

Network: TypeAlias = "Callable[[Tensor], Tensor]"
Lane: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""Runs one call at a time."""


def environment() -> Mapping[str, str]:
    """Torch's version, the device and what it can do, the operating system.

    Raises:
        BackendUnavailableError: torch is not installed, or does not load.
    """
    torch = import_torch()
    known = {"torch": str(torch.__version__), "platform": f"{sys.platform}-{platform.machine()}"}
    # On a GPU, too, a part of the package is code for this processor.
    known |= {"processor": cpu_name(), "instructions": " ".join(cpu_features())}
    if torch.cuda.is_available():
        major, minor = torch.cuda.get_device_capability()
        return known | {
            "device": f"CUDA {torch.version.cuda}",
            "gpu": torch.cuda.get_device_name(),
            "compute_capability": f"{major}.{minor}",
        }
    return known | {"device": "CPU"}


def build(
    model: Path, header: ModelHeader, config: BuildConfig, *, progress: BuildProgress
) -> bytes:
    """See `BuildingBackend.build` and `streamseg.runtime.backends.torch_build.build`."""
    import_torch()
    from streamseg.runtime.backends import torch_build

    return torch_build.build(model, header, config, progress=progress)


def load(payload: bytes, header: ModelHeader, path: Path, options: LoadOptions) -> TorchEngine:
    """See `BuildingBackend.load`; `payload` may also be a program as it was exported."""
    return TorchEngine(payload, header, path, options)


def import_torch() -> ModuleType:
    """Torch.

    Raises:
        BackendUnavailableError: it is not installed, or does not load.
    """
    try:
        import torch
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f"PyTorch is not installed (no module {error.name}); pip install torch"
        ) from error
    except (ImportError, OSError) as error:
        raise BackendUnavailableError(
            f"PyTorch is installed, but does not load ({error}); install it again: "
            "pip install --force-reinstall torch"
        ) from error
    return torch


class TorchEngine(ClosedAtExit):
    """A compiled package or a program, on the GPU if it was built for one, else on the CPU.

    CPU: as many calls at a time as there are threads, one thread each (for low latency: one call on
    all threads). Torch's number of threads is set for the calling thread. GPU: two lanes, each
    with its stream and pinned buffers, so that copies of one overlap the computation of the other.

    Args:
        payload: what `build` made, or the bytes of a program.
        header: the model's.
        path: names it in messages.
        options: how it is to be run.

    Raises:
        BackendUnavailableError: torch, or the GPU it was built for, is missing.
        EngineError: the payload is broken.
    """

    def __init__(
        self,
        payload: bytes,
        header: ModelHeader,
        path: Path,
        options: LoadOptions,
    ) -> None:
        torch = import_torch()
        self._path = path
        compiled, self._built = _contents(payload, path)
        on_gpu = self._built.get("device") == "cuda"
        if on_gpu and not torch.cuda.is_available():
            raise BackendUnavailableError(
                f"{path}: built for a GPU, and torch finds none here; run 'streamseg doctor'"
            )
        batch, threads, low_latency = options.batch, options.cpu_threads, options.low_latency
        workers = 1 if low_latency else CUDA_LANES if on_gpu else min(threads, MAX_WORKERS)
        with _translated(path, "cannot be loaded"):
            network = _open(torch, payload, compiled, workers)
            self._lanes: queue.SimpleQueue[Lane] = queue.SimpleQueue()
            for _ in range(workers):
                self._lanes.put(
                    _GpuLane(network) if on_gpu else _CpuLane(network, threads // workers)
                )
        self._closed = False
        largest = self._built.get("max_batch", batch or 1)
        best = 1 if low_latency or not on_gpu else self._built.get("opt_batch", 1)
        how = "" if compiled else ", not compiled"
        device = torch.cuda.get_device_name() if on_gpu else "CPU"
        self.spec = EngineSpec(
            backend=f"PyTorch {torch.__version__}, {device}{how}",
            model=header,
            path=path,
            batch=min(batch or best, largest),
            workers=workers,
            threads=workers if on_gpu else threads,
        )

    def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `Engine.infer`. More frames than the engine was built for are split.

        Raises:
            ValueError: not frames.
            DeviceMemoryError: no room for this many frames.
            EngineError: a size that it was not built for, closed, or torch failed.
        """
        check_frames(frames_NHWC, self.spec.model)
        self._check_size(frames_NHWC.shape[2], frames_NHWC.shape[1])
        step = self._built.get("max_batch", len(frames_NHWC))
        lane = self._lanes.get()
        try:
            # Asked with the lane in hand: `close` may have come while this call waited for it.
            if self._closed:
                raise EngineError(f"{self._path}: the engine is closed")
            parts = [
                self._run(lane, frames_NHWC[start : start + step])
                for start in range(0, len(frames_NHWC), step)
            ]
        finally:
            self._lanes.put(lane)
        labels_NHW = parts[0] if len(parts) == 1 else np.concatenate(parts)
        check_labels(labels_NHW, frames_NHWC, self.spec.model, self._path)
        return labels_NHW

    def _run(self, lane: Lane, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """One call; a batch that fails where a single frame does not was too large.

        Compiled code says of no failure what it was: its calls give a code, without a word.
        """
        what = f"failed on frames {list(frames_NHWC.shape)}"
        try:
            with _translated(self._path, what):
                return lane(frames_NHWC)
        except DeviceMemoryError:
            raise
        except EngineError as error:
            if self._built.get("device") != "cuda" or len(frames_NHWC) == 1:
                raise
            import_torch().cuda.empty_cache()
            try:
                lane(frames_NHWC[:1])
            except Exception:  # not the batch, then: the first error is the one to tell
                raise error from None
            raise DeviceMemoryError(
                f"{self._path}: the GPU is out of memory, as it seems: it {what}, and runs one of "
                "them; use a smaller --batch or --size"
            ) from error

    def close(self) -> None:
        """Free the network when calls that are under way are done."""
        if self._closed:
            return
        self._closed = True
        for _ in range(self.spec.workers):
            self._lanes.get()
        # Whoever comes later finds a lane, and then that the engine is closed.
        for _ in range(self.spec.workers):
            self._lanes.put(np.asarray)

    def _check_size(self, width: int, height: int) -> None:
        # A package compiled for one size reads beyond the buffers of another: nobody else checks.
        low, high = self._built.get("min_size"), self._built.get("max_size")
        if low and high and not (low[0] <= width <= high[0] and low[1] <= height <= high[1]):
            sizes = f"{low[0]}x{low[1]}"
            if low != high:
                sizes += f" to {high[0]}x{high[1]}"
            raise EngineError(
                f"{self._path}: this engine takes {sizes}, not {width}x{height}; build one for "
                "that size with 'streamseg build-engine --size'"
            )


class _CpuLane:
    """Runs calls on some threads."""

    def __init__(self, network: Network, threads: int) -> None:
        self._network, self._threads = network, threads

    def __call__(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        import torch

        # OpenMP keeps the number of threads per calling thread, and pipelines bring their own.
        if getattr(_of_this_thread, "threads", None) != self._threads:
            torch.set_num_threads(self._threads)
            _of_this_thread.threads = self._threads
        frames = np.require(frames_NHWC, requirements=["C", "W"])  # torch has no read-only tensors
        with torch.inference_mode():
            labels = self._network(torch.from_numpy(frames))
        return np.asarray(labels.numpy(), np.uint8)


_of_this_thread = threading.local()


class _GpuLane:
    """A stream with pinned buffers: copies overlap the computation of another lane."""

    def __init__(self, network: Network) -> None:
        import torch

        self._network = network
        self._stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        # Waiting for the stream would spin on a core that the decoder and the encoder need.
        self._done = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
        self._buffers: dict[str, Tensor] = {}

    def __call__(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        import torch

        source = self._pinned("frames", frames_NHWC.shape)
        source.numpy()[...] = frames_NHWC
        with torch.inference_mode(), torch.cuda.stream(self._stream):
            labels = self._network(source.to("cuda", non_blocking=True))
            target = self._pinned("labels", tuple(labels.shape))
            target.copy_(labels, non_blocking=True)
            self._done.record(self._stream)
        self._done.synchronize()
        return np.array(target.numpy())

    def _pinned(self, name: str, shape: tuple[int, ...]) -> Tensor:
        import torch

        count = int(np.prod(shape))
        if name not in self._buffers or self._buffers[name].numel() < count:
            self._buffers[name] = torch.empty(count, dtype=torch.uint8, pin_memory=True)
        return self._buffers[name][:count].view(shape)


def _contents(payload: bytes, path: Path) -> tuple[bool, dict[str, Any]]:
    """Whether a payload is compiled, and what it was built with."""
    try:
        with zipfile.ZipFile(io.BytesIO(payload)) as archive:
            compiled = any("/data/aotinductor/" in name for name in archive.namelist())
            if compiled:
                text = archive_member(archive, "wrapper_metadata.json")
                text = json.loads(text or "{}").get(BUILD_KEY)
            else:
                text = archive_member(archive, f"/extra/{BUILD_KEY}")
            return compiled, json.loads(text) if text else {}
    except (zipfile.BadZipFile, ValueError) as error:
        raise EngineError(
            f"{path}: not an engine that streamseg built with torch ({error}); build it again"
        ) from error


def _open(torch: ModuleType, payload: bytes, compiled: bool, workers: int) -> Network:
    file = io.BytesIO(payload)
    with quiet():
        if not compiled:
            program: Network = torch.export.load(file).module()
            return program
        from torch._inductor.package.package import load_package

        package: Network = load_package(file, run_single_threaded=False, num_runners=workers)
        return package


@contextmanager
def _translated(path: Path, what: str) -> Iterator[None]:
    import torch

    try:
        yield
    except torch.OutOfMemoryError as error:
        raise DeviceMemoryError(
            f"{path}: the GPU is out of memory; use a smaller --batch or --size"
        ) from error
    except Exception as error:  # torch's errors share no other base class
        text = str(error).strip().splitlines()
        again = "export the program" if path.suffix == PROGRAM_SUFFIX else "build the engine"
        raise EngineError(
            f"{path}: {what} with PyTorch {torch.__version__} "
            f"({text[0] if text else type(error).__name__}); {again} again"
        ) from error
