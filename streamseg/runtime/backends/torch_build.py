"""Compiles a `torch.export` program for this machine with AOTInductor. Building only, no running.

Imported by `streamseg.runtime.backends.torch` when something is to be built: it imports torch.
"""

from __future__ import annotations

import io
import json
import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import torch._inductor
from torch import Tensor, nn
from torch._inductor.utils import fresh_cache
from torch.export import Dim, ExportedProgram
from torch.export.passes import move_to_device_pass

from streamseg.errors import EngineError, ModelError
from streamseg.models.modelfile import ModelHeader
from streamseg.models.sizes import SIZE_MULTIPLE
from streamseg.runtime.backends.base import (
    BackendUnavailableError,
    BuildConfig,
    BuildProgress,
    Profile,
)
from streamseg.runtime.backends.torch_program import (
    BUILD_KEY,
    PROGRAM_SUFFIX,
    quiet,
    read_program_header,
)
from streamseg.runtime.cpu import cpu_features

EXPORT = "'python -m engines export CHECKPOINT -o {} --format both'"
_LOG = logging.getLogger("streamseg")
BFLOAT16_FEATURES = {"avx512_bf16", "bf16"}


def build(
    model: Path, header: ModelHeader, config: BuildConfig, *, progress: BuildProgress
) -> bytes:
    """The package of the program beside `model`; see `BuildingBackend.build`.

    fp16 means float16 on a GPU and bfloat16 on a CPU that multiplies it. On a GPU without a C++
    compiler, or if compiling fails, the payload is the program itself in that precision, which runs
    operator by operator: still far ahead of any CPU engine. On a CPU it would be behind ONNX
    Runtime, so that is refused.

    Raises:
        BackendUnavailableError: no C++ compiler, or a precision that the device has not.
        EngineError: the program is of another checkpoint, or does not compile.
        ModelError: there is no program, or it is none of ours.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    dtype = dtype_of(config.precision, device)
    compiler = has_compiler()
    if device == "cpu" and not compiler:
        raise BackendUnavailableError(
            "the torch backend compiles with a C++ compiler and finds none: install one "
            "(Debian: apt install g++), name it in CXX, or use --backend onnxruntime"
        )
    progress("tracing", 0, 1)
    program = open_program(model, header)
    with quiet():
        try:
            traced = specialise(program, dtype, device, config.profile)
            progress("tracing", 1, 1)
            made = json.dumps(describe(config, device))
            phase = "compiling" if compiler else "no C++ compiler: storing the program"
            progress(phase, 0, 1)
            payload = _compiled_or_stored(traced, made, device, config, compiler=compiler)
        except (RuntimeError, ValueError, TypeError, OSError) as error:
            if device == "cuda":
                torch.cuda.empty_cache()
            raise EngineError(
                f"{model.with_suffix('.pt2')}: PyTorch {torch.__version__} cannot build it in "
                f"{config.precision} for this {device} ({_first_line(error)})"
            ) from error
    progress(phase, 1, 1)
    return payload


def open_program(model: Path, header: ModelHeader) -> ExportedProgram:
    """The program beside a model file, which must be of the same checkpoint and label stride.

    Raises:
        ModelError, EngineError: see `build`.
    """
    path = model.with_suffix(PROGRAM_SUFFIX)
    if not path.is_file():
        raise ModelError(
            f"{path}: no such file, and the torch backend builds from it; write it with "
            + EXPORT.format(model)
        )
    own = read_program_header(path)
    if (own.checkpoint_sha256, own.architecture) != (header.checkpoint_sha256, header.architecture):
        raise EngineError(
            f"{path}: exported from another checkpoint, or with another label stride, than "
            f"{model}; write both with {EXPORT.format(model)}"
        )
    try:
        with quiet():
            return torch.export.load(path)
    except Exception as error:  # the archive's readers raise anything
        raise ModelError(
            f"{path}: PyTorch {torch.__version__} cannot read it ({_first_line(error)}); write it "
            f"again with {EXPORT.format(model)}"
        ) from error


def dtype_of(precision: str, device: str) -> torch.dtype | None:
    """What convolutions and matrix products are computed in; None leaves them in float32.

    Raises:
        BackendUnavailableError: the device does not do it.
    """
    if precision == "fp32":
        return None
    if precision == "int8":
        raise BackendUnavailableError(
            "the torch backend has no int8; use --backend tensorrt or onnxruntime for it"
        )
    if device == "cuda":
        return torch.float16
    if BFLOAT16_FEATURES.isdisjoint(cpu_features()):
        raise BackendUnavailableError(
            "fp16 on a CPU is computed in bfloat16, which this processor does not multiply; "
            "use --precision fp32"
        )
    return torch.bfloat16


def has_compiler() -> bool:
    """Whether AOTInductor finds a C++ compiler."""
    from torch._inductor.cpp_builder import get_cpp_compiler

    try:
        get_cpp_compiler()
    except RuntimeError:
        return False
    return True


class _Autocast(nn.Module):
    """A program whose convolutions and matrix products are in a smaller type, with casts in it.

    Everything else keeps its type: the pyramid's index arithmetic counts pixels, which float16
    does only up to 2048 and bfloat16 up to 256.
    """

    def __init__(self, network: nn.Module, dtype: torch.dtype | None, device: str) -> None:
        super().__init__()
        self.network, self.dtype, self.device = network, dtype, device

    def forward(self, frames_NHWC: Tensor) -> Tensor:
        """Labels of frames."""
        with torch.autocast(self.device, self.dtype, enabled=self.dtype is not None):
            labels: Tensor = self.network(frames_NHWC)
            return labels


def specialise(
    program: ExportedProgram, dtype: torch.dtype | None, device: str, profile: Profile
) -> ExportedProgram:
    """The program in a precision, on a device, for the sizes of a profile (batches from 1).

    Weights of convolutions are stored in `dtype`, channels last, in tensors of their own. Tracing
    it anew with a batch of the best size lets the compiler choose its loops for that size, not for
    the exporter's example.
    """
    place = device
    if device != "cpu":  # by its number: the program asserts where its tensors are
        place = f"{device}:{torch.cuda.current_device()}"
        program = move_to_device_pass(program, place)
    network = program.module()
    parameters = program.graph_signature.inputs_to_parameters
    for node in program.graph.nodes:
        if node.target != torch.ops.aten.conv2d.default:
            continue
        for argument in node.args[1:3]:
            name = parameters.get(getattr(argument, "name", ""))
            if name is not None:
                value = network.get_parameter(name).data
                value = value.to(dtype or value.dtype)
                if value.dim() == 4:
                    value = value.contiguous(memory_format=torch.channels_last)
                # A new parameter: the old one is the program's, too.
                owner, _, leaf = name.rpartition(".")
                parameter = nn.Parameter(value, requires_grad=False)
                setattr(network.get_submodule(owner), leaf, parameter)
    _, best, high = profile.batch
    (min_w, min_h), (max_w, max_h) = profile.min_size, profile.max_size
    width, height = profile.opt_size
    dimensions = {
        0: Dim("n", min=1, max=high) if high > 1 else Dim.STATIC,
        1: _side("h", min_h, max_h),
        2: _side("w", min_w, max_w),
    }
    # 2, because a batch of 1 would be taken for a constant
    example = torch.zeros(
        1 if high == 1 else max(2, best), height, width, 3, dtype=torch.uint8, device=place
    )
    with torch.no_grad():
        wrapped = _Autocast(network, dtype, device)  # programs have no train() and eval()
        traced = torch.export.export(wrapped, (example,), dynamic_shapes=(dimensions,))
        # Autocast becomes plain casts, which every consumer of programs understands.
        return traced if dtype is None else traced.run_decompositions({})


def _side(name: str, low: int, high: int) -> Any:
    if low == high:
        return Dim.STATIC
    return SIZE_MULTIPLE * Dim(name, min=low // SIZE_MULTIPLE, max=high // SIZE_MULTIPLE)


def describe(config: BuildConfig, device: str) -> dict[str, Any]:
    """What `TorchEngine` must know of a build."""
    profile = config.profile
    return {
        "device": device,
        "precision": config.precision,
        "opt_batch": profile.batch[1],
        "max_batch": profile.batch[2],
        "min_size": profile.min_size,
        "max_size": profile.max_size,
    }


def _compiled_or_stored(
    program: ExportedProgram, made: str, device: str, config: BuildConfig, *, compiler: bool
) -> bytes:
    """A package; on a GPU the program itself where it does not compile, which works, too."""
    if not compiler:
        return _store(program, made)
    try:
        with cuda_headers() if device == "cuda" else nullcontext():
            return _compile(program, made, device, config)
    except (RuntimeError, ValueError, TypeError, OSError) as error:
        if device != "cuda" or isinstance(error, torch.OutOfMemoryError):
            raise
        torch.cuda.empty_cache()
        _LOG.warning(
            "PyTorch cannot compile the program for this GPU (%s): it is kept as it is, and runs "
            "operator by operator",
            _first_line(error),
        )
        return _store(program, made)


@contextmanager
def cuda_headers() -> Iterator[None]:
    """Let torch find CUDA's headers where no toolkit is installed: its own wheels bring them.

    AOTInductor's C++ includes ``cuda.h``, and torch looks for it in a toolkit alone.
    """
    from torch.utils import cpp_extension

    home = None if cpp_extension.CUDA_HOME else _wheel_of_cuda()
    if home is None:
        yield
        return
    before, cpp_extension.CUDA_HOME = cpp_extension.CUDA_HOME, str(home)
    try:
        yield
    finally:
        cpp_extension.CUDA_HOME = before


def _wheel_of_cuda() -> Path | None:
    """The folder of NVIDIA's wheel that has ``include/cuda.h``; None if there is none."""
    spec = find_spec("nvidia")
    folders = [] if spec is None else list(spec.submodule_search_locations or ())
    major = (torch.version.cuda or "").partition(".")[0]
    for folder in folders:
        home = Path(folder) / f"cu{major}"
        if (home / "include" / "cuda.h").is_file():
            return home
    return None


