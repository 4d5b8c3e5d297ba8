"""What was built here in vain, and why: so that no run spends minutes on it again unasked.

One file for each key that the gate refused or that a backend could not build, in the folder of
engines. An engine that is stored under the key, or ``streamseg engines --prune``, ends it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import BinaryIO

from streamseg.errors import CacheError
from streamseg.runtime.cache.enginekey import EngineKey
from streamseg.runtime.cache.place import open_private

SUFFIX = ".refused"
_DIGITS = 16
_MOST_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A build that led to nothing."""

    path: Path
    key: EngineKey
    model: str
    """The model's name, for people."""
    why: str
    """A sentence: of the gate, or of the backend that failed."""
    noted_at: str
    """UTC, ISO 8601."""


class Refusals:
    """The refusals in one folder.

    Args:
        folder: the private folder of a cache.
        writing: `EngineCache.writing`.
    """

    def __init__(
        self, folder: Path, writing: Callable[[Path], AbstractContextManager[BinaryIO]]
    ) -> None:
        self._folder, self._writing = folder, writing

    def find(self, key: EngineKey) -> Refusal | None:
        """The refusal of exactly this key; None if it was never refused, or nobody can read why."""
        found = _read(self._path(key))
        return found if found is not None and found.key == key else None

    def note(self, key: EngineKey, model: str, why: str) -> None:
        """Remember one; an earlier one of the same key is replaced.

        Raises:
            CacheError: the folder cannot be written.
        """
        now = datetime.now(timezone.utc).isoformat(timespec="seconds")  # noqa: UP017
        values = {"key": key.to_dict(), "model": model, "why": why, "noted_at": now}
        with self._writing(self._path(key)) as file:
            file.write(json.dumps(values, sort_keys=True).encode())

    def forget(self, key: EngineKey) -> None:
        """Forget one; none being there is fine."""
        self.remove(self._path(key))

    def remove(self, path: Path) -> None:
        """Remove the file of one; one that is gone already is fine.

        Raises:
            CacheError: it cannot be removed.
        """
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CacheError(f"{path}: cannot be removed ({error.strerror})") from error

    def entries(self) -> list[Refusal]:
        """All that can be read, the newest first."""
        found = [_read(path) for path in self._folder.glob(f"*{SUFFIX}")]
        return sorted((one for one in found if one is not None), key=lambda r: r.noted_at)[::-1]

    def unreadable(self) -> list[Path]:
        """Files that tell nothing: damaged, or of an earlier streamseg."""
        return [path for path in self._folder.glob(f"*{SUFFIX}") if _read(path) is None]

    def _path(self, key: EngineKey) -> Path:
        return self._folder / f"{key.digest[:_DIGITS]}{SUFFIX}"


def _read(path: Path) -> Refusal | None:
    # A RecursionError is what deeply nested JSON ends in.
    broken = (CacheError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)
    with contextlib.suppress(*broken), open_private(path) as file:
        values = json.loads(file.read(_MOST_BYTES))
        return Refusal(
            path=path,
            key=EngineKey.from_dict(values["key"]),
            model=str(values["model"]),
            why=str(values["why"]),
            noted_at=str(values["noted_at"]),
        )
    return None
