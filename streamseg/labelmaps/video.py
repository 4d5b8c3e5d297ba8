"""Label maps as a video: lossless, with the source's times, and with names and colours in it.

One frame of class indices (grey FFV1 in Matroska) for each frame of the source, at the network's
size (whose shape is the picture's, nearly) and turned as the source is stored, its display matrix
beside it. The model's header is a tag
of the file, so that names and colours need no other one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from streamseg.closing import ClosedAtExit
from streamseg.drawing.yuv import planes_of
from streamseg.errors import ModelError, SourceError
from streamseg.labelmaps.sink import LabelSink
from streamseg.models.modelfile import HEADER_KEY, ModelHeader
from streamseg.video.encoder import EncoderOptions
from streamseg.video.file import FileSource
from streamseg.video.output import OutputPath
from streamseg.video.source import AnyPacket, Item, Source, SourceInfo
from streamseg.video.writer import VideoWriter

_FULL_RANGE, _UNSPECIFIED = 2, 2
_CLOSE_ENOUGH = Fraction(1, 1000)
"""Matroska keeps times in milliseconds."""


def check_label_video(path: Path, *, overwrite: bool, source: Path | None = None) -> OutputPath:
    """Refuse, before any work, a place where a label video cannot go; see `OutputPath.check`."""
    kinds = {".mkv": "matroska"}
    return OutputPath.check(path, overwrite=overwrite, source=source, kinds=kinds)


class LabelVideo(LabelSink):
    """Writes label maps as a video.

    Args:
        output: where to.
        info: the source.
        size: width and height of the labels, upright.
        header: of the model that gives them.

    Raises:
        OutputError: the file cannot be created.
    """

    def __init__(
        self, output: OutputPath, info: SourceInfo, size: tuple[int, int], header: ModelHeader
    ) -> None:
        super().__init__()
        self._orientation = info.orientation
        stored = info.orientation.shown_size(*size)
        self._writer = VideoWriter(
            output,
            replace(
                info,
                tracks=None,
                # The source's own times, wherever they begin: they tell which frame is meant.
                clock_is_arbitrary=False,
                sample_aspect_ratio=Fraction(1),
                field_order=None,
                color_range=_FULL_RANGE,
                colorspace=_UNSPECIFIED,
                color_primaries=_UNSPECIFIED,
                color_trc=_UNSPECIFIED,
            ),
            size=stored,
            pixel_format="gray",
            options=EncoderOptions(codec="ffv1", threads=1),
            tags={HEADER_KEY: header.to_json()},
        )

    def take(self, item: Item) -> None:
        """Write one map."""
        assert item.labels_HW is not None, "the engine comes before"
        labels = self._orientation.stored(item.labels_HW)
        frame = VideoFrame(labels.shape[1], labels.shape[0], "gray")
        planes_of(frame)[0][:] = labels
        frame.pts, frame.time_base = item.frame.pts, item.frame.time_base
        frame.duration = item.frame.duration
        frame.color_range = _FULL_RANGE
        self._writer.write(frame)

    def finish(self) -> None:
        """Give the file its name."""
        self._writer.finish()
        self.warnings += self._writer.warnings

    def abort(self) -> None:
        """Remove the unfinished file."""
        self._writer.abort()


class LabelledSource(ClosedAtExit):
    """Frames of a video with the labels of a label video: a `Source` whose items have `labels_HW`.

    Frames that have no labels (the label video was made of a part) are left out.

    Args:
        video: opened; closing it is this source's.
        labels: path of the label video.

    Raises:
        UsageError: no such file.
        SourceError: it is no label video.
    """

    def __init__(self, video: Source, labels: str | Path) -> None:
        self.info = video.info
        self.warnings: list[str] = []
        self._video = video
        self._waiting: list[AnyPacket] = []
        self._labels = FileSource(labels, all_streams=False)
        try:
            self.header = _header(self._labels)
        except BaseException:
            self._labels.close()
            raise

    @property
    def labels_shape(self) -> tuple[int, int]:
        """Width and height of the labels, upright."""
        info = self._labels.info
        return self.info.orientation.shown_size(info.width, info.height)

    @property
    def leftover(self) -> list[AnyPacket]:
        """Packets of other streams behind the last frame."""
        return [*self._waiting, *self._video.leftover]

    def __iter__(self) -> Iterator[Item]:
        maps = iter(self._labels)
        ahead = next(maps, None)
        matched = missing = 0
        packets: list[AnyPacket] = []
        for item in self._video:
            at = _seconds(item.frame)
            while ahead is not None and _seconds(ahead.frame) < at - _CLOSE_ENOUGH:
                ahead = next(maps, None)
            packets += item.packets
            if ahead is None or _seconds(ahead.frame) > at + _CLOSE_ENOUGH:
                missing += 1
                continue
            matched += 1
            item.labels_HW = self._upright(ahead.frame)
            item.packets, packets = packets, []
            ahead = next(maps, None)
            yield item
        self._waiting = packets
        self.warnings += self._video.warnings
        if not matched:
            raise SourceError(
                f"{self._labels.name}: holds no labels for {self.info.name}: none of its times "
                "is a frame's; give the video that the labels were made of"
            )
        if missing:
            self.warnings.append(
                f"{self._labels.name}: {missing} of {missing + matched} frames of "
                f"{self.info.name} have no labels in it and were left out"
            )

    def _upright(self, frame: VideoFrame) -> NDArray[np.uint8]:
        labels = np.array(planes_of(frame)[0])
        largest = int(labels.max())
        if largest >= len(self.header.classes):
            raise SourceError(
                f"{self._labels.name}: holds class {largest}, and names "
                f"{len(self.header.classes)} classes; it was changed after it was written"
            )
        return np.ascontiguousarray(self.info.orientation.upright(labels))

    def close(self) -> None:
        """Close both files."""
        self._labels.close()
        self._video.close()


def _seconds(frame: VideoFrame) -> Fraction:
    return (frame.pts or 0) * (frame.time_base or Fraction(0))


def _header(labels: FileSource) -> ModelHeader:
    tags = {key.casefold(): value for key, value in labels.metadata.items()}
    text = tags.get(HEADER_KEY)
    if text is None or labels.info.pixel_format != "gray":
        raise SourceError(
            f"{labels.name}: is no label video: it names no classes; make one with "
            "'streamseg video IN --labels FILE.mkv'"
        )
    try:
        return ModelHeader.from_json(text, Path(labels.name))
    except ModelError as error:
        raise SourceError(f"{labels.name}: its classes cannot be read ({error})") from error


def read_label_video(path: str | Path) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """The maps of a label video, turned as its source is stored.

    Yields:
        ``(seconds, labels)``: presentation time, and class indices uint8 ``[H, W]``.

    Raises:
        UsageError: no such file.
        SourceError: it is no label video.
    """
    with FileSource(path, all_streams=False) as labels:
        _header(labels)
        for item in labels:
            yield float(_seconds(item.frame)), np.array(planes_of(item.frame)[0])