def _compile(program: ExportedProgram, made: str, device: str, config: BuildConfig) -> bytes:
    options: dict[str, Any] = {
        "aot_inductor.metadata": {BUILD_KEY: made},
        # The number of threads is decided where the package runs, not where it was compiled.
        "cpp.dynamic_threads": True,
    }
    if device == "cpu" and config.precision == "fp32":
        # Weights packed for the processor. Not in bfloat16: torch 2.14 then fuses an addition and
        # a ReLU into an operator that it has in float32 only, and fails when the package runs.
        options["freezing"] = True
    package = io.BytesIO()
    # Its usual place is a folder of /tmp by a known name, where it leaves hundreds of megabytes.
    with (
        tempfile.TemporaryDirectory(prefix="streamseg-") as folder,
        fresh_cache(dir=folder),
        torch.no_grad(),
    ):
        torch._inductor.aoti_compile_and_package(
            program, package_path=package, inductor_configs=options
        )
    return package.getvalue()


def _store(program: ExportedProgram, made: str) -> bytes:
    file = io.BytesIO()
    torch.export.save(program, file, extra_files={BUILD_KEY: made})
    return file.getvalue()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    if "C++ compile error" in lines[0]:  # the command and its output follow
        said = next((line.strip() for line in lines[1:] if "error:" in line), "it says nothing")
        return f"the C++ compiler fails: {said}; is it complete, and is there room in $TMPDIR?"
    return lines[0]
