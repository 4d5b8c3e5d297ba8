"""Decoded pictures and labels in one file, memory-mapped: shared by all processes.

Decoding a picture of 2048x1024 takes a tenth of a second of a core, copying it out of the page
cache a thousandth. Knows nothing about augmentation. Shape legend: H height, W width.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.data.items import Item
from train.errors import TrainError

Pair = tuple[NDArray[np.uint8], NDArray[np.uint8]]
_FORMAT = 1


def _key(items: Sequence[Item], prepared: str) -> str:
    """Changes when a file, its reading or what is done to it does."""
    digest = hashlib.sha256(f"{_FORMAT} {prepared}".encode())
    for item in items:
        for path in (item.picture, item.labels):
            found = path.stat()
            digest.update(f"\0{path.resolve()} {found.st_size} {found.st_mtime_ns}".encode())
        for read in (item.read_picture, item.read_labels):
            digest.update(f"\0{read!r}".split(" at 0x")[0].encode())
    return digest.hexdigest()[:24]


class RawCache:
    """Pairs of a split, ``[H, W, 3]`` and ``[H, W]`` uint8, one after another in a file.

    Args:
        folder: where the file lies, or is made: ``KEY.u8``, and ``KEY.json`` with the sizes.
        items: the split.
        prepared: what is done to each pair before it is kept, in words; part of the key.
        read: reads a pair from its own files.
        report: called with pairs done and their number while the file is made.

    Raises:
        TrainError: the folder cannot be written, or a pair cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        items: Sequence[Item],
        prepared: str,
        read: Callable[[int], Pair],
        report: Callable[[int, int], None] = lambda done, of: None,
    ) -> None:
        key = _key(items, prepared)
        self.file, self.index = folder / f"{key}.u8", folder / f"{key}.json"
        if not self.index.is_file():
            try:
                folder.mkdir(parents=True, exist_ok=True)
                self._fill(len(items), read, report)
            except OSError as error:
                raise TrainError(
                    f"{folder}: data.cache cannot be written ({error.strerror or error})"
                ) from error
        self._sizes: list[tuple[int, int]] = [
            (height, width) for height, width in json.loads(self.index.read_text())
        ]
        ends = np.cumsum([4 * height * width for height, width in self._sizes], dtype=np.int64)
        self._starts = [0, *(int(end) for end in ends)]
        if self.file.stat().st_size != self._starts[-1]:
            raise TrainError(f"{self.file}: cut short; delete it and {self.index.name}")

    def _fill(
        self, count: int, read: Callable[[int], Pair], report: Callable[[int, int], None]
    ) -> None:
        """Write both files, the index last and each under its name only when it is whole."""
        partial = self.file.with_suffix(f".{os.getpid()}.part")
        sizes: list[tuple[int, int]] = []
        try:
            with partial.open("wb") as file:
                for index in range(count):
                    picture, labels = read(index)
                    self._check_room(picture.nbytes + labels.nbytes, count - index)
                    for array in (picture, labels):
                        file.write(array.tobytes())
                    sizes.append((labels.shape[0], labels.shape[1]))
                    report(index + 1, count)
            partial.replace(self.file)
        finally:
            partial.unlink(missing_ok=True)
        partial = self.index.with_suffix(f".{os.getpid()}.part")
        partial.write_text(json.dumps(sizes))
        partial.replace(self.index)

    def _check_room(self, pair: int, left: int) -> None:
        """Stop before the disk is full, not when it is."""
        free = shutil.disk_usage(self.file.parent).free
        if free < pair * left + (256 << 20):
            raise TrainError(
                f"{self.file.parent}: data.cache needs some {pair * left / 1e9:.1f} GB more, and "
                f"{free / 1e9:.1f} are free; choose another folder"
            )

    def read(self, index: int) -> Pair:
        """A pair; the arrays are views of the mapped file and must not be written to."""
        height, width = self._sizes[index]
        mapped = np.memmap(
            self.file,
            dtype=np.uint8,
            mode="r",
            offset=self._starts[index],
            shape=(4 * height * width,),
        )
        area = 3 * height * width
        picture = mapped[:area].reshape(height, width, 3)
        return picture, mapped[area:].reshape(height, width)
