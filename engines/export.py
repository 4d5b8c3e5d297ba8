"""Checkpoint to model file: the deployed graph as ONNX, small, with its header.

Knows nothing about command lines, and runs the file only to measure its accuracy.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch.export import Dim

from engines.errors import EngineBuildError
from engines.graph import DeployedNetwork
from streamseg.models.modelfile import HEADER_KEY, ModelHeader
from streamseg.models.sizes import SIZE_MULTIPLE
from streamseg.runtime.engine import Engine
from streamseg.runtime.open import open_engine
from streamseg.version import __version__
from train.checkpoint import Checkpoint, load_checkpoint
from train.data.dataset import SegmentationData
from train.data.opening import open_dataset
from train.evaluation.predict import evaluate
from train.models import ModelSpec

OPSET = 20
LARGE = 1024
"""Weights of at least this many numbers are worth a Cast node when they are stored as float16."""
DIMENSIONS = ("N", "H", "W")


PROVENANCE = {
    "camvid": (
        "CamVid (SegNet split, 367 training pictures)",
        "CamVid authors' terms: research use; ImageNet initialisation Apache-2.0",
    )
}
"""Name and terms of the training data, by a recipe's ``data.layout``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportConfig:
    """What `export` may be told; None takes the checkpoint's or its data set's own."""

    name: str | None = None
    """None: the file's, without its suffix."""
    weights: Literal["fp16", "fp32"] = "fp16"
    """How large weights are stored; the network computes in float32 either way."""
    default_size: tuple[int, int] = (480, 352)
    """Width and height the header suggests."""
    label_stride: int | None = None
    purpose: str = ""
    """What the model is for, in a few words."""
    training_data: str | None = None
    licence: str | None = None
    overwrite: bool = False

    def __post_init__(self) -> None:
        if any(side < SIZE_MULTIPLE or side % SIZE_MULTIPLE for side in self.default_size):
            width, height = self.default_size
            raise ValueError(f"size must be multiples of {SIZE_MULTIPLE}, got {width}x{height}")
        if self.label_stride not in (None, 1, 2, 4):
            raise ValueError(f"label_stride must be 1, 2 or 4, got {self.label_stride}")


