"""The int8 graph that may stand beside a model file, for processors that multiply int8 faster.

``mbv2.onnx`` is the model, ``mbv2.int8.onnx`` the same network calibrated and quantised for ONNX
Runtime when it was exported (``python -m engines int8``): no pictures, no packages and no time are
needed to use it. Knows nothing about engines.
"""

from __future__ import annotations

from pathlib import Path

from streamseg.errors import ModelError
from streamseg.models.modelfile import ModelHeader, read_header
from streamseg.runtime.cpu import cpu_features, int8_speedup

SUFFIX = ".int8.onnx"


def companion_path(model: Path) -> Path:
    """Where the int8 graph of a model file is, if there is one."""
    return model.with_name(model.stem + SUFFIX)


def speedup_here() -> float:
    """What int8 wins at least over fp32 on this processor; 1.0 where it is not known to win."""
    return int8_speedup(cpu_features())


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
