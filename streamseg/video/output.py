"""Where an output goes: checked before any work, under another name until it is complete."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

from streamseg.errors import OutputError, UsageError

CONTAINERS = {".mp4": "mp4", ".m4v": "mp4", ".mov": "mov", ".mkv": "matroska"}
"""Suffix of an output file -> FFmpeg's muxer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputPath:
    """A checked place for an output file, and the name it has until it is complete."""

    final: Path
    partial: Path
    muxer: str = "mp4"

    @classmethod
    def check(cls, path: Path, *, overwrite: bool, source: Path | None = None) -> OutputPath:
        """Refuse, before any work, a place where the output cannot go.

        Raises:
            UsageError: another suffix than the known ones, a missing folder, an existing file
                without `overwrite`, or the source itself.
        """
        muxer = CONTAINERS.get(path.suffix.lower())
        if muxer is None:
            known = ", ".join(CONTAINERS)
            raise UsageError(f"{path}: unknown kind of output; give a name that ends in {known}")
        if path.is_dir():
            raise UsageError(f"{path}: is a folder; give a file name")
        if not path.parent.is_dir():
            raise UsageError(f"{path}: the folder {path.parent} does not exist; create it first")
        if source is not None and path.exists() and source.exists() and path.samefile(source):
            raise UsageError(f"{path}: input and output are the same file; choose another name")
        if path.exists() and not overwrite:
            raise UsageError(f"{path}: already exists; use --overwrite or choose another name")
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        return cls(final=path, partial=partial, muxer=muxer)


def cannot_write(output: OutputPath, error: BaseException) -> OutputError:
    """The error of a write that failed, in words."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return OutputError(
            f"{output.final}: the disk is full ({error.strerror}); the unfinished file was "
            "removed: free space or write to another disk"
        )
    if isinstance(error, PermissionError):
        return OutputError(f"{output.final}: the folder may not be written to")
    detail = getattr(error, "strerror", None) or error
    return OutputError(f"{output.final}: writing failed ({detail})")
