"""ONNX Runtime on the CPU: the engine that every machine has."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from streamseg.engine import EngineSpec, check_frames
from streamseg.errors import EngineError, ModelError
from streamseg.modelfile import ModelHeader

THREADS_PER_SESSION = 4
"""A frame is too little work for more threads than this; further cores take further frames."""


class OnnxRuntimeEngine:
    """A model file in one ONNX Runtime session, or in several on a machine of many cores.

    Args:
        path: the model file.
        header: its header.
        threads: CPU threads to compute with, over all sessions.
        batch: frames per call (default 1: on a CPU a larger batch only adds latency).
        low_latency: one session with all threads: a frame is done sooner, fewer are done a second.

    Raises:
        ModelError: ONNX Runtime cannot load the graph, or its inputs are not the contract's.
    """

    def __init__(
        self,
        path: Path,
        header: ModelHeader,
        *,
        threads: int,
        batch: int | None = None,
        low_latency: bool = False,
    ) -> None:
        sessions = 1 if low_latency else max(1, threads // THREADS_PER_SESSION)
        self._path = path
        self._threads_per_session = threads // sessions
        # The first session shows that the file loads; the others are made when a second, third …
        # call comes while all are busy, so that a start on many cores is as quick as on few.
        first = self._open_session()
        self._idle: queue.SimpleQueue[ort.InferenceSession] = queue.SimpleQueue()
        self._idle.put(first)
        self._unopened = sessions - 1
        self._closed = False
        self._lock = threading.Lock()
        inputs = [(i.name, i.type) for i in first.get_inputs()]
        outputs = [(o.name, o.type) for o in first.get_outputs()]
        if inputs != [("frames", "tensor(uint8)")] or outputs != [("labels", "tensor(uint8)")]:
            raise ModelError(
                f"{path}: expected input frames and output labels, both uint8, "
                f"got {inputs} and {outputs}; export it with 'python -m engines export'"
            )
        self.spec = EngineSpec(
            backend=f"ONNX Runtime {ort.__version__}, CPU",
            model=header,
            path=path,
            batch=batch or 1,
            workers=sessions,
            threads=threads,
        )

    def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `Engine.infer`; the returned array is the caller's."""
        check_frames(frames_NHWC)
        if self._closed:
            raise EngineError(f"{self._path}: the engine is closed")
        session = self._take_session()
        try:
            (labels,) = session.run(["labels"], {"frames": frames_NHWC})
        except Exception as error:  # as above
            raise EngineError(
                f"{self._path}: ONNX Runtime failed on frames "
                f"{list(frames_NHWC.shape)} ({_first_line(error)})"
            ) from error
        finally:
            self._idle.put(session)
        return np.asarray(labels, dtype=np.uint8)

    def _take_session(self) -> ort.InferenceSession:
        """An idle session; a new one if all are busy and there may be more; else wait."""
        try:
            return self._idle.get_nowait()
        except queue.Empty:
            with self._lock:
                may_open = self._unopened > 0
                self._unopened -= may_open
            return self._open_session() if may_open else self._idle.get()

    def _open_session(self) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self._threads_per_session
        options.inter_op_num_threads = 1
        # Decoder, compositor and encoder need the cores between two inferences: a pool that spins
        # while it waits would take them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        try:
            return ort.InferenceSession(
                str(self._path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's own errors share no other base class
            raise ModelError(
                f"{self._path}: ONNX Runtime {ort.__version__} cannot load this model "
                f"({_first_line(error)}); export it again"
            ) from error

    def close(self) -> None:
        """Free the sessions."""
        self._closed = True
        while not self._idle.empty():
            self._idle.get_nowait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
