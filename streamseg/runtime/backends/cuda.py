"""CUDA's runtime through cuda-python: the only module that touches it.

Import it lazily: it imports `cuda.bindings`, which only the extra ``tensorrt`` brings.
Every call's error code becomes an `EngineError`; running out of memory is one of its own. Keeps the
protocols of `streamseg.runtime.backends.trt_seam`; knows nothing about TensorRT.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable
from typing import TypeAlias, TypeVar, overload

import numpy as np
from cuda.bindings import runtime
from numpy.typing import NDArray

from streamseg.errors import DeviceMemoryError, EngineError
from streamseg.runtime.backends import trt_seam
from streamseg.runtime.backends.base import BackendUnavailableError
from streamseg.runtime.backends.names import TENSORRT_CUDA12_INSTALL
from streamseg.runtime.backends.trt_seam import DeviceInfo

T = TypeVar("T")
Code: TypeAlias = runtime.cudaError_t

DEVICE = 0
"""The first GPU that CUDA_VISIBLE_DEVICES lets through."""
OUT_OF_MEMORY = (runtime.cudaError_t.cudaErrorMemoryAllocation,)
NO_GPU = (
    runtime.cudaError_t.cudaErrorNoDevice,
    runtime.cudaError_t.cudaErrorInsufficientDriver,
    runtime.cudaError_t.cudaErrorSystemDriverMismatch,
    runtime.cudaError_t.cudaErrorInitializationError,
)


@overload
def check(result: tuple[Code], what: str) -> None: ...
@overload
def check(result: tuple[Code, T], what: str) -> T: ...
def check(result: tuple[Code] | tuple[Code, T], what: str) -> T | None:
    """The value of a runtime call, which returns ``(code, value ...)``.

    Raises:
        DeviceMemoryError: the code says so.
        BackendUnavailableError: there is no GPU, or no driver that is new enough.
        EngineError: any other code than success.
    """
    code = result[0]
    if code == runtime.cudaError_t.cudaSuccess:
        return result[1] if len(result) == 2 else None
    if code in OUT_OF_MEMORY:
        # The error is kept per thread until it is read; the next launch would report it again.
        runtime.cudaGetLastError()
        raise DeviceMemoryError(f"{what}: out of memory")
    if code in NO_GPU:
        raise BackendUnavailableError(_no_gpu(code))
    raise EngineError(f"{what}: CUDA failed ({_words(code)})")


def _words(code: Code) -> str:
    _, words = runtime.cudaGetErrorString(code)
    return f"{code.name}: {words.decode(errors='replace')}"


def _no_gpu(code: Code) -> str:
    driver = _version(runtime.cudaDriverGetVersion())
    needed = _version(runtime.cudaRuntimeGetVersion())
    if driver == (0, 0):
        return "no NVIDIA driver was found; install one, or use another engine"
    if code == runtime.cudaError_t.cudaErrorNoDevice:
        return "the NVIDIA driver shows no GPU; see CUDA_VISIBLE_DEVICES and nvidia-smi"
    if code == runtime.cudaError_t.cudaErrorInsufficientDriver:
        return (
            f"the NVIDIA driver is too old: it runs CUDA {driver[0]}.{driver[1]}, "
            f"cuda-python needs {needed[0]}.{needed[1]}; install a newer driver"
            + (f", or {TENSORRT_CUDA12_INSTALL}" if driver[0] == 12 < needed[0] else "")
        )
    return f"the NVIDIA driver does not start ({_words(code)}); see nvidia-smi"


def _version(result: tuple[Code, int]) -> tuple[int, int]:
    number = result[1] or 0  # None where the call failed
    return number // 1000, number % 1000 // 10


class Device:
    """The GPU. Making one is cheap; the first call that needs the GPU starts the driver.

    Raises:
        BackendUnavailableError: no GPU, no driver, or one that is too old.
    """

    def __init__(self) -> None:
        if check(runtime.cudaGetDeviceCount(), "counting GPUs") < 1:
            raise BackendUnavailableError(_no_gpu(runtime.cudaError_t.cudaErrorNoDevice))
        check(runtime.cudaSetDevice(DEVICE), "choosing a GPU")

    def info(self) -> DeviceInfo:
        """See `trt_seam.Device.info`."""
        properties = check(runtime.cudaGetDeviceProperties(DEVICE), "asking for the GPU's name")
        code, free, total = runtime.cudaMemGetInfo()
        check((code,), "asking for the GPU's free memory")
        return DeviceInfo(
            name=properties.name.decode(errors="replace").rstrip("\0"),
            compute_capability=(properties.major, properties.minor),
            cuda_of_driver=_version(runtime.cudaDriverGetVersion()),
            total_bytes=total,
            free_bytes=free,
        )

    def stream(self) -> Stream:
        """A new stream."""
        return Stream()

    def host_buffer(self, size: int) -> HostBuffer:
        """New page-locked memory."""
        return HostBuffer(size)

    def device_buffer(self, size: int) -> DeviceBuffer:
        """New memory of the GPU."""
        return DeviceBuffer(size)


class HostBuffer:
    """See `trt_seam.HostBuffer`."""

    def __init__(self, size: int) -> None:
        what = f"allocating {size} bytes of page-locked memory"
        self._address: int | None = int(check(runtime.cudaHostAlloc(size, 0), what))
        memory = (ctypes.c_uint8 * size).from_address(self._address)
        self._array: NDArray[np.uint8] = np.ctypeslib.as_array(memory)

    @property
    def array(self) -> NDArray[np.uint8]:
        """See `trt_seam.HostBuffer.array`."""
        assert self._address is not None, "closed"
        return self._array

    def close(self) -> None:
        """Free it; calling twice is fine."""
        if self._address is not None:
            address, self._address = self._address, None
            self._array = np.empty(0, np.uint8)
            check(runtime.cudaFreeHost(address), "freeing page-locked memory")


class DeviceBuffer:
    """See `trt_seam.DeviceBuffer`."""

    def __init__(self, size: int) -> None:
        what = f"allocating {size} bytes of GPU memory"
        self._address: int | None = int(check(runtime.cudaMalloc(size), what))

    @property
    def address(self) -> int:
        """Where it is."""
        assert self._address is not None, "closed"
        return self._address

    def close(self) -> None:
        """Free it; calling twice is fine."""
        if self._address is not None:
            address, self._address = self._address, None
            check(runtime.cudaFree(address), "freeing GPU memory")


class Graph:
    """See `trt_seam.Graph`."""

    def __init__(self, graph: runtime.cudaGraph_t, stream: Stream) -> None:
        self._stream = stream
        self._executable: runtime.cudaGraphExec_t | None = check(
            runtime.cudaGraphInstantiate(graph, 0), "preparing a CUDA graph"
        )

    def launch(self) -> None:
        """See `trt_seam.Graph.launch`."""
        assert self._executable is not None, "closed"
        result = runtime.cudaGraphLaunch(self._executable, self._stream.handle)
        check(result, "launching a CUDA graph")

    def close(self) -> None:
        """Free it; calling twice is fine."""
        if self._executable is not None:
            executable, self._executable = self._executable, None
            check(runtime.cudaGraphExecDestroy(executable), "freeing a CUDA graph")


class Stream:
    """See `trt_seam.Stream`. It does not wait for the default stream's work, nor that for its."""

    def __init__(self) -> None:
        flags = runtime.cudaStreamNonBlocking
        self._stream: runtime.cudaStream_t = check(
            runtime.cudaStreamCreateWithFlags(flags), "creating a CUDA stream"
        )
        self._closed = False
        # cudaStreamSynchronize would spin on a core that the decoder and the encoder need.
        flags = runtime.cudaEventBlockingSync | runtime.cudaEventDisableTiming
        self._done = check(runtime.cudaEventCreateWithFlags(flags), "creating a CUDA event")

    @property
    def handle(self) -> int:
        """The ``cudaStream_t``."""
        return int(self._stream)

    def copy_to_device(
        self, target: trt_seam.DeviceBuffer, source: trt_seam.HostBuffer, size: int
    ) -> None:
        """See `trt_seam.Stream.copy_to_device`."""
        kind = runtime.cudaMemcpyKind.cudaMemcpyHostToDevice
        address = source.array.ctypes.data
        result = runtime.cudaMemcpyAsync(target.address, address, size, kind, self._stream)
        check(result, "copying frames to the GPU")

    def copy_to_host(
        self, target: trt_seam.HostBuffer, source: trt_seam.DeviceBuffer, size: int
    ) -> None:
        """See `trt_seam.Stream.copy_to_host`."""
        kind = runtime.cudaMemcpyKind.cudaMemcpyDeviceToHost
        address = target.array.ctypes.data
        result = runtime.cudaMemcpyAsync(address, source.address, size, kind, self._stream)
        check(result, "copying labels from the GPU")

    def capture(self, work: Callable[[], None]) -> Graph:
        """See `trt_seam.Stream.capture`.

        Raises:
            EngineError: something in `work` cannot be captured; the stream is as before.
        """
        # Only this thread's calls: another worker may be allocating memory meanwhile.
        mode = runtime.cudaStreamCaptureMode.cudaStreamCaptureModeThreadLocal
        check(runtime.cudaStreamBeginCapture(self._stream, mode), "capturing a CUDA graph")
        try:
            work()
        except BaseException:
            # Ends the capture, whatever it is worth; the caller gets the first error.
            runtime.cudaStreamEndCapture(self._stream)
            runtime.cudaGetLastError()
            raise
        try:
            graph = check(runtime.cudaStreamEndCapture(self._stream), "capturing a CUDA graph")
        except EngineError:
            runtime.cudaGetLastError()
            raise
        try:
            return Graph(graph, self)
        finally:
            runtime.cudaGraphDestroy(graph)

    def wait(self) -> None:
        """See `trt_seam.Stream.wait`."""
        check(runtime.cudaEventRecord(self._done, self._stream), "queueing work on the GPU")
        check(runtime.cudaEventSynchronize(self._done), "waiting for the GPU")

    def close(self) -> None:
        """Free it; calling twice is fine."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(EngineError):  # a failed stream was reported by `wait`
                check(runtime.cudaEventDestroy(self._done), "freeing a CUDA event")
                check(runtime.cudaStreamDestroy(self._stream), "freeing a CUDA stream")
