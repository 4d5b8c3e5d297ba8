"""Pictures to calibrate with, from a folder or a video. Knows nothing about graphs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.errors import SourceError, UsageError
from streamseg.video.file import FileSource
from streamseg.video.picture import READ, read_picture
from streamseg.video.scaling import Downscale


def calibration_frames(
    source: Path, *, size: tuple[int, int], count: int
) -> Iterator[NDArray[np.uint8]]:
    """Frames uint8 ``[1, H, W, 3]`` RGB, spread evenly over a folder of pictures or a video.

    Args:
        source: folder (not its subfolders), or video file.
        size: width and height the network sees.
        count: how many at most; there are fewer in a shorter source.

    Raises:
        UsageError: no such source, an impossible size or count.
        SourceError: no picture is in the folder, or one (or the video) cannot be read.
    """
    if count < 1:
        raise UsageError(f"count must be at least 1, got {count}")
    if min(size) < 1:
        raise UsageError(f"size must be at least 1x1, got {size[0]}x{size[1]}")
    if not source.exists():
        raise UsageError(f"{source}: no such folder or video to calibrate with")
    if source.is_dir():
        yield from _pictures(source, size, count)
    else:
        yield from _video(source, size, count)


def _pictures(folder: Path, size: tuple[int, int], count: int) -> Iterator[NDArray[np.uint8]]:
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in READ)
    if not files:
        raise SourceError(
            f"{folder}: has no pictures ({', '.join(READ)}); "
            "give the folder that holds them, or a video"
        )
    for index in _spread(len(files), count):
        small = cv2.resize(read_picture(files[index]), size, interpolation=cv2.INTER_AREA)
        yield np.asarray(small, np.uint8)[None]


def _video(path: Path, size: tuple[int, int], count: int) -> Iterator[NDArray[np.uint8]]:
    with FileSource(path, all_streams=False) as source:
        expected = source.info.frames_expected
        wanted = set(_spread(expected, count)) if expected else None
        shrink = Downscale(size, source.info.orientation)
        given = 0
        for item in source:
            # A header that promises too much costs frames at the end, never all of them.
            if wanted is None or item.index in wanted:
                small = shrink([item])[0].small_HWC
                assert small is not None, "Downscale fills it in"
                yield np.array(small[None])
                given += 1
            if given == count:
                return


def _spread(available: int, count: int) -> list[int]:
    """Up to `count` different indices below `available`, evenly apart, from the first on."""
    taken = min(available, count)
    return [index * available // taken for index in range(taken)]
