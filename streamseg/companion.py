"""The int8 graph that may stand beside a model file, for processors that multiply int8 fast.

``mbv2.onnx`` is the model, ``mbv2.int8.onnx`` the same network calibrated and quantised for ONNX
Runtime when it was exported (``python -m engines int8``): no pictures, no packages and no time are
needed to use it. Knows nothing about engines.
"""

from __future__ import annotations

from pathlib import Path

from streamseg.cpu import cpu_features
from streamseg.errors import ModelError
from streamseg.modelfile import ModelHeader, read_header

SUFFIX = ".int8.onnx"
SPEEDUP = 1.5
"""Frames a second over fp32's where `pays_here`: 1.6 in the whole pipeline (two cores, VNNI)."""

_MEASURED = ("avx512_vnni", "avx_vnni")
"""x86 processors with VNNI, whose kernels were measured. ARM's dot products were not."""


def companion_path(model: Path) -> Path:
    """Where the int8 graph of a model file is, if there is one."""
    return model.with_name(model.stem + SUFFIX)


def pays_here() -> bool:
    """Whether int8 is known to be the faster one on this processor."""
    return not set(_MEASURED).isdisjoint(cpu_features())


def find_companion(model: Path, header: ModelHeader) -> tuple[Path, ModelHeader] | None:
    """The int8 graph beside a model file, and its header; None if there is none.

    Raises:
        ModelError: it is broken, or made from another model file.
    """
    path = companion_path(model)
    if not path.is_file():
        return None
    own = read_header(path)
    if (own.checkpoint_sha256, own.architecture) != (header.checkpoint_sha256, header.architecture):
        raise ModelError(
            f"{path}: made from another checkpoint than {model.name}; make it again with "
            f"'python -m engines int8 {model.name}', or remove it"
        )
    return path, own
