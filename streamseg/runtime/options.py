"""What a caller may ask of an engine: one value, made once and handed down."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from streamseg.errors import UsageError
from streamseg.runtime.backends.names import BACKENDS
from streamseg.runtime.engine import BackendName, PrecisionName


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOptions:
    """Which model, and what runs it.

    Raises:
        UsageError: an unknown backend or precision (the message lists the known ones), or threads
            or batch below 1.
    """

    model: str | Path = "mbv2"
    """Name of a built-in model, or path of a model file."""
    backend: BackendName = "auto"
    """``auto`` takes the fastest that works here, see `runtime.choosing.selection`."""
    precision: PrecisionName | None = None
    """``fp32``, ``fp16`` or ``int8``; None takes the best one that is there."""
    build: bool = True
    """Build an engine now if that is worth it; False only takes what is there."""
    threads: int | None = None
    """CPU threads to compute with; None means every core this process may use."""
    batch: int | None = None
    """Frames per call; None lets the backend choose."""

    def __post_init__(self) -> None:
        if self.backend != "auto" and self.backend not in BACKENDS:
            known = ", ".join(BACKENDS)
            raise UsageError(f"unknown backend {self.backend!r}; known: auto, {known}")
        if self.precision is not None and self.precision not in get_args(PrecisionName):
            known = ", ".join(get_args(PrecisionName))
            raise UsageError(f"unknown precision {self.precision!r}; known: {known}")
        for name, value in (("threads", self.threads), ("batch", self.batch)):
            if value is not None and value < 1:
                raise UsageError(f"{name} must be at least 1, got {value}")
