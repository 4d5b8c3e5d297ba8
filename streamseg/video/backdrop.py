"""Backdrops from files: a picture, or a video that begins anew when it ends."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from streamseg.drawing.background import Backdrop, plain_backdrop
from streamseg.drawing.options import DrawOptions
from streamseg.drawing.yuv import EXACT, FULL, ColourSpec, is_rgb_format
from streamseg.video.file import FileSource
from streamseg.video.picture import READ, read_picture
from streamseg.video.source import Item

_ROUNDING = 1e-4
"""Seconds: differences of times in floating point are not exact."""


class Still:
    """A picture."""

    def __init__(self, path: Path) -> None:
        self._rgb = read_picture(path)

    def rgb_at(self, seconds: float) -> NDArray[np.uint8]:
        """The picture."""
        return self._rgb

    def close(self) -> None:
        """Nothing is open."""


class Moving:
    """A video; its first frame is seen at the first time asked for."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._began: float | None = None
        self._open()

    def _open(self) -> None:
        self._video = FileSource(self._path, all_streams=False)
        self._frames: Iterator[Item] = iter(self._video)
        self._next: Item | None = next(self._frames)
        self._rgb = self._as_rgb(self._next.frame)

    def rgb_at(self, seconds: float) -> NDArray[np.uint8]:
        """The frame that is shown then; times must not go back."""
        self._began = seconds if self._began is None else self._began
        wanted, before = seconds - self._began + _ROUNDING, None
        while self._next is not None and self._at(self._next) <= wanted:
            before, self._next = self._next, next(self._frames, None)
        if self._next is None:
            assert before is not None, "the last frame was just taken"
            if wanted >= self._at(before) + float(1 / self._video.info.rate):
                self.close()
                self._began = seconds
                self._open()
                return self._rgb
            self._next = before  # its time has not passed
        if before is not None:
            self._rgb = self._as_rgb(before.frame)
        return self._rgb

    def _at(self, item: Item) -> float:
        shown = (item.frame.pts or 0) * (item.frame.time_base or Fraction(0))
        return float(shown - self._video.info.first_shown)

    def _as_rgb(self, frame: VideoFrame) -> NDArray[np.uint8]:
        colour = ColourSpec.of(frame)
        full = FULL if is_rgb_format(frame.format) else colour.av_range
        rgb = frame.reformat(
            format="rgb24",
            src_colorspace=colour.sws_colorspace,
            src_color_range=full,
            dst_color_range=FULL,
            interpolation=EXACT,
        ).to_ndarray()
        upright = self._video.info.orientation.upright(rgb)
        return np.ascontiguousarray(upright, np.uint8)

    def close(self) -> None:
        """Close the file."""
        if isinstance(self._frames, Generator):
            self._frames.close()
        self._video.close()


def open_backdrop(draw: DrawOptions) -> Backdrop | None:
    """What options ask for behind what is kept; None blurs.

    Raises:
        SourceError: the file is neither a picture nor a video.
    """
    if draw.mode == "blur" or not draw.changes_background:
        return None
    plain = plain_backdrop(draw)
    if plain is not None or draw.background is None:
        return plain
    path = Path(draw.background)
    return Still(path) if path.suffix.lower() in READ else Moving(path)
