"""One worker of a TensorRT engine: a stream, a context, and the memory that both use.

Two slots are a double buffer: while one computes, the other's frames are copied to the GPU and its
labels back. A slot is used by one thread at a time; who that is, is the engine's concern. Knows
nothing about batches that are too large or frames of the wrong kind.

Shape legend: N batch, H height, W width.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import DeviceMemoryError, EngineError
from streamseg.runtime.backends.trt_seam import (
    Device,
    DeviceBuffer,
    Graph,
    HostBuffer,
    Plan,
    Shape,
)

FRAMES, LABELS = "frames", "labels"
MIB = 1 << 20
Buffer = TypeVar("Buffer", HostBuffer, DeviceBuffer)


class Slot:
    """A stream with everything that one batch needs.

    Memory grows with the largest batch seen and is given back by `close`. The first batch of a
    shape is queued call by call, the second is recorded as a CUDA graph, and every further one is a
    single launch. A graph holds shapes and addresses, so another shape throws it away.

    Args:
        plan: what to run.
        device: where.

    Raises:
        EngineError: TensorRT or CUDA cannot set it up; nothing is held then.
    """

    def __init__(self, plan: Plan, device: Device) -> None:
        self._device = device
        self._stream = device.stream()
        try:
            self._context = plan.create_context(self._stream.handle)
        except BaseException:
            self._stream.close()
            raise
        self._sizes: dict[str, int] = {}
        self._host: dict[str, HostBuffer] = {}
        self._gpu: dict[str, DeviceBuffer] = {}
        self._shapes: tuple[Shape, Shape] | None = None
        self._runs = 0
        self._graph: Graph | None = None
        self._graphs_work = True

    @property
    def uses_graph(self) -> bool:
        """Whether the last shape is launched as a CUDA graph."""
        return self._graph is not None

    def prepare(self, shape_NHWC: Shape) -> None:
        """Make ready for batches of this shape.

        Raises:
            DeviceMemoryError: the GPU has no room for it; this slot then holds no memory.
            EngineError: the engine does not take it.
        """
        if self._shapes is not None and self._shapes[0] == shape_NHWC:
            return
        self._forget_shape()
        context = self._context
        context.set_input_shape(FRAMES, shape_NHWC)
        labels_NHW = context.output_shape(LABELS)
        if labels_NHW != shape_NHWC[:3]:
            raise EngineError(
                f"the engine makes labels {list(labels_NHW)} of frames {list(shape_NHWC)}; "
                "it is not one of a streamseg model"
            )
        sizes = {
            FRAMES: math.prod(shape_NHWC),
            LABELS: math.prod(labels_NHW),
            "scratch": max(1, context.scratch_bytes()),
        }
        try:
            self._grow(sizes)
        except BaseException as error:
            self._free()
            if isinstance(error, DeviceMemoryError):
                size = sum(sizes.values())
                raise DeviceMemoryError(f"{error}; {self._needs(shape_NHWC, size)}") from error
            raise
        context.set_scratch(self._gpu["scratch"].address, self._sizes["scratch"])
        context.set_address(FRAMES, self._gpu[FRAMES].address)
        context.set_address(LABELS, self._gpu[LABELS].address)
        self._shapes = (shape_NHWC, labels_NHW)

    def run(self, frames_NHWC: NDArray[np.uint8], batch: int) -> NDArray[np.uint8]:
        """Labels of frames, as an array of its own.

        Args:
            frames_NHWC: at least one frame.
            batch: frames that are computed; those beyond the given ones are thrown away.

        Raises:
            DeviceMemoryError: as `prepare`.
            EngineError: TensorRT or CUDA failed; the next run starts afresh.
        """
        self.prepare((batch, *frames_NHWC.shape[1:]))
        assert self._shapes is not None
        given = self._host[FRAMES].array[: frames_NHWC.size]
        np.copyto(given.reshape(frames_NHWC.shape), frames_NHWC)
        try:
            self._submit()
            self._stream.wait()
        except BaseException:
            # Whatever was queued must not write into memory that is used for something else.
            with contextlib.suppress(EngineError):
                self._stream.wait()
            self._forget_shape()
            raise
        self._runs += 1
        labels = self._host[LABELS].array[: math.prod(self._shapes[1])]
        return labels.reshape(self._shapes[1])[: len(frames_NHWC)].copy()

    def close(self) -> None:
        """Give everything back; calling twice is fine."""
        self._forget_shape()
        self._free()
        self._stream.close()

    def _submit(self) -> None:
        # TensorRT may set things up in the first run of a shape, which a graph cannot hold.
        if self._graph is None and self._runs and self._graphs_work:
            try:
                self._graph = self._stream.capture(self._queue)
            except EngineError:
                self._graphs_work = False  # some layers cannot be captured; call by call they run
        if self._graph is not None:
            self._graph.launch()
        else:
            self._queue()

    def _queue(self) -> None:
        assert self._shapes is not None
        frames_bytes, labels_bytes = (math.prod(shape) for shape in self._shapes)
        self._stream.copy_to_device(self._gpu[FRAMES], self._host[FRAMES], frames_bytes)
        self._context.enqueue(self._stream.handle)
        self._stream.copy_to_host(self._host[LABELS], self._gpu[LABELS], labels_bytes)

    def _grow(self, sizes: dict[str, int]) -> None:
        """Make every buffer at least as large as asked for."""
        for name, size in sizes.items():
            if size <= self._sizes.get(name, 0):
                continue
            self._sizes[name] = 0  # until the new ones are there
            if name != "scratch":
                _replace(self._host, name, size, self._device.host_buffer)
            _replace(self._gpu, name, size, self._device.device_buffer)
            self._sizes[name] = size

    def _needs(self, shape_NHWC: Shape, size: int) -> str:
        batch, height, width, _ = shape_NHWC
        info = self._device.info()
        return (
            f"{batch} frames of {width}x{height} need {size / MIB:.0f} MiB, "
            f"{info.free_bytes / MIB:.0f} of the {info.name}'s "
            f"{info.total_bytes / MIB:.0f} MiB are free"
        )

    def _forget_shape(self) -> None:
        if self._graph is not None:
            graph, self._graph = self._graph, None
            graph.close()
        self._shapes = None
        self._runs = 0

    def _free(self) -> None:
        self._sizes.clear()
        for buffers in (self._host, self._gpu):
            while buffers:
                buffers.popitem()[1].close()


def _replace(
    buffers: dict[str, Buffer], name: str, size: int, make: Callable[[int], Buffer]
) -> None:
    """Free the old buffer before making the new one: both at once may not fit."""
    if name in buffers:
        buffers.pop(name).close()
    buffers[name] = make(size)
