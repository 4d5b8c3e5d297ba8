"""What is shown and recorded while a camera sends nothing: its last picture, dimmed, and words."""

from __future__ import annotations

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from streamseg.drawing.yuv import LAYOUTS, new_frame_like, planes_of, to_supported

_FALLBACK_FORMAT = "yuv420p"
_DIMMED_TO = 4
"""One over how much of the picture's contrast is left."""
_FONT = cv2.FONT_HERSHEY_SIMPLEX


def no_signal(last: VideoFrame, silent_seconds: float) -> VideoFrame:
    """A new frame like the last one, dimmed and grey, that says since when nothing came.

    Args:
        last: what the camera showed; not changed.
        silent_seconds: how long ago.
    """
    pixel_format = last.format.name if last.format.name in LAYOUTS else _FALLBACK_FORMAT
    source = to_supported(last, pixel_format, (last.width, last.height), VideoReformatter())
    frame = new_frame_like(source, source.width, source.height)
    bits = LAYOUTS[pixel_format].bits
    for index, (old, new) in enumerate(zip(planes_of(source), planes_of(frame), strict=True)):
        # In steps of 16 bits: 8-bit sums would wrap.
        new[:] = 2 ** (bits - 1) if index else old // _DIMMED_TO + 2 ** (bits - 4)
    luma = planes_of(frame)[0]
    _write(luma, f"NO SIGNAL {_clock(silent_seconds)}", 235 * 2 ** (bits - 8))
    return frame


def _write(luma: np.ndarray, text: str, white: int) -> None:
    height, width = luma.shape
    scale = width * 0.7 / cv2.getTextSize(text, _FONT, 1.0, 1)[0][0]
    thick = max(1, round(scale * 2))
    (text_width, text_height), _ = cv2.getTextSize(text, _FONT, scale, thick)
    at = ((width - text_width) // 2, (height + text_height) // 2)
    mask = np.zeros((height, width), np.uint8)
    cv2.putText(mask, text, at, _FONT, scale, 255, thick, cv2.LINE_AA)
    luma[mask > 127] = white


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
