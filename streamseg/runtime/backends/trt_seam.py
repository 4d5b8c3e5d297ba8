"""What the TensorRT backend needs of TensorRT and of the GPU: data, and protocols to fake.

`runtime.backends.trt_api` keeps the protocols with TensorRT's bindings, `runtime.backends.cuda`
with cuda-python; tests keep them with a few lines of Python. Nothing here imports either.

Addresses and stream handles are plain integers. Shapes are tuples in the model file's order:
``frames`` is ``(N, H, W, 3)``, ``labels`` is ``(N, H, W)``, both uint8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Shape: TypeAlias = tuple[int, ...]
HardwareCompat: TypeAlias = Literal["none", "ampere+", "same-cc"]


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceInfo:
    """The GPU that work goes to."""

    name: str
    compute_capability: tuple[int, int]
    cuda_of_driver: tuple[int, int]
    """Newest CUDA version that the driver runs."""
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorInfo:
    """An input or output of an engine; a dimension of -1 is chosen at run time."""

    name: str
    is_input: bool
    dtype: str
    """TensorRT's name, e.g. ``UINT8``."""
    shape: Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class ShapeRange:
    """Smallest, best and largest shape of one input."""

    low: Shape
    best: Shape
    high: Shape

    def __contains__(self, shape: Shape) -> bool:
        return len(shape) == len(self.low) and all(
            low <= side <= high for low, side, high in zip(self.low, shape, self.high, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """Everything that `trt_api.build_plan` is told."""

    onnx: bytes
    path: str
    """Where the graph is from: for messages, and for weights stored beside it."""
    ranges: dict[str, ShapeRange]
    """Per input with dynamic dimensions."""
    workspace_bytes: int | None = None
    timing_cache: bytes | None = None
    """None: none is kept. Empty: a new one is begun."""
    hardware_compat: HardwareCompat = "none"
    version_compat: bool = False
    optimization_level: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltPlan:
    """What `trt_api.build_plan` returns."""

    plan: bytes
    timing_cache: bytes | None
    """The given one, extended; None if none was asked for."""
    timing_cache_rejected: bool = False
    """The given one was of another version or GPU, or broken: a new one was begun."""
    warnings: tuple[str, ...] = ()


class BuildMonitor(Protocol):
    """Watches a build. Called from any of TensorRT's threads; no member ever raises."""

    @property
    def stopped(self) -> bool:
        """Whether the build was told to stop."""
        ...

    def start(self, phase: str, steps: int) -> None:
        """A phase of so many steps begins."""
        ...

    def step(self, phase: str, step: int) -> bool:
        """Step number `step` (from 0) is done; False stops the build."""
        ...

    def finish(self, phase: str) -> None:
        """The phase is over, with all its steps or without."""
        ...


class Context(Protocol):
    """One execution context: it runs one batch at a time, in memory it is given."""

    def set_input_shape(self, name: str, shape: Shape) -> None:
        """Choose an input's dimensions. Raises EngineError if the engine does not take them."""
        ...

    def output_shape(self, name: str) -> Shape:
        """An output's dimensions for the chosen inputs'."""
        ...

    def scratch_bytes(self) -> int:
        """Scratch memory needed for the chosen shapes."""
        ...

    def set_scratch(self, address: int, size: int) -> None:
        """Give it scratch memory; it must live as long as work in it is under way."""
        ...

    def set_address(self, name: str, address: int) -> None:
        """Where an input is read or an output is written."""
        ...

    def enqueue(self, stream: int) -> None:
        """Queue one run on a stream. Raises EngineError if TensorRT refuses."""
        ...


class Plan(Protocol):
    """A deserialised engine."""

    @property
    def tensors(self) -> tuple[TensorInfo, ...]:
        """Its inputs and outputs."""
        ...

    def shape_range(self, name: str) -> ShapeRange:
        """What an input's dimensions may be."""
        ...

    def create_context(self, stream: int) -> Context:
        """A context without memory, for work on one stream; several may run at the same time."""
        ...


class HostBuffer(Protocol):
    """Page-locked memory of this computer: the GPU copies from and to it by itself."""

    @property
    def array(self) -> NDArray[np.uint8]:
        """All of it, ``[bytes]``; never touch it after `close`."""
        ...

    def close(self) -> None:
        """Give it back; calling twice is fine."""
        ...


class DeviceBuffer(Protocol):
    """Memory of the GPU."""

    @property
    def address(self) -> int:
        """Where it is; never use it after `close`."""
        ...

    def close(self) -> None:
        """Give it back; calling twice is fine."""
        ...


class Graph(Protocol):
    """Work recorded once, launched as one."""

    def launch(self) -> None:
        """Queue it on the stream that it was captured on."""
        ...

    def close(self) -> None:
        """Give it back; calling twice is fine."""
        ...


class Stream(Protocol):
    """Work that the GPU does in order, beside other streams' work."""

    @property
    def handle(self) -> int:
        """What TensorRT is given."""
        ...

    def copy_to_device(self, target: DeviceBuffer, source: HostBuffer, size: int) -> None:
        """Queue a copy of the first `size` bytes."""
        ...

    def copy_to_host(self, target: HostBuffer, source: DeviceBuffer, size: int) -> None:
        """Queue a copy of the first `size` bytes."""
        ...

    def capture(self, work: Callable[[], None]) -> Graph:
        """Record what `work` queues instead of doing it."""
        ...

    def wait(self) -> None:
        """Sleep until everything queued is done. Raises EngineError if any of it failed."""
        ...

    def close(self) -> None:
        """Give it back; calling twice is fine."""
        ...


class Device(Protocol):
    """The GPU."""

    def info(self) -> DeviceInfo:
        """Its name and sizes, as of now."""
        ...

    def stream(self) -> Stream:
        """A new stream."""
        ...

    def host_buffer(self, size: int) -> HostBuffer:
        """Page-locked memory of `size` bytes."""
        ...

    def device_buffer(self, size: int) -> DeviceBuffer:
        """Memory of `size` bytes. Raises DeviceMemoryError (`streamseg.errors`)."""
        ...
