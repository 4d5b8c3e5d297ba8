"""Where the labels of a run go beside its drawn video: one value, checked before any work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from streamseg.labelmaps.pictures import LabelPictures
from streamseg.labelmaps.sink import LabelSink
from streamseg.labelmaps.video import LabelVideo, check_label_video
from streamseg.models.modelfile import ModelHeader
from streamseg.video.source import SourceInfo

Opener = Callable[[SourceInfo, tuple[int, int], ModelHeader], LabelSink]
"""Opens a sink for a source, the labels' size (width and height, upright) and a model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOutputs:
    """Where the labels of a run go."""

    video: str | Path | None = None
    """``.mkv``: class indices, lossless; see `streamseg.labelmaps.video`."""
    pictures: str | Path | None = None
    """A folder: class indices, a PNG a frame."""

    def __bool__(self) -> bool:
        return self.video is not None or self.pictures is not None

    def openers(self, *, overwrite: bool, source: Path) -> list[Opener]:
        """Check every place.

        Raises:
            UsageError: a place where an output cannot go.
            OutputError: a folder that takes no file.
        """
        openers: list[Opener] = []
        if self.video is not None:
            place = check_label_video(Path(self.video), overwrite=overwrite, source=source)
            openers.append(lambda info, size, header: LabelVideo(place, info, size, header))
        if self.pictures is not None:
            folder = Path(self.pictures)
            openers.append(
                lambda info, size, header: LabelPictures(
                    folder, header.classes, overwrite=overwrite
                )
            )
        return openers


def open_sinks(
    stack: ExitStack,
    openers: Sequence[Opener],
    info: SourceInfo,
    size: tuple[int, int],
    header: ModelHeader,
) -> list[LabelSink]:
    """Open sinks; leaving the stack with an error removes what they wrote."""
    return [stack.enter_context(opener(info, size, header)) for opener in openers]
