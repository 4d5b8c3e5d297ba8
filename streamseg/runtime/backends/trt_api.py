"""TensorRT (10.12 and newer, 11): the only module that touches its bindings.

Import it lazily: it imports `tensorrt`, which only the extra ``tensorrt`` brings. One
code path for both major versions: networks are strongly typed, so that precision lives in the graph
and no builder flag that 11 has dropped is needed. Keeps the protocols of
`runtime.backends.trt_seam`; knows nothing about files, caches or how GPU memory is allocated.

Every name used here is declared in ``typings/tensorrt`` (mypy sees to it), and every name declared
there is held against real bindings by ``tests/streamseg/backends/test_tensorrt_contract.py``.
"""

from __future__ import annotations

import threading

import tensorrt as trt

from streamseg.errors import DeviceMemoryError, EngineError, says_out_of_memory
from streamseg.runtime.backends.base import BackendUnavailableError
from streamseg.runtime.backends.names import TENSORRT_INSTALL
from streamseg.runtime.backends.trt_seam import (
    BuildMonitor,
    BuildRequest,
    BuiltPlan,
    Shape,
    ShapeRange,
    TensorInfo,
)

OLDEST = (10, 12)
"""Strong typing is complete from here."""
NEWEST_MAJOR = 11
KEPT_MESSAGES = 200

COMPATIBILITY = {
    "none": trt.HardwareCompatibilityLevel.NONE,
    "ampere+": trt.HardwareCompatibilityLevel.AMPERE_PLUS,
    "same-cc": trt.HardwareCompatibilityLevel.SAME_COMPUTE_CAPABILITY,
}


def version() -> str:
    """The bindings' version, e.g. ``10.16.1.11``.

    Raises:
        BackendUnavailableError: older or newer than what this module was written for.
    """
    parts = tuple(int(part) for part in trt.__version__.split(".")[:2])
    if parts < OLDEST or parts[0] > NEWEST_MAJOR:
        raise BackendUnavailableError(
            f"TensorRT {trt.__version__} is installed, {OLDEST[0]}.{OLDEST[1]} to "
            f"{NEWEST_MAJOR}.x is needed; {TENSORRT_INSTALL}"
        )
    return trt.__version__


class Messages(trt.ILogger):
    """TensorRT's messages, kept instead of printed."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._errors: list[str] = []
        self._warnings: list[str] = []

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        """Called by TensorRT, from any thread."""
        if severity in (trt.ILogger.Severity.ERROR, trt.ILogger.Severity.INTERNAL_ERROR):
            kept = self._errors
        elif severity == trt.ILogger.Severity.WARNING:
            kept = self._warnings
        else:
            return
        with self._lock:
            if len(kept) < KEPT_MESSAGES:
                kept.append(" ".join(msg.split()))

    def take_errors(self) -> list[str]:
        """Errors since the last call, each once, oldest first."""
        with self._lock:
            errors, self._errors = self._errors, []
        return list(dict.fromkeys(errors))

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings so far, each once."""
        with self._lock:
            return tuple(dict.fromkeys(self._warnings))

    def because(self, otherwise: str = "it gave no reason") -> str:
        """The errors since the last call as half a sentence."""
        return "; ".join(self.take_errors()) or otherwise


class _Progress(trt.IProgressMonitor):
    """Hands TensorRT's progress on to a `BuildMonitor`."""

    def __init__(self, monitor: BuildMonitor) -> None:
        super().__init__()
        self._monitor = monitor

    def phase_start(self, phase_name: str, parent_phase: str | None, num_steps: int) -> None:
        self._monitor.start(phase_name, num_steps)

    def phase_finish(self, phase_name: str) -> None:
        self._monitor.finish(phase_name)

    def step_complete(self, phase_name: str, step: int) -> bool:
        return self._monitor.step(phase_name, step)


def build_plan(request: BuildRequest, monitor: BuildMonitor) -> BuiltPlan | None:
    """Parse a graph and build an engine for this GPU; minutes. None if `monitor` stopped it.

    Raises:
        BackendUnavailableError: TensorRT does not start here.
        EngineError: it does not take the graph, or found no way to run it.
    """
    messages = Messages()
    builder = _builder(messages)
    # The bit has another number in 10 than in 11.
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    _parse(network, request, messages)
    config = _config(builder, request)
    _add_profile(builder, network, config, request, messages)
    rejected = _attach_timing_cache(config, request.timing_cache)
    watch = _Progress(monitor)  # TensorRT keeps no reference: it must outlive the build
    config.progress_monitor = watch
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        if monitor.stopped:
            return None
        raise EngineError(f"{request.path}: {_why_no_engine(messages)}")
    return BuiltPlan(
        plan=bytes(memoryview(plan)),
        timing_cache=None if request.timing_cache is None else _timing_cache(config),
        timing_cache_rejected=rejected,
        warnings=messages.warnings,
    )


