"""Interlaced video: encoders that keep its fields, frames marked as such, and frames made whole."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction

from av.filter import Graph
from av.video.frame import VideoFrame

from streamseg.closing import ClosedAtExit
from streamseg.video.source import AnyPacket, FieldOrder, Item, Source

FIELD_ORDERS = {"tff": 2, "bff": 3}
"""AVFieldOrder (libavcodec/defs.h): the field that is coded and shown first."""
_KEEP_FIELDS = ("libx264", "mpeg2video", "mpeg4", "prores_ks", "ffv1", "ffvhuff")
"""Encoders that code fields, or at least say which comes first."""


def keeps_fields(codec: str, size: tuple[int, int]) -> bool:
    """Whether what an encoder writes is interlaced again.

    Args:
        codec: its own name.
        size: width and height.
    """
    # x264 halves the rows of each field once more for chroma.
    return codec in _KEEP_FIELDS and not (codec == "libx264" and size[1] % 4)


def options_for(codec: str, order: FieldOrder) -> dict[str, str]:
    """What an encoder is told to code fields."""
    options = {"flags": "+ildct+ilme"}
    if codec == "libx264":
        options["x264-params"] = f"{order}=1"
    return options


class FieldMarker:
    """Marks frames as interlaced: encoders look at each.

    Args:
        order: which field comes first.
    """

    def __init__(self, order: FieldOrder) -> None:
        self._order = order
        self._graph: Graph | None = None

    def marked(self, frame: VideoFrame) -> VideoFrame:
        """The same samples, marked."""
        if self._graph is None:
            self._graph = _graph(frame, "setfield", f"mode={self._order}")
        self._graph.push(frame)
        marked = self._graph.vpull()
        marked.pts, marked.time_base, marked.duration = frame.pts, frame.time_base, frame.duration
        return marked


class Deinterlaced(ClosedAtExit):
    """A source whose frames are made whole: one for each, at its time; see `Source`.

    Frames that are not flagged as interlaced stay as they are.

    Args:
        video: opened; closing it is this source's.
    """

    def __init__(self, video: Source) -> None:
        self._video = video
        self.info = replace(video.info, field_order=None)

    @property
    def leftover(self) -> list[AnyPacket]:
        """As the source's."""
        return self._video.leftover

    @property
    def warnings(self) -> list[str]:
        """As the source's."""
        return self._video.warnings

    def __iter__(self) -> Iterator[Item]:
        graph: Graph | None = None
        waiting: deque[Item] = deque()
        for item in self._video:
            graph = graph or _graph(item.frame, "bwdif", "mode=send_frame:deint=interlaced")
            graph.push(item.frame)
            waiting.append(item)
            yield from _ready(graph, waiting)
        if graph is not None:
            graph.push(None)
            yield from _ready(graph, waiting)

    def close(self) -> None:
        """Close the source."""
        self._video.close()


def _ready(graph: Graph, waiting: deque[Item]) -> Iterator[Item]:
    while waiting:
        try:
            frame = graph.vpull()
        except (BlockingIOError, EOFError):  # it looks one frame ahead
            return
        item = waiting.popleft()
        given = item.frame
        frame.pts, frame.time_base, frame.duration = given.pts, given.time_base, given.duration
        item.frame = frame
        yield item


def _graph(frame: VideoFrame, name: str, options: str) -> Graph:
    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1, 25),
        ),
        graph.add(name, options),
        graph.add("buffersink"),
    ).configure()
    return graph
