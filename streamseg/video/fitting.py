"""Frames of another size or shape than the first, fitted into it with black bars."""

from __future__ import annotations

from fractions import Fraction

from av.filter import Graph
from av.video.frame import VideoFrame

_MOST_NAMED = 4
_WIDTH_OF_ONE = 1000
_SCALED = "flags=bicubic+accurate_rnd+full_chroma_int"


class Fitter:
    """Makes all frames of a stream fit its first: some broadcasts and calls change in mid-stream.

    Args:
        first: the first frame.
        aspect: of its pixels, width over height.
    """

    def __init__(self, first: VideoFrame, aspect: Fraction) -> None:
        self._size = first.width, first.height
        self._aspect = aspect
        self._last = (*self._size, aspect)
        self._graphs: dict[tuple[int, int, Fraction, str], Graph] = {}
        self._changes = 0
        self._frames = 0
        self._seen: list[str] = []

    def fitted(self, frame: VideoFrame, aspect: Fraction) -> VideoFrame:
        """The frame itself if it is like the first, else one that is, with the picture inside.

        Args:
            frame: with its time.
            aspect: of the pixels of the latest frame that was decoded, which may be shown later.
        """
        if aspect != self._last[2] and not _has_aspect(frame, aspect):
            aspect = self._last[2]
        shape = (frame.width, frame.height, aspect)
        if shape != self._last:
            self._changes += 1
            self._last = shape
        if (frame.width, frame.height) == self._size and aspect == self._aspect:
            return frame
        self._frames += 1
        name = f"{frame.width}x{frame.height}"
        name += f" with pixels {aspect.numerator}:{aspect.denominator}" if aspect != 1 else ""
        if name not in self._seen:
            self._seen.append(name)
        key = (*shape, frame.format.name)
        graph = self._graphs.get(key) or self._graphs.setdefault(key, self._graph(frame, aspect))
        graph.push(frame)
        fitted = graph.vpull()
        fitted.pts, fitted.time_base, fitted.duration = frame.pts, frame.time_base, frame.duration
        return fitted

    def _graph(self, frame: VideoFrame, aspect: Fraction) -> Graph:
        width, height = self._size
        wide = frame.width * aspect / self._aspect  # in pixels of the first frame's shape
        scale = min(width / wide, Fraction(height, frame.height))
        inner = _even(wide * scale, width), _even(frame.height * scale, height)
        graph = Graph()
        graph.link_nodes(
            graph.add_buffer(
                width=frame.width,
                height=frame.height,
                format=frame.format,
                time_base=frame.time_base or Fraction(1, 25),
            ),
            graph.add("scale", f"{inner[0]}:{inner[1]}:{_SCALED}"),
            graph.add("pad", f"{width}:{height}:(ow-iw)/2:(oh-ih)/2"),
            graph.add("format", frame.format.name),
            graph.add("buffersink"),
        ).configure()
        return graph

    @property
    def warnings(self) -> list[str]:
        """What there is to say of it, without the file's name."""
        if not self._changes:
            return []
        named = ", ".join(self._seen[:_MOST_NAMED]) + (
            " …" if len(self._seen) > _MOST_NAMED else ""
        )
        times = "once" if self._changes == 1 else f"{self._changes} times"
        size = f"{self._size[0]}x{self._size[1]}"
        return [
            f"its picture changes size or shape {times}; {self._frames} frames of {named} were "
            f"fitted into {size}, with bars where the shape differs"
        ]


def _has_aspect(frame: VideoFrame, aspect: Fraction) -> bool:
    """Whether a frame's pixels are of that shape.

    PyAV does not say, but a filter may scale by it.
    """
    graph = Graph()
    graph.link_nodes(
        graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=frame.time_base or Fraction(1, 25),
        ),
        graph.add("scale", f"round(sar*{_WIDTH_OF_ONE}):1:eval=frame"),
        graph.add("buffersink"),
    ).configure()
    graph.push(frame)
    return abs(graph.vpull().width - aspect * _WIDTH_OF_ONE) < 1


def _even(side: Fraction, most: int) -> int:
    return max(2, min(most, round(side / 2) * 2))
