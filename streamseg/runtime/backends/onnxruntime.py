"""ONNX Runtime on the CPU: the engine that every machine has."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from streamseg.closing import ClosedAtExit
from streamseg.errors import EngineError, ModelError
from streamseg.models.modelfile import ModelHeader
from streamseg.runtime.backends.base import BuildConfig, BuildProgress, LoadOptions
from streamseg.runtime.cpu import cpu_name
from streamseg.runtime.engine import EngineSpec, check_frames, check_labels

MAX_WORKERS = 16
"""Calls at the same time at most: each holds its own feature maps, some 60 MiB at 512x288."""

DISABLED_OPTIMIZERS = ["WeightBiasQuantization"]
"""It quantises the weights of a layer that was left in fp32 between quantised ones, with one scale
for all channels: leaving out one depthwise layer of mbv2 took the agreement from 99.5 to 88 %."""


class OnnxRuntimeEngine(ClosedAtExit):
    """A model file in an ONNX Runtime session.

    Most frames a second come from one thread a frame and several frames at a time: nothing waits
    at the end of each layer for the slowest thread (measured in the whole pipeline on two cores:
    a fifth to a third more frames than two threads on one frame).

    Args:
        path: the model file.
        header: its header.
        options: how it is to be run.
        graph: the model file's bytes, if they are not to be read from `path`.

    Raises:
        ModelError: ONNX Runtime cannot load the graph, or its inputs are not the contract's.
    """

    def __init__(
        self,
        path: Path,
        header: ModelHeader,
        options: LoadOptions,
        *,
        graph: bytes | None = None,
    ) -> None:
        threads = options.cpu_threads
        workers = 1 if options.low_latency else min(threads, MAX_WORKERS)
        self._path = path
        settings = ort.SessionOptions()
        settings.intra_op_num_threads = threads // workers
        settings.inter_op_num_threads = 1
        # Decoder, compositor and encoder need the cores between two inferences: a pool that spins
        # while it waits would take them.
        settings.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Not set: session.x64quantprecision. It keeps int8 products from saturating at 16 bits, at
        # 1.8 times the time with VNNI and 1.4 without; weights that cannot saturate are free, see
        # streamseg.runtime.precision.int8.
        # Nothing: each failure is an exception, too, and its text stands in our sentence.
        settings.log_severity_level = 4
        try:
            self._session: ort.InferenceSession | None = ort.InferenceSession(
                graph or str(path),
                settings,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=DISABLED_OPTIMIZERS,
            )
        except Exception as error:  # ONNX Runtime's own errors share no other base class
            raise ModelError(
                f"{path}: ONNX Runtime {ort.__version__} cannot load this model "
                f"({_first_line(error)}); export it again"
            ) from error
        inputs = [(i.name, i.type) for i in self._session.get_inputs()]
        outputs = [(o.name, o.type) for o in self._session.get_outputs()]
        if inputs != [("frames", "tensor(uint8)")] or outputs != [("labels", "tensor(uint8)")]:
            raise ModelError(
                f"{path}: expected input frames and output labels, both uint8, "
                f"got {inputs} and {outputs}; export it with 'python -m engines export'"
            )
        self.spec = EngineSpec(
            backend=f"ONNX Runtime {ort.__version__}, CPU",
            model=header,
            path=path,
            batch=header.fixed_batch or options.batch or 1,
            workers=workers,
            threads=threads,
        )

    def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `Engine.infer`; the returned array is the caller's."""
        check_frames(frames_NHWC, self.spec.model)
        session = self._session
        if session is None:
            raise EngineError(f"{self._path}: the engine is closed")
        step = self.spec.model.fixed_batch or len(frames_NHWC)
        try:
            parts = [
                session.run(["labels"], {"frames": frames_NHWC[start : start + step]})[0]
                for start in range(0, len(frames_NHWC), step)
            ]
        except Exception as error:  # as above
            raise EngineError(
                f"{self._path}: ONNX Runtime failed on frames "
                f"{list(frames_NHWC.shape)} ({_first_line(error)})"
            ) from error
        labels = parts[0] if len(parts) == 1 else np.concatenate(parts)
        labels_NHW = np.asarray(labels, dtype=np.uint8)
        check_labels(labels_NHW, frames_NHWC, self.spec.model, self._path)
        return labels_NHW

    def close(self) -> None:
        """Free the session (when calls that are under way are done)."""
        self._session = None


def environment() -> Mapping[str, str]:
    """What a proof on this machine holds for: another processor makes another precision pay."""
    return {
        "onnxruntime": ort.__version__,
        "cpu": cpu_name(),
        "platform": f"{platform.system()}-{platform.machine()}",
    }


def build(
    model: Path, header: ModelHeader, config: BuildConfig, *, progress: BuildProgress
) -> bytes:
    """The model file itself, once ONNX Runtime has shown that it takes it.

    Its optimised graph is not kept: that saves 30 ms at each start and doubles the file.

    Raises:
        ModelError: ONNX Runtime cannot load it.
        OSError: it cannot be read.
    """
    progress("loading", 0, 1)
    graph = model.read_bytes()
    OnnxRuntimeEngine(model, header, LoadOptions(threads=1), graph=graph).close()
    progress("loading", 1, 1)
    return graph


def load(
    payload: bytes, header: ModelHeader, path: Path, options: LoadOptions
) -> OnnxRuntimeEngine:
    """See `streamseg.runtime.backends.base.BuildingBackend.load`."""
    return OnnxRuntimeEngine(path, header, options, graph=payload)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
