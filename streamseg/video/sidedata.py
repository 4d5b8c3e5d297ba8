"""What decoders attach to frames, beside the samples."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import cast

from av.filter import Graph
from av.sidedata.sidedata import SideData, Type
from av.video.frame import VideoFrame

_KINDS_OF_FFMPEG = 64
"""More than there are; those that PyAV has no name for make the others unreadable."""
_UNNAMED = sorted(set(range(_KINDS_OF_FFMPEG)) - {kind.value for kind in Type})


def side_data_of(frame: VideoFrame) -> Mapping[Type, SideData]:
    """The side data that PyAV has names for.

    A photo's EXIF has none, and one such entry hides all the others: they are taken off a copy.
    """
    try:
        return _by_kind(frame)
    except ValueError:
        graph = Graph()
        nodes = [
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base or Fraction(1, 25),
            ),
            *(graph.add("sidedata", f"mode=delete:type={kind}") for kind in _UNNAMED),
            graph.add("buffersink"),
        ]
        graph.link_nodes(*nodes).configure()
        graph.push(frame)
        return _by_kind(graph.vpull())


def _by_kind(frame: VideoFrame) -> Mapping[Type, SideData]:
    return cast("Mapping[Type, SideData]", frame.side_data)  # PyAV's stub says something else