def _builder(messages: Messages) -> trt.Builder:
    version()
    try:
        return trt.Builder(messages)
    except TypeError as error:  # what the bindings raise when the library returns nothing
        raise BackendUnavailableError(
            f"TensorRT {trt.__version__} does not start here ({messages.because()}); "
            "see nvidia-smi, and whether the driver is new enough"
        ) from error


def _parse(network: trt.INetworkDefinition, request: BuildRequest, messages: Messages) -> None:
    parser = trt.OnnxParser(network, messages)
    if parser.parse(request.onnx, request.path):
        return
    problems = [_problem(parser.get_error(index)) for index in range(parser.num_errors)]
    raise EngineError(
        f"{request.path}: TensorRT {trt.__version__} does not take this graph: "
        + ("; ".join(problems) or messages.because())
    )


def _problem(error: trt.ParserError) -> str:
    """A parser's error in words: which node, which operator, what about it."""
    where = f"node {error.node()}"
    if error.node_operator():
        where += f", {error.node_operator()}"
    if error.node_name():
        where += f" {error.node_name()!r}"
    calls = error.local_function_stack()
    if calls:
        where += f", in {' > '.join(calls)}"
    return f"{where}: {' '.join(error.desc().split())}"


def _config(builder: trt.Builder, request: BuildRequest) -> trt.IBuilderConfig:
    config = builder.create_builder_config()
    config.hardware_compatibility_level = COMPATIBILITY[request.hardware_compat]
    # Scratch memory follows the shapes in use, so that a smaller batch needs less of it.
    config.set_preview_feature(trt.PreviewFeature.RUNTIME_ACTIVATION_RESIZE_10_10, True)
    if request.version_compat:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if request.optimization_level is not None:
        config.builder_optimization_level = request.optimization_level
    if request.workspace_bytes is not None:
        config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, request.workspace_bytes)
    return config


def _add_profile(
    builder: trt.Builder,
    network: trt.INetworkDefinition,
    config: trt.IBuilderConfig,
    request: BuildRequest,
    messages: Messages,
) -> None:
    inputs = [network.get_input(index).name for index in range(network.num_inputs)]
    unknown = sorted(set(request.ranges) - set(inputs))
    if unknown:
        raise EngineError(
            f"{request.path}: the graph has no input {', '.join(unknown)}, only "
            f"{', '.join(inputs)}; export it with 'python -m engines export'"
        )
    profile = builder.create_optimization_profile()
    for name, shapes in request.ranges.items():
        profile.set_shape(name, trt.Dims(shapes.low), trt.Dims(shapes.best), trt.Dims(shapes.high))
    if config.add_optimization_profile(profile) < 0:
        raise EngineError(f"{request.path}: TensorRT refuses these sizes ({messages.because()})")


def _attach_timing_cache(config: trt.IBuilderConfig, data: bytes | None) -> bool:
    """Give the builder earlier measurements; True if they had to be left out."""
    if data is None:
        return False
    cache = config.create_timing_cache(data)
    if cache is not None and config.set_timing_cache(cache, False):
        return False
    fresh = config.create_timing_cache(b"")
    config.set_timing_cache(fresh, False)
    return bool(data)


def _timing_cache(config: trt.IBuilderConfig) -> bytes | None:
    cache = config.get_timing_cache()
    return None if cache is None else bytes(memoryview(cache.serialize()))


def _why_no_engine(messages: Messages) -> str:
    reason = messages.because()
    line = f"TensorRT {trt.__version__} could not build an engine ({reason})"
    if says_out_of_memory(reason):
        line += "; free GPU memory, raise --workspace, or build for a smaller --batch or --size"
    return line


