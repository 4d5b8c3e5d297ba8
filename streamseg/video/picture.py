"""Pictures in and out, through OpenCV."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.errors import OutputError, SourceError, UsageError
from streamseg.video.output import OutputPath, cannot_write

KINDS = {".jpg": "jpeg", ".jpeg": "jpeg", ".png": "png", ".webp": "webp"}
"""Suffix of a picture that is written -> its format."""
READ = (*KINDS, ".bmp", ".tif", ".tiff")
"""Suffixes of the pictures that are looked for in a folder."""

_OPTIONS = {
    "jpeg": [cv2.IMWRITE_JPEG_QUALITY, 95],
    "png": [],
    "webp": [cv2.IMWRITE_WEBP_QUALITY, 101],  # above 100 is lossless
}


def read_picture(path: Path) -> NDArray[np.uint8]:
    """A picture as RGB uint8 ``[H, W, 3]``, upright as EXIF says.

    16 bits a sample become 8, grey becomes RGB, transparency is left out; of an animation it is the
    first picture.

    Raises:
        SourceError: there is no such file, or it is no picture.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise SourceError(f"{path}: cannot be read ({error.strerror})") from error
    bgr = None
    if data:
        try:
            bgr = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        except cv2.error:  # e.g. more pixels than OpenCV takes
            bgr = None
    if bgr is None:
        raise SourceError(
            f"{path}: is no picture that can be read (JPEG, PNG, WebP, TIFF, BMP), or is damaged"
        )
    return np.ascontiguousarray(bgr[..., ::-1], dtype=np.uint8)


def check_picture_place(
    path: Path, *, overwrite: bool, source: Path | None = None, lossless: bool = False
) -> OutputPath:
    """Refuse, before any work, a place where a picture cannot go; see `OutputPath.check`.

    Args:
        path: file to write.
        overwrite: whether it may replace one.
        source: what is read, and must not be written to.
        lossless: every sample must come back as it is: PNG only.
    """
    kinds = {".png": "png"} if lossless else KINDS
    return OutputPath.check(path, overwrite=overwrite, source=source, kinds=kinds)


def write_picture(place: OutputPath, picture: NDArray[np.uint8]) -> None:
    """Write RGB uint8 ``[H, W, 3]``, RGBA ``[H, W, 4]`` (not as JPEG) or grey ``[H, W]``.

    The file appears when it is complete.

    Raises:
        UsageError: a picture of another shape or dtype, or too large for the format.
        OutputError: the disk is full, or the folder may not be written to.
    """
    if (
        picture.dtype != np.uint8
        or picture.ndim not in (2, 3)
        or picture.shape[2:] not in ((), (3,), (4,))
    ):
        raise UsageError(
            "a picture must be uint8 [H, W, 3], [H, W, 4] or [H, W], "
            f"got {picture.dtype} {picture.shape}"
        )
    bgr = picture if picture.ndim == 2 else picture[..., [2, 1, 0, 3][: picture.shape[2]]]
    try:
        done, data = cv2.imencode(
            place.final.suffix.lower(), np.ascontiguousarray(bgr), _OPTIONS[place.muxer]
        )
    except cv2.error as error:
        raise OutputError(f"{place.final}: the picture cannot be encoded ({error.err})") from error
    if not done:
        height, width = picture.shape[:2]
        raise OutputError(f"{place.final}: a picture of {width}x{height} cannot be encoded so")
    place.claim()
    try:
        place.partial.write_bytes(data.tobytes())
        place.publish()
    except OSError as error:
        raise cannot_write(place, error) from error
    finally:
        place.discard()