def export(
    checkpoint: Path,
    output: Path,
    config: ExportConfig | None = None,
    *,
    data: Path | None = None,
    progress: Callable[[Iterator[Any], int], Iterator[Any]] = lambda samples, _: samples,
) -> ModelHeader:
    """Write `output` from `checkpoint`; it appears under its name only when complete.

    Args:
        checkpoint: what ``python -m train`` wrote.
        output: the model file, ``.onnx``.
        config: choices; None takes the defaults.
        data: data folder; its validation split is what the written file is measured on. Without
            it the header repeats the checkpoint's own metrics and says so.
        progress: wraps the iteration over validation samples; gets their number.

    Raises:
        EngineBuildError: the output exists, or cannot be written.
        TrainError: the checkpoint or the data cannot be read.
    """
    config = config or ExportConfig()
    check_output(output, overwrite=config.overwrite)
    loaded = load_checkpoint(checkpoint)
    validation = None
    if data is not None:
        validation = open_dataset(loaded.recipe.data.layout, data, "val")
    network = DeployedNetwork(loaded.build(), label_stride=config.label_stride)
    model = to_onnx(network)
    if config.weights == "fp16":
        store_as_float16(model)
    config = replace(config, name=config.name or output.stem)
    values = header_values(loaded, checkpoint, network.label_stride, config)
    header = ModelHeader(**values, accuracy=checkpoint_accuracy(loaded))
    partial = output.with_name(f".{output.name}.part")
    try:
        _write(model, header, partial)
        if validation is not None:
            with open_engine(partial, backend="onnxruntime") as engine:
                accuracy = measure(engine, validation, progress)
            header = ModelHeader(**values, accuracy=accuracy)
            _write(model, header, partial)
        partial.replace(output)
    except OSError as error:
        raise EngineBuildError(f"{output}: cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)
    return header


def check_output(output: Path, *, overwrite: bool, suffix: str = ".onnx") -> None:
    """Refuse a name that cannot be written, before minutes of work.

    Raises:
        EngineBuildError: it exists, has another suffix, or its folder is missing.
    """
    if output.suffix.lower() != suffix:
        raise EngineBuildError(f"{output}: a model file's name ends in {suffix}")
    if not output.parent.is_dir():
        raise EngineBuildError(f"{output}: the folder {output.parent} does not exist; create it")
    if output.is_dir():
        raise EngineBuildError(f"{output}: is a folder; give a file name")
    if output.exists() and not overwrite:
        raise EngineBuildError(f"{output}: exists already; use --overwrite to replace it")


def to_onnx(network: DeployedNetwork) -> onnx.ModelProto:
    """The network as an ONNX graph of dynamic batch and size, without the exporter's traces."""
    n, h, w = Dim("n", min=1, max=1024), Dim("h", min=2, max=256), Dim("w", min=2, max=256)
    example = torch.zeros(2, 96, 128, 3, dtype=torch.uint8)
    with quiet():
        program = torch.onnx.export(
            network.eval(),
            (example,),
            dynamo=True,
            opset_version=OPSET,
            input_names=["frames"],
            output_names=["labels"],
            dynamic_shapes=({0: n, 1: SIZE_MULTIPLE * h, 2: SIZE_MULTIPLE * w},),
            external_data=False,
            optimize=True,
            verbose=False,
        )
    assert program is not None
    model: onnx.ModelProto = program.model_proto
    clean(model)
    onnx.checker.check_model(model, full_check=True)
    return model


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """The exporter's advice to its own developers says nothing to ours."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)


def clean(model: onnx.ModelProto) -> None:
    """Name the dimensions, and drop what the exporter notes about its source (paths, stacks)."""
    graph = model.graph
    for value in (*graph.input, *graph.output):
        for name, dimension in zip(DIMENSIONS, value.type.tensor_type.shape.dim, strict=False):
            dimension.dim_param = name
    del graph.value_info[:]
    del model.functions[:]
    del model.metadata_props[:]
    del graph.metadata_props[:]
    for item in (*graph.node, *graph.input, *graph.output, *graph.initializer):
        del item.metadata_props[:]
        item.doc_string = ""
    model.doc_string = graph.doc_string = ""
    graph.name = "streamseg"
    model.producer_name, model.producer_version = "streamseg", __version__
    used = {node.domain for node in graph.node}
    kept = [opset for opset in model.opset_import if opset.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(kept)


def store_as_float16(model: onnx.ModelProto) -> None:
    """Store large weights as float16 behind a Cast to float32; runtimes fold it when they load.

    A weight beyond float16's range stays as it is.
    """
    graph = model.graph
    casts = []
    for tensor in graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < LARGE:
            continue
        values = numpy_helper.to_array(tensor)
        if np.abs(values).max() > np.finfo(np.float16).max:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.fp16"))
        casts.append(
            onnx.helper.make_node(
                "Cast", [tensor.name], [name], f"{name}.to_float32", to=onnx.TensorProto.FLOAT
            )
        )
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def describe(spec: ModelSpec, label_stride: int) -> str:
    """A network in one line, for people."""
    decoder = "no decoder"
    if spec.decoder != "none":
        decoder = f"{spec.decoder} decoder {spec.decoder_channels} x{spec.decoder_depth}"
    return (
        f"{spec.backbone}, output stride {spec.output_stride}, {spec.head} head "
        f"{spec.head_channels} ({spec.head_kernel}x{spec.head_kernel}), {decoder}, "
        f"labels decided at stride {label_stride}"
    )


def header_values(
    loaded: Checkpoint, path: Path, label_stride: int, config: ExportConfig
) -> dict[str, Any]:
    """What a file's header says, but for its accuracy."""
    layout = loaded.recipe.data.layout
    training_data, licence = PROVENANCE.get(layout, (layout, "unknown: say it with --licence"))
    return {
        "name": config.name or loaded.recipe.name,
        "architecture": describe(loaded.recipe.model, label_stride),
        "classes": loaded.classes,
        "default_size": config.default_size,
        "purpose": config.purpose,
        "training_data": config.training_data or training_data,
        "training_data_licence": config.licence or licence,
        "checkpoint_sha256": sha256(path),
        "streamseg_version": __version__,
    }


def sha256(path: Path) -> str:
    """A file's SHA-256, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checkpoint_accuracy(loaded: Checkpoint) -> dict[str, Any]:
    """A header's ``accuracy`` where the file itself was not measured."""
    known = ("split", "truth", "miou", "mean_accuracy", "pixel_accuracy", "class_iou")
    metrics = {key: loaded.metrics[key] for key in known if key in loaded.metrics}
    return {"measured_on": "the checkpoint, while it was trained", **metrics}


def measure(
    engine: Engine,
    dataset: SegmentationData,
    progress: Callable[[Iterator[Any], int], Iterator[Any]],
) -> dict[str, Any]:
    """A header's ``accuracy``: what an opened file scores on a validation split."""
    classes = engine.spec.model.classes
    samples = progress(iter(dataset.pairs()), len(dataset))
    scores = evaluate(samples, engine.infer, classes=len(classes))
    return {
        "measured_on": "this file",
        "split": "val",
        "pictures": len(dataset),
        **scores.as_dict(classes.names),
    }


def _write(model: onnx.ModelProto, header: ModelHeader, path: Path) -> None:
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, {HEADER_KEY: header.to_json()})
    path.write_bytes(model.SerializeToString(deterministic=True))
