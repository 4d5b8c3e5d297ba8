"""The display matrix of frames: read from where FFmpeg puts it."""

from __future__ import annotations

import struct
from typing import TypeAlias

from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame

from streamseg.drawing.orientation import Orientation, nearest_to_matrix
from streamseg.video.sidedata import side_data_of

DisplayMatrix: TypeAlias = tuple[int, ...]
"""Nine integers, as FFmpeg keeps them (libavutil/display.h): 16.16 and 2.30 fixed point."""

_INTEGERS = struct.Struct("=9i")


def display_matrix(frame: VideoFrame) -> DisplayMatrix | None:
    """What a frame's container, or its codec (SEI, EXIF), says of how it is shown; None: nothing.

    A matrix that neither turns nor mirrors, scales nor shears is None too.
    """
    data = side_data_of(frame).get(Type.DISPLAYMATRIX)
    if data is None or data.buffer_size < _INTEGERS.size:
        return None
    matrix = _INTEGERS.unpack(bytes(data)[: _INTEGERS.size])
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    upright = b == c == 0 and a == d >= 0
    return None if upright else matrix


def orientation_of(frame: VideoFrame) -> Orientation:
    """How a frame is shown: the nearest of the eight orientations."""
    return nearest_to_matrix(display_matrix(frame))


def fitted_matrix(
    matrix: DisplayMatrix, stored: tuple[int, int], written: tuple[int, int]
) -> DisplayMatrix:
    """A display matrix for pictures of another size: what it moves grows along.

    Some recorders move the turned picture back to the corner by its width or height.

    Args:
        matrix: of the source.
        stored: width and height it was made for.
        written: width and height of the pictures that get it.
    """
    orientation = nearest_to_matrix(matrix)
    before, after = orientation.shown_size(*stored), orientation.shown_size(*written)
    moved = list(matrix)
    for index, old, new in zip((6, 7), before, after, strict=True):
        moved[index] = round(moved[index] * new / old)
    return tuple(moved)
