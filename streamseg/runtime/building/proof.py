"""What a built engine is worth: its labels and its speed against the fp32 model, on pictures.

The reference is the model file on ONNX Runtime in fp32. Knows nothing about how engines are built
or kept; what is good enough is `streamseg.runtime.building.gate`'s.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.errors import EngineError, UsageError
from streamseg.runtime.building.labelled import (
    Confusion,
    labelled_pairs,
    labelled_title,
    read_labelled,
)
from streamseg.runtime.building.timing import Speed
from streamseg.runtime.engine import Engine
from streamseg.sample import street_clip

_SAMPLE_PICTURES = 8
"""Of the sample clip, for a proof; as many others to calibrate with, in turns."""
_PICTURES = 32
"""Of a folder or a video, spread over it."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Labels of an engine against the reference's."""

    pictures: int
    pictures_from: str
    """What they are, for people."""
    size: tuple[int, int]
    """Width and height the networks saw."""
    share: float
    """Pixels with the same label, 0..1."""
    class_share: dict[str, float]
    """Of the pixels the reference gives a class, those with the same label; classes that occur."""
    miou: float | None = None
    """Of the engine, 0..1, if the pictures are labelled."""
    reference_miou: float | None = None

    @property
    def drop_points(self) -> float | None:
        """Lost mIoU in points of 100; negative if it gained; None without labels."""
        if self.miou is None or self.reference_miou is None:
            return None
        return 100 * (self.reference_miou - self.miou)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What was measured on a built engine."""

    agreement: Agreement
    speed: Speed
    reference: Speed
    """ONNX Runtime fp32, in the same rounds."""
    replaced: Speed | None = None
    """The engine it would replace, in the same rounds, if that is another one."""

    @property
    def speedup(self) -> float:
        """Frames a second over the reference's, each at its best batch."""
        return self.speed.best.fps / self.reference.best.fps

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON and the engine file's header."""
        return {
            **asdict(self.agreement),
            "size": list(self.agreement.size),
            "drop_points": self.agreement.drop_points,
            "speed": self.speed.to_dict(),
            "reference": self.reference.to_dict(),
            "replaced": self.replaced.to_dict() if self.replaced else None,
            "speedup": self.speedup,
        }


@cache
def sample_pictures(size: tuple[int, int], *, calibrating: bool = False) -> NDArray[np.uint8]:
    """Frames uint8 ``[8, H, W, 3]`` of the sample clip, always the same; not to be written to.

    Args:
        size: width and height.
        calibrating: frames to calibrate with, none of which is a proof's.

    Raises:
        UsageError: an impossible size.
    """
    from streamseg.runtime.precision.calibration import calibration_frames

    frames = list(calibration_frames(street_clip(), size=size, count=2 * _SAMPLE_PICTURES))
    return np.concatenate(frames[int(calibrating) :: 2])


def proof_pictures(source: Path | None, size: tuple[int, int]) -> tuple[NDArray[np.uint8], str]:
    """Pictures ``[N, H, W, 3]`` of a folder or a video (None: the sample clip), and what they are.

    Raises:
        UsageError, SourceError: nothing there that can be read.
    """
    if source is None:
        return sample_pictures(size), f"{_SAMPLE_PICTURES} pictures of the sample clip"
    from streamseg.runtime.precision.calibration import calibration_frames

    frames = np.concatenate(list(calibration_frames(source, size=size, count=_PICTURES)))
    if not len(frames):
        raise UsageError(f"{source}: no pictures in it")
    return frames, f"{len(frames)} pictures of {source}"


def compare(
    engine: Engine,
    reference: Engine,
    frames_NHWC: NDArray[np.uint8],
    pictures_from: str,
    *,
    progress: Progress = lambda *_: None,
) -> Agreement:
    """Agreement on pictures without labels.

    Raises:
        EngineError: an engine failed, or its labels cannot be.
    """
    classes = reference.spec.model.classes.names
    counts = Confusion(len(classes))
    for index, frame in enumerate(frames_NHWC):
        theirs, ours = (_labels(e, frame, len(classes)) for e in (reference, engine))
        counts.add(theirs, ours)
        progress("comparing", index + 1, len(frames_NHWC))
    height, width = frames_NHWC.shape[1:3]
    return _agreement(counts, classes, len(frames_NHWC), pictures_from, (width, height))


def compare_labelled(
    engine: Engine,
    reference: Engine,
    data: Path,
    size: tuple[int, int],
    *,
    progress: Progress = lambda *_: None,
) -> Agreement:
    """Agreement on labelled pictures, and the mIoU of both.

    Raises:
        UsageError, SourceError: see `streamseg.runtime.building.labelled`.
        EngineError: an engine failed, or its labels cannot be.
    """
    classes = reference.spec.model.classes.names
    pairs = labelled_pairs(data)
    counts, ours_true, theirs_true = (Confusion(len(classes)) for _ in range(3))
    for index, picture in enumerate(read_labelled(pairs, size)):
        height, width = picture.labels_HW.shape
        theirs, ours = (_labels(e, picture.rgb_HWC, len(classes)) for e in (reference, engine))
        counts.add(theirs, ours)
        for confusion, labels in ((ours_true, ours), (theirs_true, theirs)):
            stretched = cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
            confusion.add(picture.labels_HW, np.asarray(stretched, np.uint8))
        progress("comparing", index + 1, len(pairs))
    if not ours_true.counts.any():
        raise UsageError(f"{data}: every labelled pixel is void (no class index below the last)")
    return _agreement(
        counts,
        classes,
        len(pairs),
        labelled_title(pairs, data),
        size,
        miou=ours_true.miou(),
        reference_miou=theirs_true.miou(),
    )


def _labels(engine: Engine, frame_HWC: NDArray[np.uint8], classes: int) -> NDArray[np.uint8]:
    labels: NDArray[np.uint8] = engine.infer(np.ascontiguousarray(frame_HWC[None]))[0]
    if labels.shape != frame_HWC.shape[:2] or labels.max() >= classes:
        raise EngineError(
            f"{engine.spec.backend}: gave labels {list(labels.shape)} up to {labels.max()} for a "
            f"frame {list(frame_HWC.shape)} and {classes} classes; the engine is broken"
        )
    return labels


def _agreement(
    counts: Confusion,
    classes: Sequence[str],
    pictures: int,
    pictures_from: str,
    size: tuple[int, int],
    miou: float | None = None,
    reference_miou: float | None = None,
) -> Agreement:
    hits, totals = np.diag(counts.counts), counts.counts.sum(1)
    named: Iterable[tuple[str, int, int]] = zip(classes, hits, totals, strict=True)
    return Agreement(
        pictures=pictures,
        pictures_from=pictures_from,
        size=size,
        share=float(hits.sum() / totals.sum()),
        class_share={name: float(hit / total) for name, hit, total in named if total},
        miou=miou,
        reference_miou=reference_miou,
    )
