"""One evaluation: a subject, a split, a protocol; all scores from what was compared.

Knows nothing about command lines. A picture goes the way a video frame goes unless the protocol
asks for more: see `evaluation.predict` for the plain way, `evaluation.views` and `evaluation.crf`
for the rest.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamseg.models.palette import Palette
from train.data.dataset import SegmentationData
from train.data.layouts import LAYOUTS
from train.data.opening import open_dataset
from train.data.pixels import read_numbers
from train.errors import TrainError
from train.evaluation.crf import CrfConfig, refine
from train.evaluation.predict import label_picture, network_size
from train.evaluation.subject import Subject
from train.evaluation.views import Views, probabilities
from train.metrics import CityscapesInstances, ConfusionMatrix, Scores


@dataclass(kw_only=True, slots=True, frozen=True)
class Protocol:
    """How a picture goes through the network."""

    views: Views = field(default_factory=Views)
    crf: CrfConfig | None = None
    size: tuple[int, int] | None = None
    """Height and width that scale 1 means; None takes each picture's own, to the nearest multiples
    of 32. Labels always come back at the picture's own size."""

    def needs_scores(self) -> list[str]:
        """What of this a model file cannot do, as the options that ask for it."""
        asked = {
            "several --scales": len(self.views.scales) > 1,
            "--flip": self.views.flip,
            "--slide": self.views.window is not None,
            "--crf": self.crf is not None,
        }
        return [option for option, is_asked in asked.items() if is_asked]

    def as_dict(self) -> dict[str, Any]:
        """Plain values; what is switched off is None or False."""
        views = self.views
        return {
            "scales": None if views.scales == (1.0,) else list(views.scales),
            "flip": views.flip,
            "fuse": views.fuse if len(views.scales) > 1 or views.flip else None,
            "slide": views.window,
            "stride": views.window and views.step,
            "size": None if self.size is None else f"{self.size[1]}x{self.size[0]}",
            "crf": self.crf is not None,
        }


@dataclass(kw_only=True, slots=True, frozen=True)
class Measurement:
    """What came out."""

    scores: Scores
    counts: NDArray[np.int64]
    """Confusion matrix ``[K, K]``, rows the truth."""
    cityscapes: dict[str, Any] | None
    """iIoU and categories, where the data set has instances; see `CityscapesInstances.as_dict`."""
    pictures: int
    ms_per_picture: float
    """Median time to label one picture, from decoded pixels to labels of its size."""


def find_layout(root: Path, split: str, classes: Palette) -> str:
    """The first layout in which `root` has a split of these classes.

    Raises:
        TrainError: there is none.
    """
    if not root.is_dir():
        raise TrainError(f"{root}: no such folder")
    for name, find in LAYOUTS.items():
        try:
            if find(root, split).classes.names == classes.names:
                return name
        except TrainError:
            continue
    raise TrainError(
        f"{root}: no layout has a split {split!r} of the model's {len(classes)} classes there; "
        f"name the one you mean with --layout: {', '.join(LAYOUTS)}"
    )


def open_split(layout: str, root: Path, split: str, subject: Subject) -> SegmentationData:
    """The split, its pictures unchanged, once its classes are known to be the subject's.

    Raises:
        TrainError: the data cannot be read, or the classes differ.
    """
    dataset = open_dataset(layout, root, split, in_memory=False)
    ours, theirs = subject.classes.names, dataset.classes.names
    if ours != theirs:
        pairs = zip(ours, theirs, strict=False)
        index = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(ours), len(theirs)))
        raise TrainError(
            f"{root}: its {len(theirs)} classes are not the {len(ours)} of {subject.name}: class "
            f"{index} is {_at(theirs, index)} in the data and {_at(ours, index)} in the "
            f"{subject.kind}; evaluate on data of the same classes"
        )
    return dataset


def _at(names: tuple[str, ...], index: int) -> str:
    return repr(names[index]) if index < len(names) else "missing"


