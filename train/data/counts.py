"""Pixels per class over many label files: read by several threads, remembered between runs.

Class weights need the counts before the first step; reading the 118,287 label files of COCO-Stuff
takes minutes. The counts of big splits are kept as small JSON files in the user's cache folder:
``$STREAMSEG_COUNTS``, else ``streamseg/class_pixels`` below ``$XDG_CACHE_HOME`` or ``~/.cache``. A
file is named by the hash of all label files' names, sizes and times of change, so changed labels
are counted again; a cache that cannot be read or written is no error.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.data.items import Item

REMEMBER_FROM = 500
"""Splits of fewer label files are counted each time: that takes seconds."""
_FORMAT = 1


def cache_folder() -> Path:
    """Where counts are remembered."""
    if chosen := os.environ.get("STREAMSEG_COUNTS"):
        return Path(chosen).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "streamseg" / "class_pixels"


def _key(items: Sequence[Item]) -> str | None:
    """Names the label files as they are now; None if one is not there (reading it says why)."""
    digest = hashlib.blake2b(str(_FORMAT).encode(), digest_size=16)
    readers: dict[int, None] = {}
    for item in items:
        try:
            status = item.labels.stat()
        except OSError:
            return None
        line = f"{item.labels.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
        if id(item.read_labels) not in readers:  # one reader serves a whole split
            readers[id(item.read_labels)] = None
            digest.update(repr(item.read_labels).encode())
    return digest.hexdigest()


def _remembered(path: Path) -> NDArray[np.int64] | None:
    try:
        counts = np.array(json.loads(path.read_text()), dtype=np.int64)
    except (OSError, ValueError, TypeError, OverflowError):
        return None
    return counts if counts.shape == (256,) and counts.min() >= 0 else None


def _remember(path: Path, counts: NDArray[np.int64]) -> None:
    partial = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(counts.tolist()))
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()


def count_pixels(
    items: Sequence[Item], report: Callable[[int, int], None] = lambda done, of: None
) -> NDArray[np.int64]:
    """Pixels of each value 0..255 over the items' label files, int64 ``[256]``.

    Raises:
        TrainError: a label file cannot be read.
    """
    key = _key(items) if len(items) >= REMEMBER_FROM else None
    path = cache_folder() / f"{key}.json" if key else None
    if path is not None and (known := _remembered(path)) is not None:
        report(len(items), len(items))
        return known

    def count(item: Item) -> NDArray[np.int64]:
        return np.bincount(item.read_labels(item.labels).ravel(), minlength=256)

    counts = np.zeros(256, dtype=np.int64)
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            # Decoders release the interpreter; chunks keep the queue of results small.
            for start in range(0, len(items), 256):
                for done, one in enumerate(pool.map(count, items[start : start + 256]), start + 1):
                    counts += one
                    report(done, len(items))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if path is not None:
        _remember(path, counts)
    return counts