class LoadedPlan:
    """See `trt_seam.Plan`.

    Args:
        payload: a plan. Loading one runs native code that it may bring along: never load a plan
            from somebody you would not take a program from.
        path: names it in messages.

    Raises:
        BackendUnavailableError: TensorRT does not start here.
        EngineError: broken, or built for another TensorRT or GPU.
    """

    def __init__(self, payload: bytes, path: str) -> None:
        version()
        self._path = path
        self._messages = Messages()
        try:
            self._runtime = trt.Runtime(self._messages)
        except TypeError as error:  # as in `_builder`
            raise BackendUnavailableError(
                f"TensorRT {trt.__version__} does not start here ({self._messages.because()}); "
                "see nvidia-smi, and whether the driver is new enough"
            ) from error
        # A version-compatible plan carries a runtime of its own, which TensorRT must be allowed to
        # load. Who may put plans where we load them from is the cache's concern.
        self._runtime.engine_host_code_allowed = True
        engine = self._runtime.deserialize_cuda_engine(payload)
        if engine is None:
            reason = self._messages.because()
            if says_out_of_memory(reason):
                raise DeviceMemoryError(
                    f"{path}: no room on the GPU for this engine's weights ({reason})"
                )
            raise EngineError(
                f"{path}: TensorRT {trt.__version__} cannot load this engine ({reason}); "
                "build it again with 'streamseg build-engine --force'"
            )
        self._engine = engine

    @property
    def needs_scratch(self) -> bool:
        """Whether its layers need memory beside inputs and outputs."""
        return self._engine.device_memory_size_v2 > 0

    @property
    def tensors(self) -> tuple[TensorInfo, ...]:
        """See `trt_seam.Plan.tensors`."""
        engine = self._engine
        names = [engine.get_tensor_name(index) for index in range(engine.num_io_tensors)]
        return tuple(
            TensorInfo(
                name=name,
                is_input=engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT,
                dtype=engine.get_tensor_dtype(name).name,
                shape=tuple(engine.get_tensor_shape(name)),
            )
            for name in names
        )

    def shape_range(self, name: str) -> ShapeRange:
        """See `trt_seam.Plan.shape_range`."""
        low, best, high = self._engine.get_tensor_profile_shape(name, 0)
        return ShapeRange(low=tuple(low), best=tuple(best), high=tuple(high))

    def create_context(self, stream: int) -> LoadedContext:
        """See `trt_seam.Plan.create_context`."""
        strategy = trt.ExecutionContextAllocationStrategy.USER_MANAGED
        context = self._engine.create_execution_context(strategy)
        # Only the first context of an engine gets the profile by itself.
        if context is None or not context.set_optimization_profile_async(0, stream):
            raise EngineError(
                f"{self._path}: TensorRT cannot run this engine ({self._messages.because()})"
            )
        return LoadedContext(context, self, self._messages, self._path)


class LoadedContext:
    """See `trt_seam.Context`."""

    def __init__(
        self,
        context: trt.IExecutionContext,
        plan: LoadedPlan,
        messages: Messages,
        path: str,
    ) -> None:
        self._context = context
        self._plan = plan  # it must live as long as its contexts
        self._messages = messages
        self._path = path

    def set_input_shape(self, name: str, shape: Shape) -> None:
        """See `trt_seam.Context.set_input_shape`."""
        if not self._context.set_input_shape(name, shape):
            raise self._error(f"does not take {name} {list(shape)}")

    def output_shape(self, name: str) -> Shape:
        """See `trt_seam.Context.output_shape`."""
        return tuple(self._context.get_tensor_shape(name))

    def scratch_bytes(self) -> int:
        """See `trt_seam.Context.scratch_bytes`."""
        size = self._context.update_device_memory_size_for_shapes()
        if size == 0 and self._plan.needs_scratch:  # what it returns when it failed
            raise self._error("does not say how much memory these shapes need")
        return size

    def set_scratch(self, address: int, size: int) -> None:
        """See `trt_seam.Context.set_scratch`."""
        self._context.set_device_memory(address, size)

    def set_address(self, name: str, address: int) -> None:
        """See `trt_seam.Context.set_address`."""
        if not self._context.set_tensor_address(name, address):
            raise self._error(f"does not take the address of {name}")

    def enqueue(self, stream: int) -> None:
        """See `trt_seam.Context.enqueue`."""
        if not self._context.execute_async_v3(stream):
            raise self._error("failed")

    def _error(self, what: str) -> EngineError:
        return EngineError(
            f"{self._path}: TensorRT {trt.__version__} {what} ({self._messages.because()})"
        )