def predictor(
    subject: Subject, protocol: Protocol
) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """``picture_HWC uint8 -> labels_HW uint8`` at the picture's size.

    Raises:
        ValueError: the protocol needs scores, the subject has labels only.
    """
    views, size = protocol.views, protocol.size
    score = subject.score

    def plain(picture_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = size or picture_HWC.shape[:2]
        (scale,) = views.scales
        seen = network_size(round(height * scale), round(width * scale))
        return label_picture(picture_HWC, subject.label, seen)

    def full(picture_HWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        assert score is not None
        found = probabilities(picture_HWC, score, views, size)
        if protocol.crf is None:
            return np.asarray(found.argmax(dim=0).cpu().numpy(), dtype=np.uint8)
        refined = refine(found.cpu().numpy(), picture_HWC, protocol.crf)
        return np.asarray(refined.argmax(axis=0), dtype=np.uint8)

    needed = protocol.needs_scores()
    verb = "need" if len(needed) > 1 or needed == ["several --scales"] else "needs"
    if score is None and needed:
        raise ValueError(
            f"{' and '.join(needed)} {verb} the network's scores, and a model file gives labels "
            "only (its argmax is inside); evaluate the checkpoint that it was exported from"
        )
    return plain if score is None or (views.plain and protocol.crf is None) else full


def measure(
    dataset: SegmentationData,
    predict: Callable[[NDArray[np.uint8]], NDArray[np.uint8]],
    *,
    limit: int | None = None,
    progress: Callable[[Iterable[int], int], Iterator[int]] = lambda items, _: iter(items),
    save: Callable[[Path, NDArray[np.uint8]], None] = lambda picture, labels: None,
) -> Measurement:
    """Compare predictions with the truth over a split.

    Args:
        dataset: unaugmented.
        predict: see `predictor`.
        limit: take so many pictures, evenly spaced over the split; None takes all.
        progress: wraps the iteration over indices; gets their number.
        save: called with each picture's file and its labels ``[H, W]``.

    Raises:
        TrainError: a file cannot be read, or no pixel has a label.
    """
    names = dataset.classes.names
    matrix, seconds = ConfusionMatrix(len(names)), []
    instances = _instances(dataset)
    taken = range(len(dataset))
    if limit is not None and limit < len(dataset):
        taken = np.linspace(0, len(dataset) - 1, limit).round().astype(int).tolist()
    for index in progress(taken, len(taken)):
        picture, truth = dataset.read(index)
        start = time.perf_counter()
        labels = predict(picture)
        seconds.append(time.perf_counter() - start)
        matrix.update(truth, labels)
        item = dataset.items[index]
        if instances is not None:
            assert item.instances is not None, "see _instances"
            instances.update(read_numbers(item.instances).astype(np.int64), labels)
        save(item.picture, labels)
    try:
        scores = matrix.scores()
    except ValueError as error:
        raise TrainError(f"{dataset.items[0].labels.parent}: {error}") from error
    return Measurement(
        scores=scores,
        counts=matrix.counts,
        cityscapes=None if instances is None else instances.as_dict(matrix.counts),
        pictures=len(taken),
        ms_per_picture=1000 * float(np.median(seconds)),
    )


def _instances(dataset: SegmentationData) -> CityscapesInstances | None:
    """Where to count instances, if every picture has them and the classes are Cityscapes'."""
    if not all(item.instances is not None for item in dataset.items):
        return None
    try:
        return CityscapesInstances(dataset.classes.names)
    except ValueError:
        return None


def as_json(
    measurement: Measurement, subject: Subject, protocol: Protocol, **where: str
) -> dict[str, Any]:
    """Everything that ``python -m train report`` needs, plain.

    Args:
        measurement: what came out.
        subject: of what.
        protocol: how.
        where: further texts: ``model``, ``data``, ``layout``, ``split``.
    """
    return {
        "name": subject.name,
        "kind": subject.kind,
        **where,
        "about": subject.description,
        "protocol": protocol.as_dict(),
        "crf": None if protocol.crf is None else asdict(protocol.crf),
        "pictures": measurement.pictures,
        "ms_per_picture": measurement.ms_per_picture,
        "scores": measurement.scores.as_dict(subject.classes.names),
        "cityscapes": measurement.cityscapes,
        "confusion": measurement.counts.tolist(),
    }
