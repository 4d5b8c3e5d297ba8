"""Soft labels on disk: computed once, memory-mapped afterwards.

A folder holds one ``.npy`` file a picture, named after what it was made from: the picture's bytes,
the teachers' bytes and every key that changes a soft label. So an interrupted run goes on where it
was, another recipe does not meet stale labels, and several recipes may share a folder.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.distil.soft import class_matrix, resize, soft_labels, working_size
from train.distil.teacher import open_teacher
from train.errors import TrainError
from train.settings.distil import DistilConfig

SHAPES_NOTHING = (
    "cache",
    "hold_out",
    "hold_out_names",
    "labelled",
    "temperature",
    "unlabelled",
    "video_seconds",
    "weight",
)
"""Keys of ``[distil]`` that no soft label depends on."""

Read = Callable[[Path], NDArray[np.uint8]]


class SoftCache:
    """Soft labels of pictures, for one list of classes.

    Args:
        config: ``[distil]``.
        classes: names of the network's classes, in order.
    """

    def __init__(self, config: DistilConfig, classes: tuple[str, ...]) -> None:
        self.config, self.classes = config, classes
        self.folder = Path(config.cache)
        values = dataclasses.asdict(config)
        # sides are in each picture's own key: labelled and unlabelled ones have another
        for name in (*SHAPES_NOTHING, "side", "labelled_side", "teachers"):
            del values[name]
        teachers = [_digest(Path(file)) for file in config.teachers]
        self._key = json.dumps([values, teachers, classes], sort_keys=True)

    def file(self, picture: Path, side: int) -> Path:
        """Where a picture's soft labels are kept."""
        text = f"{self._key}{side}{_digest(picture)}"
        return self.folder / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.npy"

    def read(self, picture: Path, side: int) -> NDArray[np.uint8]:
        """Soft labels uint8 ``[K, h, w]``, memory-mapped; `fill` must have been there before.

        Raises:
            TrainError: they are not there, or cut short.
        """
        path = self.file(picture, side)
        try:
            soft: NDArray[np.uint8] = np.load(path, mmap_mode="r")
        except (OSError, ValueError) as error:
            raise TrainError(
                f"{path}: the soft labels of {picture} cannot be read ({error}); remove that file"
            ) from error
        return soft

    def fill(
        self,
        pictures: Sequence[tuple[Path, int]],
        read: Read,
        report: Callable[[int, int], None] = lambda done, of: None,
    ) -> int:
        """Compute what is missing of `pictures` (each with its side); returns how many were.

        Raises:
            TrainError: a teacher or a picture cannot be read, or the folder cannot be written.
        """
        missing = [(p, side) for p, side in pictures if not self.file(p, side).is_file()]
        if not missing:
            return 0
        teachers = []
        for name in self.config.teachers:
            teacher = open_teacher(Path(name))
            teachers.append((teacher, class_matrix(teacher.classes, self.classes, self.config.map)))
        for done, (picture, side) in enumerate(missing):
            report(done, len(missing))
            pixels = read(picture)
            size = working_size(pixels.shape, side, self.config.stride)
            _write(
                self.file(picture, side), soft_labels(resize(pixels, *size), teachers, self.config)
            )
        report(len(missing), len(missing))
        return len(missing)


_digests: dict[tuple[Path, int, int], str] = {}


def _digest(path: Path) -> str:
    """A file's SHA-256, remembered as long as its size and time stay.

    Raises:
        TrainError: it cannot be read.
    """
    try:
        stat = path.stat()
        key = (path, stat.st_size, stat.st_mtime_ns)
        if key not in _digests:
            with path.open("rb") as file:
                _digests[key] = hashlib.file_digest(file, "sha256").hexdigest()
        return _digests[key]
    except OSError as error:
        raise TrainError(f"{path}: cannot be read ({error.strerror})") from error


def _write(path: Path, values: NDArray[Any]) -> None:
    partial = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            np.save(file, values)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise TrainError(
            f"{path.parent}: soft labels cannot be written there ({error.strerror}); "
            "see distil.cache"
        ) from error
