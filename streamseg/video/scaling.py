"""Frames to what a network sees: small, RGB, upright. Knows nothing about engines."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from streamseg.drawing.orientation import AS_STORED, Orientation
from streamseg.drawing.transfer import SDR, to_sdr
from streamseg.drawing.yuv import EXACT, FULL, ColourSpec, planes_of
from streamseg.video.source import Item

SHRINK = 0x20 | EXACT
"""SWS_AREA averages when it shrinks: bilinear would skip pixels of a large frame."""

_DEEP_RGB = "gbrp16le"
"""swscale's packed RGB of 16 bits is wrong with these flags: green and blue of some pixels."""


class Downscale:
    """Frames to RGB at the network's size: one swscale pass, upright.

    Args:
        net_size: width and height the network sees.
        orientation: how a player turns and mirrors the frames.
    """

    def __init__(self, net_size: tuple[int, int], orientation: Orientation = AS_STORED) -> None:
        self._orientation = orientation
        self._size = orientation.shown_size(*net_size)
        self._reformatter = VideoReformatter()

    def __call__(self, items: list[Item]) -> list[Item]:
        """Fill in `small_HWC`."""
        for item in items:
            item.small_HWC = self._shrink(item.frame)
        return items

    def _shrink(self, frame: VideoFrame) -> NDArray[np.uint8]:
        """RGB of 8 bits; high dynamic range as an SDR screen shows it."""
        colour = ColourSpec.of(frame)
        is_rgb = frame.format.is_rgb or frame.format.has_palette
        small = self._reformatter.reformat(
            frame,
            width=self._size[0],
            height=self._size[1],
            format="rgb24" if colour.transfer == SDR else _DEEP_RGB,
            src_colorspace=colour.sws_colorspace,
            src_color_range=FULL if is_rgb else colour.av_range,
            dst_color_range=FULL,
            interpolation=SHRINK,
            threads=1,
        )
        if colour.transfer != SDR:
            green, blue, red = planes_of(small)
            signal = np.stack([red, green, blue], axis=-1)
            return self._orientation.upright(to_sdr(signal, colour.transfer))
        plane = small.planes[0]
        rows = np.frombuffer(memoryview(plane), np.uint8)[: plane.line_size * small.height]
        rgb = rows.reshape(small.height, plane.line_size)[:, : small.width * 3]
        return self._orientation.upright(rgb.reshape(small.height, small.width, 3))
