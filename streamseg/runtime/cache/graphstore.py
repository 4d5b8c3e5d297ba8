"""The graphs that engines were made from, kept so that a rebuild needs no pictures.

A file's name is its recipe (see `EngineKey.recipe`) and the checksum of what must be in it: a graph
that was damaged since is not found. Knows nothing about how graphs are made.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Collection
from pathlib import Path

from streamseg.errors import CacheError
from streamseg.runtime.cache.enginekey import file_sha256

_RECIPE_DIGITS, _CHECK_DIGITS = 32, 16


class GraphStore:
    """Graphs in one folder.

    Args:
        folder: within the private folder of a cache; whoever keeps a graph makes it first.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find(self, recipe: str) -> Path | None:
        """The graph of a recipe; None if there is none, or only a damaged one.

        Raises:
            CacheError: it cannot be read.
        """
        for path in self._of(recipe):
            try:
                if path.stem.endswith(_check(path)):
                    return path
            except OSError as error:
                raise CacheError(f"{path}: cannot be read ({error.strerror}); remove it") from error
        return None

    def keep(self, recipe: str, made: Path) -> Path:
        """Move a finished graph to where `find` finds it, in place of an earlier one.

        Args:
            recipe: what it was made by.
            made: file on the same disk.

        Raises:
            OSError: it cannot be moved.
        """
        former = self._of(recipe)
        kept = made.replace(self.folder / f"{recipe[:_RECIPE_DIGITS]}-{_check(made)}.onnx")
        for path in former:
            if path != kept:
                path.unlink(missing_ok=True)
        return kept

    def drop(self, recipe: str) -> None:
        """Remove the graph of a recipe, if there is one and it can be removed."""
        for path in self._of(recipe):
            with contextlib.suppress(OSError):
                path.unlink()

    def sweep(self, used: Collection[str]) -> None:
        """Remove the graphs of all recipes but those `used`, and what killed builders left."""
        for scratch in self.folder.glob(".*"):
            shutil.rmtree(scratch, ignore_errors=True)
        keep = {path for recipe in used for path in self._of(recipe)}
        for path in set(self.folder.glob("*.onnx")) - keep:
            with contextlib.suppress(OSError):
                path.unlink()

    def _of(self, recipe: str) -> list[Path]:
        return sorted(self.folder.glob(f"{recipe[:_RECIPE_DIGITS]}-*.onnx"))


def _check(path: Path) -> str:
    return file_sha256(path)[:_CHECK_DIGITS]
