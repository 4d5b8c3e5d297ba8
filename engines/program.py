"""Checkpoint to program: the deployed graph as a `torch.export` archive (``.pt2``).

The program stands beside the ONNX file, says the same of itself, and is what the torch backend
compiles. Knows nothing about command lines, and runs the file only to measure its accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.export import Dim, ExportedProgram

from engines.errors import EngineBuildError
from engines.export import (
    ExportConfig,
    check_output,
    checkpoint_accuracy,
    header_values,
    measure,
    quiet,
)
from engines.graph import DeployedNetwork
from streamseg.models.modelfile import HEADER_KEY, ModelHeader
from streamseg.models.sizes import SIZE_MULTIPLE
from streamseg.runtime.backends import torch as torch_backend
from streamseg.runtime.backends.base import LoadOptions
from streamseg.runtime.backends.torch_program import read_program_header
from streamseg.runtime.engine import Engine
from train.checkpoint import load_checkpoint
from train.data.opening import open_dataset

SUFFIX = ".pt2"
LARGEST_BATCH = 1024
LARGEST_SIDE = 256 * SIZE_MULTIPLE
_TRACES = ("stack_trace", "nn_module_stack", "source_fn_stack", "from_node", "torch_fn", "custom")


def export_program(
    checkpoint: Path,
    output: Path,
    config: ExportConfig | None = None,
    *,
    data: Path | None = None,
    progress: Callable[[Iterator[Any], int], Iterator[Any]] = lambda samples, _: samples,
) -> ModelHeader:
    """Write `output` (``.pt2``) from `checkpoint`; it appears under its name only when complete.

    Weights stay float32: whoever compiles the program decides the precision. Arguments are those
    of `engines.export.export`.

    Raises:
        EngineBuildError: the output exists, or cannot be written.
        TrainError: the checkpoint or the data cannot be read.
    """
    config = config or ExportConfig()
    check_output(output, overwrite=config.overwrite, suffix=SUFFIX)
    loaded = load_checkpoint(checkpoint)
    validation = open_dataset(loaded.recipe.data.layout, data, "val") if data is not None else None
    network = DeployedNetwork(loaded.build(), label_stride=config.label_stride)
    program = to_program(network)
    config = replace(config, name=config.name or output.stem)
    values = header_values(loaded, checkpoint, network.label_stride, config)
    header = ModelHeader(**values, accuracy=checkpoint_accuracy(loaded))
    partial = output.with_name(f".{output.name}.part")
    try:
        _write(program, header, partial)
        if validation is not None:
            with open_program(partial) as engine:
                accuracy = measure(engine, validation, progress)
            header = ModelHeader(**values, accuracy=accuracy)
            _write(program, header, partial)
        partial.replace(output)
    except (OSError, RuntimeError) as error:  # torch's archive writer raises RuntimeError
        reason = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
        raise EngineBuildError(f"{output}: cannot be written ({reason})") from error
    finally:
        partial.unlink(missing_ok=True)
    return header


def check_outputs(output: Path, kind: str, *, overwrite: bool) -> list[Path]:
    """The files that ``-o OUTPUT --format KIND`` names: ``onnx``, ``pt2`` or ``both``.

    Raises:
        EngineBuildError: see `engines.export.check_output`.
    """
    if kind == "pt2" and output.suffix.lower() == SUFFIX:
        targets = [output]
    else:
        check_output(output, overwrite=overwrite or kind == "pt2")
        targets = [output, output.with_suffix(SUFFIX)]
        targets = {"onnx": targets[:1], "pt2": targets[1:], "both": targets}[kind]
    for target in targets:
        check_output(target, overwrite=overwrite, suffix=target.suffix.lower())
    return targets


def to_program(network: DeployedNetwork) -> ExportedProgram:
    """The network as a program of dynamic batch and size, without the exporter's traces."""
    n = Dim("n", min=1, max=LARGEST_BATCH)
    h = Dim("h", min=1, max=LARGEST_SIDE // SIZE_MULTIPLE)
    w = Dim("w", min=1, max=LARGEST_SIDE // SIZE_MULTIPLE)
    example = torch.zeros(2, 96, 128, 3, dtype=torch.uint8)
    with quiet(), torch.no_grad():
        program = torch.export.export(
            network.eval(),
            (example,),
            dynamic_shapes=({0: n, 1: SIZE_MULTIPLE * h, 2: SIZE_MULTIPLE * w},),
        )
    for module in program.graph_module.modules():
        if isinstance(module, torch.fx.GraphModule):
            for node in module.graph.nodes:
                for trace in _TRACES:  # paths and stacks of this machine
                    node.meta.pop(trace, None)
    return program


def open_program(path: Path, *, threads: int | None = None) -> Engine:
    """Run a program as it is, operator by operator, on the CPU.

    Raises:
        ModelError: no program of ours.
        EngineError: torch cannot load it.
    """
    header = read_program_header(path)
    options = LoadOptions(threads=threads, low_latency=True)
    return torch_backend.load(path.read_bytes(), header, path, options)


def _write(program: ExportedProgram, header: ModelHeader, path: Path) -> None:
    with quiet(), path.open("wb") as file:  # an open file: by name it insists on the suffix
        torch.export.save(program, file, extra_files={HEADER_KEY: header.to_json()})
