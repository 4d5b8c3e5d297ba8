"""Somebody else's ONNX file, read: what goes in, what comes out, what is said of it.

Beside the file, exporters leave their weights (``FILE.onnx.data``) and Hugging Face's leave
``config.json`` and ``preprocessor_config.json``; all three are read.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

from streamseg.errors import ModelError, UsageError
from streamseg.importing.otherfiles import what_it_is
from streamseg.models.modelfile import HEADER_KEY

LARGEST_BYTES = 2**31 - 2**20
"""Protobuf's limit for one file, less what is wrapped around the graph."""
OLDEST_OPSET = 13
"""Older graphs are converted to it: int8 needs scales per channel."""

_LARGEST_CONFIG = 1 << 22


@dataclass(frozen=True, slots=True)
class Port:
    """An input or an output as the graph declares it."""

    name: str
    kind: int
    """Element type, a number of `onnx.TensorProto`."""
    shape: tuple[int | None, ...] | None
    """None for a side that is free; no shape at all if the graph has none."""

    def __str__(self) -> str:
        sides = "?" if self.shape is None else ", ".join(str(side or "?") for side in self.shape)
        return f"{self.name}: {TensorProto.DataType.Name(self.kind).lower()} [{sides}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """An ONNX file that streamseg did not write."""

    path: Path
    model: onnx.ModelProto = field(repr=False)
    """The graph with all its weights."""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    notes: Mapping[str, str]
    """The file's `metadata_props`."""
    config: Mapping[str, Any]
    """``config.json`` beside it; empty if there is none."""
    preprocessor: Mapping[str, Any]
    """``preprocessor_config.json`` beside it; empty if there is none."""
    sha256: str
    """Of the graph with its weights."""

    @property
    def opset(self) -> int:
        """Version of the operators."""
        return _opset(self.model)


def read_foreign(path: Path) -> Foreign:
    """Read an ONNX file, and what belongs to it.

    Raises:
        UsageError: no such file, or one of another kind; the message says of which.
        ModelError: it cannot be read, lacks its weights, or is one of ours.
    """
    if not path.is_file():
        kind = "is a folder" if path.is_dir() else "no such file"
        raise UsageError(f"{path}: {kind}; give an .onnx file")
    if (other := what_it_is(path)) is not None:
        raise UsageError(f"{path}: {other}")
    model = _load(path)
    notes = {item.key: item.value for item in model.metadata_props}
    if HEADER_KEY in notes:
        raise ModelError(
            f"{path}: is a model file of streamseg already; use it with --model {path}"
        )
    if not model.graph.node or not any(o.domain in ("", "ai.onnx") for o in model.opset_import):
        raise ModelError(f"{path}: holds no graph that could be run; export it again")
    model = _modern(_without_functions(model), path)
    constants = {tensor.name for tensor in model.graph.initializer}
    return Foreign(
        path=path,
        model=model,
        inputs=tuple(_port(v) for v in model.graph.input if v.name not in constants),
        outputs=tuple(_port(v) for v in model.graph.output),
        notes=notes,
        config=_json_beside(path, "config.json"),
        preprocessor=_json_beside(path, "preprocessor_config.json"),
        sha256=hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest(),
    )


def _load(path: Path) -> onnx.ModelProto:
    try:
        bare = onnx.load(str(path), load_external_data=False)
    except Exception as error:  # protobuf's own errors: a package we do not name
        raise ModelError(
            f"{path}: not an ONNX file, or a truncated one ({_line(error)})"
        ) from error
    beside = {
        entry.value
        for tensor in bare.graph.initializer
        if tensor.data_location == TensorProto.EXTERNAL
        for entry in tensor.external_data
        if entry.key == "location"
    }
    missing = sorted(name for name in beside if not (path.parent / name).is_file())
    if missing:
        raise ModelError(
            f"{path}: its weights are in {missing[0]!a:.120}, which is not beside it; copy both "
            "files into one folder"
        )
    size = path.stat().st_size + sum((path.parent / name).stat().st_size for name in beside)
    if size > LARGEST_BYTES:
        raise ModelError(
            f"{path}: has {size / 2**30:.1f} GiB with its weights, and one ONNX file holds 2; "
            "export it in float16"
        )
    try:
        return onnx.load(str(path))
    except Exception as error:  # as above, and onnx's own of paths that lead out of the folder
        raise ModelError(f"{path}: its weights cannot be read ({_line(error)})") from error


def _without_functions(model: onnx.ModelProto) -> onnx.ModelProto:
    """Functions of the file itself, written out: what follows looks at nodes of one graph."""
    if not model.functions:
        return model
    from onnx.inliner import inline_local_functions

    return inline_local_functions(model)


def _opset(model: onnx.ModelProto) -> int:
    return max(int(o.version) for o in model.opset_import if o.domain in ("", "ai.onnx"))


def _modern(model: onnx.ModelProto, path: Path) -> onnx.ModelProto:
    version = _opset(model)
    if version >= OLDEST_OPSET:
        return model
    from onnx.version_converter import convert_version

    try:
        return convert_version(model, OLDEST_OPSET)
    except Exception as error:  # onnx's converters raise anything
        raise ModelError(
            f"{path}: its operators are of version {version} and cannot be brought to "
            f"{OLDEST_OPSET} ({_line(error)}); export it again with opset {OLDEST_OPSET} or later"
        ) from error


def _port(value: onnx.ValueInfoProto) -> Port:
    tensor = value.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
    return Port(value.name, tensor.elem_type, shape)


def _json_beside(path: Path, name: str) -> Mapping[str, Any]:
    """An object in a JSON file beside another file; empty if there is none that can be read."""
    beside = path.with_name(name)
    try:
        if not beside.is_file() or beside.stat().st_size > _LARGEST_CONFIG:
            return {}
        found = json.loads(beside.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _line(error: Exception) -> str:
    text = str(error).strip()
    return f"{text.splitlines()[0]:.200}" if text else type(error).__name__
