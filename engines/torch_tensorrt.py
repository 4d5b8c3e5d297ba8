"""Checkpoint to TensorRT plan by way of Torch-TensorRT, for the same runtime that runs other plans.

The plan has the bindings of the model file's contract, so `runtime.backends.tensorrt` runs it.
`engines.build_command` keeps it under the key of the model file that it stands for: ``streamseg
video --engine tensorrt`` then finds it as if it had been built from ONNX.

Torch-TensorRT wants a TensorRT of its own (the extra ``torch-tensorrt``) and a GPU; it is imported
when a plan is built. Knows nothing about command lines.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import tempfile
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch.export import ExportedProgram

from engines.errors import EngineBuildError
from engines.export import describe
from engines.graph import DeployedNetwork
from engines.program import to_program
from streamseg.models.modelfile import ModelHeader
from streamseg.runtime.backends.base import BackendUnavailableError, BuildConfig, Profile
from streamseg.runtime.backends.torch_build import specialise
from train.checkpoint import load_checkpoint

INSTALL = "pip install 'torch-tensorrt>=2.14,<2.15' 'cuda-bindings>=13,<14'"
FRAMES, LABELS = "frames", "labels"


def build_plan(
    compiler: ModuleType,
    checkpoint: Path,
    header: ModelHeader,
    config: BuildConfig,
    *,
    label_stride: int | None = None,
) -> bytes:
    """Compile the deployed network of `checkpoint` to one plan.

    Args:
        compiler: what `import_torch_tensorrt` gave.
        checkpoint: what the model file was exported from.
        header: of the model file that the plan stands for.
        config: precision (fp32, fp16), profile, workspace, compatibility.
        label_stride: what the model file was exported with; None takes the network's own.

    Raises:
        EngineBuildError: int8, another label stride than the model file's, or the build failed.
        TrainError: the checkpoint cannot be read.
    """
    if config.precision == "int8":
        raise EngineBuildError(
            "Torch-TensorRT is given fp32 or fp16 here; build int8 from the model file with "
            "'streamseg build-engine --precision int8'"
        )
    loaded = load_checkpoint(checkpoint)
    network = DeployedNetwork(loaded.build(), label_stride=label_stride)
    if describe(loaded.recipe.model, network.label_stride) != header.architecture:
        raise EngineBuildError(
            f"{checkpoint}: its labels are decided at another stride than the model file's; "
            "give --label-stride"
        )
    dtype = torch.float16 if config.precision == "fp16" else None
    # Precision is in the graph, as strong typing wants it: half weights and explicit casts.
    program = specialise(to_program(network), dtype, "cuda", config.profile)
    return compile_program(compiler, program, config, checkpoint)


def compile_program(
    compiler: ModuleType, program: ExportedProgram, config: BuildConfig, source: Path
) -> bytes:
    """Hand a program to Torch-TensorRT.

    Raises:
        EngineBuildError: an operator without a converter, too little memory, TensorRT's refusal.
    """
    if config.hardware_compat == "same-cc":
        raise EngineBuildError(
            "Torch-TensorRT knows --hardware-compat none and ampere+; build same-cc engines from "
            "the model file with 'streamseg build-engine'"
        )
    _register_uint8_cast(compiler)
    options: dict[str, Any] = {
        "require_full_compilation": True,  # one engine, nothing left to torch
        "arg_input_binding_names": (FRAMES,),
        "output_binding_names": LABELS,
        "version_compatible": config.version_compat,
        "hardware_compatible": config.hardware_compat == "ampere+",
        "workspace_size": (config.workspace_mib or 0) << 20,
        # Its engine cache is a pickle in a folder that everybody shares; ours is private.
        "cache_built_engines": False,
        "reuse_cached_engines": False,
    }
    try:
        # So is its file of timings, which NVIDIA's parser reads: one of our own, always.
        with tempfile.TemporaryDirectory(prefix="streamseg-") as private:
            timings = config.timing_cache or Path(private) / "timings"
            plan = compiler.dynamo.convert_exported_program_to_serialized_trt_engine(
                program,
                arg_inputs=(input_spec(compiler, config.profile),),
                timing_cache_path=str(timings),
                **options,
            )
    except Exception as error:  # its converters, TensorRT and CUDA raise anything
        raise EngineBuildError(
            f"{source}: Torch-TensorRT {compiler.__version__} cannot compile it "
            f"({_first_line(error)}); build from the model file with 'streamseg build-engine'"
        ) from error
    return bytes(plan)


def input_spec(compiler: ModuleType, profile: Profile) -> Any:
    """The profile as Torch-TensorRT's ``Input``: NHWC shapes, uint8."""
    _, best, high = profile.batch
    shapes = {
        name: (batch, height, width, 3)
        for name, batch, (width, height) in (
            ("min_shape", 1, profile.min_size),
            ("opt_shape", best, profile.opt_size),
            ("max_shape", high, profile.max_size),
        )
    }
    if shapes["min_shape"] == shapes["max_shape"]:
        return compiler.Input(shape=shapes["opt_shape"], dtype=torch.uint8)
    return compiler.Input(**shapes, dtype=torch.uint8)


@cache
def _register_uint8_cast(compiler: ModuleType) -> None:
    """Teach Torch-TensorRT the cast of the labels: TensorRT casts float to uint8, at an output.

    Its own converter of ``_to_copy`` (2.14) lists the types that it casts to, without uint8.
    """
    conversion = compiler.dynamo.conversion

    def is_labels(node: torch.fx.Node, settings: object = None) -> bool:
        return node.kwargs.get("dtype") is torch.uint8

    @conversion.dynamo_tensorrt_converter(  # type: ignore[untyped-decorator]
        torch.ops.aten._to_copy.default,
        capability_validator=is_labels,
        priority=conversion.ConverterPriority.HIGH,
        supports_dynamic_shapes=True,
    )
    def cast_labels(
        ctx: Any, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any], name: str
    ) -> Any:
        return conversion.impl.cast.to_copy(
            ctx, target, None, name, args[0], torch.uint8, force_layer=True
        )


def import_torch_tensorrt() -> ModuleType:
    """Torch-TensorRT.

    Raises:
        BackendUnavailableError: it, TensorRT's libraries or a GPU are missing.
    """
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # what it cannot load it prints, too
            compiler = importlib.import_module("torch_tensorrt")
            importlib.import_module("torch_tensorrt.dynamo.conversion")
    except ModuleNotFoundError as error:
        raise BackendUnavailableError(
            f"Torch-TensorRT is not installed (no module {error.name}); {INSTALL}"
        ) from error
    except Exception as error:  # a bare Exception where a library is missing
        raise BackendUnavailableError(
            f"Torch-TensorRT is installed, but does not load ({_first_line(error)}); "
            f"it needs an NVIDIA driver and its own TensorRT: {INSTALL}"
        ) from error
    if not torch.cuda.is_available():
        raise BackendUnavailableError(
            "Torch-TensorRT compiles on the GPU that will run the plan, and torch finds none here; "
            "run 'streamseg doctor'"
        )
    return compiler


def _first_line(error: BaseException) -> str:
    text = str(error).strip().splitlines()
    return text[0][:300] if text else type(error).__name__
