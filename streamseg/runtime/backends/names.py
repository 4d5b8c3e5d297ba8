"""The backends by name, and what each says of this machine; loaded only when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Literal, TypeAlias, cast

from streamseg.errors import StreamsegError, UsageError
from streamseg.runtime.backends.base import BackendUnavailableError, BuildingBackend

BuildBackendName: TypeAlias = Literal["tensorrt", "onnxruntime", "torch"]

BACKENDS: Mapping[str, str] = {
    "tensorrt": "streamseg.runtime.backends.tensorrt",
    "onnxruntime": "streamseg.runtime.backends.onnxruntime",
    "torch": "streamseg.runtime.backends.torch",
}
"""Name -> module with the members of `BuildingBackend`."""

TITLES = {"tensorrt": "TensorRT", "onnxruntime": "ONNX Runtime", "torch": "PyTorch"}

TENSORRT_INSTALL = "pip install 'tensorrt-cu13>=10.13,<12' 'cuda-bindings>=13,<14' onnx"
"""What the extras `tensorrt` and `build` bring, by names that a package index knows: an extra can
only be asked for where this project's files are."""

TENSORRT_CUDA12_INSTALL = "pip install 'tensorrt-cu12>=10.12,<12' 'cuda-bindings>=12.9,<13' onnx"
"""The same for drivers that run CUDA 12, as the extra `tensorrt-cu12`."""


def find_backend(name: str) -> BuildingBackend:
    """The module of a backend.

    Raises:
        UsageError: no such backend; the message lists the known ones.
        BackendUnavailableError: it cannot be loaded here.
    """
    if name not in BACKENDS:
        raise UsageError(f"unknown backend {name!r}; known: auto, {', '.join(BACKENDS)}")
    try:
        return cast(BuildingBackend, import_module(BACKENDS[name]))
    except Exception as error:  # a broken installation raises anything
        raise _unavailable(name, error) from error


class Machine:
    """What every backend says of this machine, asked once each."""

    def __init__(self) -> None:
        self._known: dict[str, Mapping[str, str] | StreamsegError] = {}

    def environment(self, name: str) -> Mapping[str, str]:
        """What an engine that is built here is tied to; see `BuildingBackend.environment`.

        Raises:
            UsageError: no such backend.
            BackendUnavailableError: it cannot run here; the message says why.
        """
        if name not in self._known:
            self._known[name] = _ask(name)
        known = self._known[name]
        if isinstance(known, StreamsegError):
            raise known
        return known

    def why_not(self, name: str) -> str | None:
        """Why a backend cannot run here, in a sentence; None if it can."""
        try:
            self.environment(name)
        except StreamsegError as error:
            return str(error)
        return None


def _ask(name: str) -> Mapping[str, str] | StreamsegError:
    try:
        return dict(find_backend(name).environment())
    except (BackendUnavailableError, UsageError) as error:
        return error
    except Exception as error:  # drivers and broken libraries raise anything
        return _unavailable(name, error)


def _unavailable(name: str, error: Exception) -> BackendUnavailableError:
    text = str(error).strip().splitlines()
    return BackendUnavailableError(
        f"{TITLES[name]} cannot be used here ({type(error).__name__}: {text[0] if text else ''}); "
        "run 'streamseg doctor'"
    )
