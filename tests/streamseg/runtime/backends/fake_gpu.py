"""A GPU of a few lines: it keeps the protocols of `trt_seam`, and notices what a real one punishes.

What is queued on a stream happens when somebody waits for it, as late as a GPU may be; memory that
is used after it was freed, freed twice or never is an error. The plan labels a pixel by its
strongest channel.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import DeviceMemoryError, EngineError
from streamseg.runtime.backends import trt_seam
from streamseg.runtime.backends.trt_seam import (
    DeviceInfo,
    HostBuffer,
    Shape,
    ShapeRange,
    TensorInfo,
)

Work = Callable[[], None]


class FakeGpu:
    """Keeps `trt_seam.Device`.

    Args:
        memory: bytes it has.
        capture_fails: whether CUDA graphs can be captured.
        before_wait: called at the beginning of each wait; may block or raise.
    """

    def __init__(
        self,
        memory: int = 1 << 30,
        *,
        capture_fails: bool = False,
        before_wait: Callable[[], None] = lambda: None,
    ) -> None:
        self.memory, self.capture_fails, self.before_wait = memory, capture_fails, before_wait
        self.lock = threading.RLock()
        self.addresses = itertools.count(4096, 1 << 32)
        self.device: dict[int, NDArray[np.uint8]] = {}
        self.pinned: set[int] = set()
        self.streams: dict[int, FakeStream] = {}
        self.graphs = 0
        self.launches = 0
        self.captures = 0
        self.most_at_once = 0
        self._waiting = 0

    @property
    def used(self) -> int:
        return sum(array.size for array in self.device.values())

    @property
    def empty(self) -> bool:
        """Everything was given back."""
        return not (self.device or self.pinned or self.streams or self.graphs)

    def info(self) -> DeviceInfo:
        return DeviceInfo(
            name="Fake 1",
            compute_capability=(9, 0),
            cuda_of_driver=(13, 0),
            total_bytes=self.memory,
            free_bytes=self.memory - self.used,
        )

    def stream(self) -> FakeStream:
        return FakeStream(self)

    def host_buffer(self, size: int) -> FakeHostBuffer:
        return FakeHostBuffer(self, size)

    def device_buffer(self, size: int) -> FakeDeviceBuffer:
        with self.lock:
            if self.used + size > self.memory:
                raise DeviceMemoryError(f"allocating {size} bytes of GPU memory: out of memory")
            return FakeDeviceBuffer(self, size)

    def at(self, address: int) -> NDArray[np.uint8]:
        assert address in self.device, "memory used after it was freed"
        return self.device[address]

    def enter_wait(self) -> None:
        with self.lock:
            self._waiting += 1
            self.most_at_once = max(self.most_at_once, self._waiting)
        try:
            self.before_wait()
        finally:
            with self.lock:
                self._waiting -= 1


class FakeDeviceBuffer:
    def __init__(self, gpu: FakeGpu, size: int) -> None:
        self._gpu, self._open = gpu, True
        self._address = next(gpu.addresses)
        gpu.device[self._address] = np.full(size, 255, np.uint8)

    @property
    def address(self) -> int:
        assert self._open, "memory used after it was freed"
        return self._address

    def close(self) -> None:
        if self._open:
            self._open = False
            del self._gpu.device[self._address]


class FakeHostBuffer:
    def __init__(self, gpu: FakeGpu, size: int) -> None:
        self._gpu, self._open = gpu, True
        self._array = np.full(size, 254, np.uint8)
        gpu.pinned.add(id(self))

    @property
    def array(self) -> NDArray[np.uint8]:
        assert self._open, "memory used after it was freed"
        return self._array

    def close(self) -> None:
        if self._open:
            self._open = False
            self._gpu.pinned.remove(id(self))


class FakeGraph:
    def __init__(self, stream: FakeStream, work: list[Work]) -> None:
        self._stream, self._work, self._open = stream, work, True
        stream.gpu.graphs += 1

    def launch(self) -> None:
        assert self._open, "graph used after it was freed"
        self._stream.gpu.launches += 1
        self._stream.queue.extend(self._work)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._stream.gpu.graphs -= 1


class FakeStream:
    def __init__(self, gpu: FakeGpu) -> None:
        self.gpu, self.queue = gpu, list[Work]()
        self._handle = next(gpu.addresses)
        gpu.streams[self._handle] = self

    @property
    def handle(self) -> int:
        return self._handle

    def copy_to_device(self, target: trt_seam.DeviceBuffer, source: HostBuffer, size: int) -> None:
        address = target.address
        self.queue.append(lambda: self._copy(self.gpu.at(address), source.array, size))

    def copy_to_host(self, target: HostBuffer, source: trt_seam.DeviceBuffer, size: int) -> None:
        address = source.address
        self.queue.append(lambda: self._copy(target.array, self.gpu.at(address), size))

    @staticmethod
    def _copy(target: NDArray[np.uint8], source: NDArray[np.uint8], size: int) -> None:
        assert size <= min(target.size, source.size), "copy beyond a buffer's end"
        target[:size] = source[:size]

    def capture(self, work: Work) -> FakeGraph:
        before, self.queue = self.queue, []
        try:
            work()
            recorded = self.queue
        finally:
            self.queue = before
        self.gpu.captures += 1
        if self.gpu.capture_fails:
            raise EngineError("capturing a CUDA graph: CUDA failed")
        return FakeGraph(self, recorded)

    def wait(self) -> None:
        self.gpu.enter_wait()
        queue, self.queue = self.queue, []
        for work in queue:
            work()

    def close(self) -> None:
        assert not self.queue, "stream destroyed with work in it"
        self.gpu.streams.pop(self._handle, None)


class FakePlan:
    """Keeps `trt_seam.Plan`: smallest, best and largest shape of frames; needs scratch memory.

    Args:
        gpu: where it runs.
        low, best, high: shapes ``[N, H, W, 3]``.
        scratch: bytes of scratch memory a pixel.
        tensors: what it says of its inputs and outputs; None is the contract.
    """

    def __init__(
        self,
        gpu: FakeGpu,
        low: Shape = (1, 32, 64, 3),
        best: Shape = (4, 32, 64, 3),
        high: Shape = (8, 32, 64, 3),
        *,
        scratch: int = 10,
        tensors: tuple[TensorInfo, ...] | None = None,
    ) -> None:
        self.gpu, self.scratch = gpu, scratch
        self.range = ShapeRange(low=low, best=best, high=high)
        self.enqueue_fails = False
        self.shapes: list[Shape] = []
        frames = TensorInfo(name="frames", is_input=True, dtype="UINT8", shape=(-1, -1, -1, 3))
        labels = TensorInfo(name="labels", is_input=False, dtype="UINT8", shape=(-1, -1, -1))
        self.tensors = tensors or (frames, labels)

    def shape_range(self, name: str) -> ShapeRange:
        assert name == "frames"
        return self.range

    def create_context(self, stream: int) -> FakeContext:
        assert stream in self.gpu.streams
        return FakeContext(self)


class FakeContext:
    def __init__(self, plan: FakePlan) -> None:
        self._plan = plan
        self._shape: Shape = ()
        self._scratch = (0, 0)
        self._addresses: dict[str, int] = {}

    def set_input_shape(self, name: str, shape: Shape) -> None:
        assert name == "frames"
        if shape not in self._plan.range:
            raise EngineError(f"fake TensorRT does not take frames {list(shape)}")
        self._shape = shape

    def output_shape(self, name: str) -> Shape:
        assert name == "labels"
        return self._shape[:3]

    def scratch_bytes(self) -> int:
        return math.prod(self._shape[:3]) * self._plan.scratch

    def set_scratch(self, address: int, size: int) -> None:
        self._scratch = (address, size)

    def set_address(self, name: str, address: int) -> None:
        self._addresses[name] = address

    def enqueue(self, stream: int) -> None:
        if self._plan.enqueue_fails:
            raise EngineError("fake TensorRT failed")
        address, size = self._scratch
        assert size >= self.scratch_bytes(), "too little scratch memory"
        shape, gpu = self._shape, self._plan.gpu
        frames, labels = self._addresses["frames"], self._addresses["labels"]
        self._plan.shapes.append(shape)

        def run() -> None:
            gpu.at(address)[:] = 7
            pixels = gpu.at(frames)[: math.prod(shape)].reshape(shape)
            gpu.at(labels)[: math.prod(shape[:3])] = pixels.argmax(axis=3).reshape(-1)

        gpu.streams[stream].queue.append(run)
