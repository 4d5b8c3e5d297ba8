"""What is in picture files and label files: pixels, numbers, classes. Knows no data set.

Shape legend: H height, W width.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from train.errors import TrainError

IGNORE = 255
"""Label of pixels that no loss and no metric looks at."""

PICTURE_SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".png", ".ppm", ".tif", ".tiff", ".webp"})

_UNREADABLE = (
    UnidentifiedImageError,
    Image.DecompressionBombError,
    OSError,
    SyntaxError,
    ValueError,
)
"""What Pillow raises of files that it cannot read."""


def decode_picture(data: bytes | Path, path: Path, *, upright: bool = False) -> NDArray[np.uint8]:
    """RGB uint8 ``[H, W, 3]`` of encoded bytes or of a file.

    Args:
        data: what to decode.
        path: the file to name in messages.
        upright: turn the picture as its EXIF tag says.

    Raises:
        TrainError: Pillow cannot read it.
    """
    try:
        with Image.open(io.BytesIO(data) if isinstance(data, bytes) else data) as picture:
            if upright:
                ImageOps.exif_transpose(picture, in_place=True)
            return _rgb(picture, path)
    except _UNREADABLE as error:
        raise TrainError(f"{path}: cannot be read as a picture ({_why(error)})") from error


def _why(error: Exception) -> str:
    """Pillow's reason, without the name of the file or of the buffer that it had."""
    unknown = isinstance(error, UnidentifiedImageError)
    return "in no format that Pillow knows" if unknown else str(error)


def _rgb(picture: Image.Image, path: Path) -> NDArray[np.uint8]:
    """RGB of any mode; writable, as torch shares it.

    Of 16 bits the upper 8 are taken, of grey as Pillow takes them of colour: its own conversion of
    grey cuts everything above 255 off, which leaves a white picture.
    """
    if picture.mode.startswith("I;16") or (picture.mode == "I" and picture.format == "PNG"):
        grey = (np.asarray(picture).astype(np.int64) >> 8).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.mode in ("I", "F"):
        raise TrainError(
            f"{path}: has 32 bits a pixel (mode {picture.mode}), whose range nothing says; save it "
            "with 8 or 16 bits"
        )
    return np.array(picture.convert("RGB"))


def read_picture(path: Path, *, upright: bool = False) -> NDArray[np.uint8]:
    """RGB uint8 ``[H, W, 3]`` of a file, see `decode_picture`.

    Raises:
        TrainError: Pillow cannot read the file.
    """
    return decode_picture(path, path, upright=upright)


def read_numbers(path: Path) -> NDArray[np.integer]:
    """Numbers of an index picture ``[H, W]``, as stored.

    Raises:
        TrainError: unreadable, or a colour picture where an index picture belongs.
    """
    try:
        with Image.open(path) as picture:
            if picture.mode not in ("L", "P", "1", "I", "I;16"):
                raise TrainError(
                    f"{path}: labels must be an index picture (mode L or P), got {picture.mode}; "
                    "write each pixel's class number, not its colour"
                )
            numbers = np.asarray(picture)
    except _UNREADABLE as error:
        raise TrainError(f"{path}: cannot be read as a picture ({_why(error)})") from error
    return numbers.astype(np.uint8) if numbers.dtype == bool else numbers


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexLabels:
    """Reads a file of numbers as class indices; picklable, as loader processes need it."""

    classes: Mapping[int, int]
    """Class index of each number in the file."""
    void: frozenset[int] = frozenset()
    """Numbers that are no class on purpose; they become `IGNORE`."""
    meaning: str
    """Which numbers are right, for the message about a wrong one."""
    numbers: Callable[[Path], NDArray[np.integer]] = field(default=read_numbers, repr=False)

    def __call__(self, path: Path) -> NDArray[np.uint8]:
        """Class indices uint8 ``[H, W]``.

        Raises:
            TrainError: unreadable, or a number that is neither a class nor void: a wrong class list
                would otherwise pass for a few ignored pixels.
        """
        numbers = self.numbers(path)
        known = {**self.classes, **dict.fromkeys(self.void, IGNORE)}
        strangers = [number for number in _distinct(numbers) if number not in known]
        if strangers:
            listed = ", ".join(str(number) for number in strangers[:5])
            more = f" and {len(strangers) - 5} more" if len(strangers) > 5 else ""
            raise TrainError(f"{path}: {listed}{more} is no class number; {self.meaning}")
        table = np.full(max(known) + 1, IGNORE, dtype=np.uint8)
        for number, index in known.items():
            table[number] = index
        return np.take(table, numbers)


def _distinct(numbers: NDArray[np.integer]) -> list[int]:
    """The numbers that occur, rising; counted where that is quicker than sorting."""
    if numbers.size and numbers.min() >= 0 and numbers.max() < 1 << 16:
        return np.flatnonzero(np.bincount(numbers.ravel())).tolist()
    return [int(number) for number in np.unique(numbers)]
