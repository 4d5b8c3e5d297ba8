"""The folder of built engines: private, found by key, written whole or not at all.

Loading an engine runs native code, so the folder and its files must belong to the user and be
writable by nobody else; anything else is refused. Knows nothing about building or running.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from streamseg.errors import CacheError, EngineFileError
from streamseg.runtime.cache.enginefile import (
    EngineHeader,
    read_engine_header,
    read_payload,
    write_engine,
)
from streamseg.runtime.cache.enginekey import EngineKey
from streamseg.runtime.cache.graphstore import GraphStore
from streamseg.runtime.cache.lock import is_locked, locked
from streamseg.runtime.cache.place import cache_folder, check_private, open_private
from streamseg.runtime.cache.refusals import Refusals

SUFFIX = ".engine"
TIMINGS = ".timings"
_DIGITS = 16
"""Hex digits of the key in a file's name; the whole key is in its header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheEntry:
    """One engine file of the folder."""

    path: Path
    size_bytes: int
    modified: float
    """Seconds since the epoch."""
    header: EngineHeader | None
    problem: str | None
    """Why the header cannot be used, in a sentence; None if it can."""


class EngineCache:
    """Engine files in one folder.

    Args:
        folder: made with mode 0700 when the first engine is stored; None takes `cache_folder`.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder()
        self.graphs = GraphStore(self.folder / "graphs")
        self.refusals = Refusals(self.folder, self.writing)

    def check(self) -> bool:
        """Whether the folder is there; refuses one that is not private.

        Raises:
            CacheError: not a folder, not readable, of another owner, or writable by others.
        """
        try:
            status = os.stat(self.folder)  # noqa: PTH116 - one call, so that all is about one state
        except FileNotFoundError:
            return False
        except OSError as error:
            raise CacheError(f"{self.folder}: cannot be read ({error.strerror})") from error
        if not stat.S_ISDIR(status.st_mode):
            raise CacheError(f"{self.folder}: is a file; set STREAMSEG_CACHE to a folder")
        check_private(status, self.folder)
        return True

    def prepare(self) -> None:
        """Make the folder, private, and see that it can be written.

        Raises:
            CacheError: as `check`, or it cannot be made or written.
        """
        import tempfile  # slow to load, and a run that builds nothing never comes here

        try:
            if not self.check():
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                self.check()  # somebody else may have made it meanwhile
            self.graphs.folder.mkdir(mode=0o700, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass  # the one sure test: read-only disks and access lists say no only here
        except OSError as error:
            raise self.disk_error(error) from error

    def entries(self) -> list[CacheEntry]:
        """Every engine file, the newest first; files of other owners are told in `problem`.

        Raises:
            CacheError: see `check`.
        """
        if not self.check():
            return []
        found = [self._entry(path) for path in self.folder.glob(f"*{SUFFIX}")]
        return sorted((e for e in found if e is not None), key=lambda e: -e.modified)

    def _entry(self, path: Path) -> CacheEntry | None:
        header, problem = None, None
        try:
            with open_private(path) as file:
                status = os.fstat(file.fileno())
                header = read_engine_header(file, path)
                whole = file.tell() + header.payload_bytes
            if status.st_size != whole:
                header, problem = None, "the file has the wrong length; build the engine again"
        except FileNotFoundError:
            return None  # removed since it was listed
        except (CacheError, EngineFileError) as error:
            problem = str(error).removeprefix(f"{path}: ")
            status = path.lstat()
        return CacheEntry(
            path=path,
            size_bytes=status.st_size,
            modified=status.st_mtime,
            header=header,
            problem=problem,
        )

    def problem(self, entry: CacheEntry) -> str | None:
        """Why an engine file cannot be used, with its payload looked at; None if it can."""
        if entry.problem is not None:
            return entry.problem
        try:
            self.load(entry.path)
        except (CacheError, EngineFileError) as error:
            return str(error).removeprefix(f"{entry.path}: ")
        return None

    def lookup(self, key: EngineKey) -> Path | None:
        """The engine file of exactly this key; None if there is none that can be read.

        Raises:
            CacheError: see `check`.
        """
        if not self.check():
            return None
        for path in self.folder.glob(f"*-{key.digest[:_DIGITS]}{SUFFIX}"):
            try:
                with open_private(path) as file:
                    if read_engine_header(file, path).key == key:
                        return path
            except (FileNotFoundError, EngineFileError):
                continue
        return None

    def load(self, path: Path) -> tuple[EngineHeader, bytes]:
        """Header and payload of an engine file, checked.

        Raises:
            EngineFileError: truncated, damaged, foreign, newer, or gone.
            CacheError: the file is not the user's own.
        """
        try:
            with open_private(path) as file:
                header = read_engine_header(file, path)
                return header, read_payload(file, header, path)
        except FileNotFoundError as error:
            raise EngineFileError(f"{path}: no such engine file; build it again") from error

    def store(self, header: EngineHeader, payload: bytes) -> Path:
        """Write an engine under its key, replacing one of the same key; whole or not at all.

        Raises:
            CacheError: the folder is not private or not writable, or the disk is full.
        """
        key = header.key
        model = re.sub(r"[^A-Za-z0-9._]+", "_", header.model)[:40]
        stem = f"{model}-{key.backend}-{key.config.precision}"
        path = self.folder / f"{stem}-{key.digest[:_DIGITS]}{SUFFIX}"
        with self.writing(path) as file:
            write_engine(file, header, payload)
        self.refusals.forget(key)
        return path

    @contextlib.contextmanager
    def writing(self, path: Path) -> Iterator[BinaryIO]:
        """A file that gets the name `path` when the block ends well, and else leaves nothing.

        Raises:
            CacheError: the folder is not private or not writable, or the disk is full.
        """
        self.prepare()
        partial = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
            with os.fdopen(os.open(partial, flags, 0o600), "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # a rename that survives a power cut, without its data
            partial.replace(path)
        except OSError as error:
            raise self.disk_error(error) from error
        finally:
            with contextlib.suppress(OSError):
                partial.unlink(missing_ok=True)

    def disk_error(self, error: OSError) -> CacheError:
        """What an error of the file system means for the user."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return CacheError(
                f"{self.folder}: the disk is full, so the engine was not kept; free some space, "
                "run 'streamseg engines --prune', or choose another disk (STREAMSEG_CACHE, --out)"
            )
        return CacheError(
            f"{self.folder}: engines cannot be written there ({error.strerror}); "
            "choose a folder of your own (STREAMSEG_CACHE, --out)"
        )

    def drop_graph(self, key: EngineKey) -> None:
        """Remove the graph of an engine that was refused, unless another one here has it, too."""
        if key.recipe not in self._recipes():
            self.graphs.drop(key.recipe)

    def _recipes(self) -> set[str]:
        return {entry.header.key.recipe for entry in self.entries() if entry.header is not None}

    def building(
        self, key: EngineKey, on_wait: Callable[[], None] = lambda: None
    ) -> AbstractContextManager[None]:
        """Hold the right to build this key; `on_wait` is called once if another process has it.

        Raises:
            CacheError: the folder is not private or not writable.
        """
        self.prepare()
        return locked(self._lock_path(key), on_wait)

    def _lock_path(self, key: EngineKey) -> Path:
        return self.folder / f".{key.digest[:_DIGITS]}.lock"

    def timing_cache(self, environment: Mapping[str, str]) -> Path:
        """Where TensorRT's measurements of earlier builds are: by its version and the GPU.

        The next build, of another size or model, then measures only what is new.
        """
        parts = (environment.get("tensorrt", "?"), environment.get("gpu", "?"))
        name = re.sub(r"[^A-Za-z0-9.]+", "_", "-".join(parts))
        return self.folder / f"timing-{name}{TIMINGS}"

    def timing_caches(self) -> list[Path]:
        """All files that `timing_cache` named."""
        return sorted(self.folder.glob(f"timing-*{TIMINGS}"))

    def remove(self, path: Path) -> None:
        """Remove an engine file; one that is gone already is fine.

        Raises:
            CacheError: it cannot be removed.
        """
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CacheError(f"{path}: cannot be removed ({error.strerror})") from error

    def sweep(self) -> None:
        """Remove what killed builders left, and graphs that no engine here was made from."""
        if not self.check():
            return
        for path in self.folder.glob(".*.lock"):
            if not is_locked(path):
                with contextlib.suppress(OSError):
                    path.unlink()
        if any(self.folder.glob(".*.lock")):
            return  # somebody builds: the files below may be theirs
        self.graphs.sweep(self._recipes())
        for path in self.folder.glob(".*.part"):
            with contextlib.suppress(OSError):
                path.unlink()
