"""Every error this package raises on purpose. Each message names the file, the cause and the fix.

StreamsegError              exit code 1
├── UsageError              the caller asked for something that cannot be (exit code 2)
├── SourceError             a video, camera or address cannot be opened or read
├── OutputError             the result cannot be written (folder, disk, codec)
├── StoppedError            a run was stopped before it had anything to keep
├── ModelError              a model file is missing, foreign or broken
└── EngineError             a backend is missing or failed while it ran
    ├── BackendUnavailableError   it cannot run on this machine (in `runtime.backends.base`)
    ├── DeviceMemoryError   the device has too little memory for this batch
    ├── EngineFileError     an engine file is truncated, damaged, foreign or too new
    ├── CacheError          the folder of engines is not private, not writable, or full
    └── GateError           a built engine was refused, and why (in `runtime.building.gate`)
"""

from __future__ import annotations

import re

_OUT_OF_MEMORY = re.compile(r"out ?of ?memory", re.IGNORECASE)
"""CUDA writes words, TensorRT ``OutOfMemory (Requested size was ...)``."""


class StreamsegError(Exception):
    """Base of everything below; catch this one to catch them all."""

    exit_code = 1


class UsageError(StreamsegError):
    """The caller's mistake: an unknown class, an impossible size, IN and OUT the same file."""

    exit_code = 2


class SourceError(StreamsegError):
    """A video, a camera or an address cannot be opened or read."""


class OutputError(StreamsegError):
    """The result cannot be written."""


class StoppedError(StreamsegError):
    """A run was stopped, by an event or by closing what it ran in, before its first frame."""


class ModelError(StreamsegError):
    """A model file is missing, foreign or broken."""


class EngineError(StreamsegError):
    """A backend is missing, or failed while it ran."""


class DeviceMemoryError(EngineError):
    """The device has too little memory for what was asked; a smaller batch may fit."""


class EngineFileError(EngineError):
    """An engine file is truncated, damaged, foreign, or of a newer streamseg."""


class CacheError(EngineError):
    """The folder of built engines cannot be used: not private, not writable, or full."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a backend failed because the device's memory is full, however it says so."""
    return isinstance(error, DeviceMemoryError) or (
        isinstance(error, EngineError) and says_out_of_memory(str(error))
    )


def says_out_of_memory(text: str) -> bool:
    """Whether a library's message says so; "an illegal memory access" does not."""
    return _OUT_OF_MEMORY.search(text) is not None
