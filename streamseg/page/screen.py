"""The newest segmented picture of a live run, for whoever looks.

A run only hands frames over, which costs nothing. They are drawn by those who look: once for all of
them, never twice, and not at all while nobody does. A viewer who is slow gets fewer pictures.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from streamseg.drawing.classes import class_alphas, covered_classes, kept_classes
from streamseg.drawing.composite import Compositor
from streamseg.drawing.options import DrawOptions
from streamseg.errors import UsageError
from streamseg.labelmaps.sink import LabelSink
from streamseg.models.colours import recoloured
from streamseg.models.modelfile import ModelHeader
from streamseg.page.recent import Recent
from streamseg.run.job import RunProgress
from streamseg.video.backdrop import open_backdrop
from streamseg.video.source import Item, Source, SourceInfo

_WIDEST = 1280
"""Pixels; what is wider is shrunk before it is drawn."""
_QUALITY = 80
_SNAPSHOT_QUALITY = 95
_MOST_EVENTS = 200


@dataclass(frozen=True, slots=True)
class Picture:
    """A drawn frame."""

    number: int
    """Grows with every picture."""
    jpeg: bytes


@dataclass(frozen=True, slots=True)
class _Opened:
    source: Source
    info: SourceInfo
    size: tuple[int, int]
    header: ModelHeader


class Screen(LabelSink):
    """What a page shows of one live run; safe to use from several threads.

    Args:
        draw: how labels are drawn at first.
    """

    def __init__(self, draw: DrawOptions | None = None) -> None:
        super().__init__()
        self._draw = draw or DrawOptions()
        self._changed = threading.Condition()
        self._opened: _Opened | None = None
        self._frame: VideoFrame | None = None
        self._labels_HW: NDArray[np.uint8] | None = None
        self._number = 0
        self._drawn: Picture | None = None
        self._drawing = threading.Lock()
        """Held by the one viewer who draws for all."""
        self._compositor: tuple[DrawOptions, _Opened, Compositor] | None = None
        self._progress: RunProgress | None = None
        self._recent = Recent()
        self._events: deque[tuple[float, str]] = deque(maxlen=_MOST_EVENTS)
        self.ended = False

    # What a run calls.

    def open(self, source: Source, size: tuple[int, int], header: ModelHeader) -> Screen:
        """The run's source is open, and its model known.

        Raises:
            UsageError: the drawing options do not fit the model's classes.
        """
        _check(self._draw, header)
        with self._changed:
            self._opened = _Opened(source, source.info, size, header)
        self.note(f"{source.info.name}: {source.info.width}x{source.info.height}")
        return self

    def take(self, item: Item) -> None:
        """One more frame."""
        now = time.perf_counter()
        with self._changed:
            self._frame, self._labels_HW = item.frame, item.labels_HW
            self._number += 1
            self._changed.notify_all()
        self._recent.add(now, None if item.captured is None else now - item.captured)

    def progress(self, progress: RunProgress) -> None:
        """Told some ten times a second."""
        self._progress = progress
        self._recent.dropped(time.perf_counter(), progress.dropped)

    def finish(self) -> None:
        """No more frames."""
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def abort(self) -> None:
        """No more frames."""
        self.finish()

    # What viewers call.

    def note(self, text: str) -> None:
        """Put a sentence into the log that the page shows."""
        self._events.append((time.time(), text))

    @property
    def draw(self) -> DrawOptions:
        """How labels are drawn now."""
        return self._draw

    def redraw(self, **changes: Any) -> DrawOptions:
        """Draw otherwise from now on.

        Args:
            changes: fields of `DrawOptions`.

        Raises:
            UsageError: values that cannot be; nothing is changed.
        """
        try:
            draw = replace(self._draw, **changes)
        except TypeError as error:
            raise UsageError(f"unknown option: {error}") from error
        with self._changed:
            if self._opened is not None:
                _check(draw, self._opened.header)
            self._draw = draw
            self._number += 1
            self._changed.notify_all()
        return draw

    def picture(self, after: int = 0, timeout: float = 1.0) -> Picture | None:
        """The newest picture, once there is a newer one than number `after`.

        Args:
            after: number of the picture that is known; 0 for none.
            timeout: seconds to wait for it.

        Returns:
            None if the time is over, or the run.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self.ended or (self._number > after and self._frame is not None), timeout
            )
            if self.ended or self._number <= after or self._frame is None:
                return None
        with self._drawing:
            with self._changed:
                number, frame, labels = self._number, self._frame, self._labels_HW
                opened, draw = self._opened, self._draw
            if self._drawn is not None and self._drawn.number == number:
                return self._drawn
            assert opened is not None, "frames come after `open`"
            assert labels is not None, "the engine comes before sinks"
            jpeg = self._encode(opened, draw, frame, labels, _QUALITY)
            self._drawn = Picture(number, jpeg)
            return self._drawn

    def snapshot(self) -> bytes | None:
        """The newest picture as a JPEG of high quality; None before the first frame."""
        with self._drawing:
            with self._changed:
                frame, labels, opened = self._frame, self._labels_HW, self._opened
                draw = self._draw
            if frame is None or labels is None or opened is None:
                return None
            return self._encode(opened, draw, frame, labels, _SNAPSHOT_QUALITY)

    def state(self) -> dict[str, Any]:
        """Plain values, ready for JSON: what docs/live.md lists."""
        with self._changed:
            opened, labels, draw = self._opened, self._labels_HW, self._draw
        progress = self._progress
        state: dict[str, Any] = {
            "state": "ended" if self.ended else "connecting",
            "recent": self._recent.summary(time.perf_counter()),
            "events": [{"at": at, "text": text} for at, text in self._all_events(opened)],
            "draw": {
                "mode": draw.mode,
                "alpha": draw.alpha,
                "palette": str(draw.palette),
                "edges": draw.edges,
                "legend": draw.legend,
                "contours": draw.contours,
                "classes": None if draw.classes is None else list(draw.classes),
            },
            "frames": 0 if progress is None else progress.frames,
            "dropped": 0 if progress is None else progress.dropped,
            "seconds": 0.0 if progress is None else progress.seconds,
        }
        if opened is None:
            return state
        palette = recoloured(opened.header.classes, draw.palette)
        drawn = covered_classes(palette, draw.classes)
        counts = np.zeros(len(palette), np.int64)
        if labels is not None:
            counts = np.bincount(labels.ravel(), minlength=256)[: len(palette)]
        shares = counts / max(1, 0 if labels is None else labels.size)
        state |= {
            "state": "ended" if self.ended else getattr(opened.source, "state", "live"),
            "source": opened.info.name,
            "picture": list(opened.info.orientation.shown_size(*_shown(opened.info))),
            "model": opened.header.name,
            "size": list(opened.size),
            "classes": [
                {
                    "name": name,
                    "colour": "#{:02x}{:02x}{:02x}".format(*colour),
                    "share": round(float(share), 4),
                    "drawn": bool(is_drawn),
                }
                for name, colour, share, is_drawn in zip(
                    palette.names, palette.colours, shares, drawn, strict=True
                )
            ],
        }
        return state

    def _all_events(self, opened: _Opened | None) -> list[tuple[float, str]]:
        camera = () if opened is None else tuple(getattr(opened.source, "events", ()))
        return sorted([*self._events, *((event.at, event.text) for event in camera)])

    def _encode(
        self,
        opened: _Opened,
        draw: DrawOptions,
        frame: VideoFrame,
        labels_HW: NDArray[np.uint8],
        quality: int,
    ) -> bytes:
        orientation = opened.info.orientation
        made = self._compositor
        if made is None or made[0] is not draw or made[1] is not opened:
            if made is not None:
                made[2].close()
            compositor = Compositor(
                opened.header.classes,
                source_size=_shown(opened.info),
                draw=draw,
                orientation=orientation,
                backdrop=open_backdrop(draw),
            )
            made = self._compositor = (draw, opened, compositor)
        stored = np.ascontiguousarray(orientation.stored(labels_HW))
        drawn = made[2].compose(frame, stored)
        upright = orientation.upright(drawn.to_ndarray(format="bgr24"))
        options = [cv2.IMWRITE_JPEG_QUALITY, quality]
        return bytes(cv2.imencode(".jpg", np.ascontiguousarray(upright), options)[1])


def _shown(info: SourceInfo) -> tuple[int, int]:
    """Width and height of pictures: square pixels, not too wide, as they are stored."""
    wide = max(1, round(info.height * float(info.display_aspect)))
    scale = min(1.0, _WIDEST / wide)
    return max(2, round(wide * scale)), max(2, round(info.height * scale))


def _check(draw: DrawOptions, header: ModelHeader) -> None:
    palette = header.classes
    class_alphas(palette, covered_classes(palette, draw.classes), draw)
    if draw.changes_background:
        kept_classes(palette, draw)
    recoloured(palette, draw.palette)
