"""What takes the labels of a run beside its drawn video, and how a run is told of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from streamseg.closing import AbortedIfFailed
from streamseg.models.modelfile import ModelHeader
from streamseg.video.source import Item, Source


class LabelSink(AbortedIfFailed, ABC):
    """Takes every frame's labels, in order, from one thread; its file appears in `finish`."""

    def __init__(self) -> None:
        self.warnings: list[str] = []
        """What could not be written as asked, in sentences."""

    @abstractmethod
    def take(self, item: Item) -> None:
        """One more frame, its `labels_HW` filled in.

        Raises:
            OutputError: it cannot be written.
        """

    @abstractmethod
    def finish(self) -> None:
        """After the last frame: complete what was written, and give it its name.

        Raises:
            OutputError: it cannot be written.
        """

    @abstractmethod
    def abort(self) -> None:
        """Remove what was written; calling it after `finish` changes nothing."""


class Onlooker(Protocol):
    """Wants to see a live run, which is not there yet."""

    def open(self, source: Source, size: tuple[int, int], header: ModelHeader) -> LabelSink:
        """The run begins.

        Args:
            source: opened.
            size: width and height of the labels to come, upright.
            header: of the model.
        """
