"""From what the command line names to the entries and pictures of a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from streamseg.models.palette import Palette
from train.data.dataset import SegmentationData
from train.data.detect import AUTO, layout_of
from train.data.layouts import LAYOUTS
from train.data.opening import open_dataset
from train.errors import TrainError
from train.models import Segmenter
from train.models.frozen import Frozen
from train.report.cost import Cost, Latencies, count_cost
from train.report.document import Report
from train.report.entry import Entry, join, with_latencies
from train.report.evaluation import Evaluation, Track, from_log, measure, no_track
from train.report.output import Output
from train.report.pictures import Example, examples
from train.report.published import Published
from train.report.runs import Run
from train.report.views import View

DEFAULT_SIZE = (480, 352)
"""Width and height that operations are counted at where no latency file says another."""


@dataclass(kw_only=True, slots=True, frozen=True)
class Request:
    """What a report is asked for."""

    runs: Sequence[Run]
    evaluations: Sequence[Evaluation] = ()
    latencies: Latencies | None = None
    data: Path | None = None
    """Data folder: runs without an evaluation are measured on it, and it gives the pictures."""
    split: str | None = None
    """None: the one that the first run was validated on."""
    pictures: int = 4
    pictures_only: bool = False
    """Measure nothing: show what models say of pictures, whose classes may be others."""
    views: Sequence[View] = ()
    published: Sequence[Published] = ()
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    title: str = "Report"
    foreword: str = ""


def build_report(request: Request, output: Output, track: Track = no_track) -> Report:
    """Evaluate what is not evaluated yet, count costs, and label the grid's pictures.

    Raises:
        TrainError: data, a checkpoint or a combination of runs cannot be used.
    """
    entries = join(request.runs, request.evaluations)
    models = _load(entries)
    dataset = _open(request, entries)
    size = request.latencies.size if request.latencies else DEFAULT_SIZE
    entries = [_complete(e, models.get(e.name), size, dataset, request, track) for e in entries]
    for entry in entries:
        if entry.main is not None and entry.main.counts is not None and dataset is not None:
            given = any(entry.main is evaluation for evaluation in request.evaluations)
            if not given:
                output.write_evaluation(entry.main)
    if request.latencies:
        entries = with_latencies(entries, request.latencies)
    found: list[Example] = []
    palette: Palette | None = None
    if dataset is not None and models:
        sizes = {e.name: e.run.size for e in entries if e.run}
        found = examples(dataset, models, request.pictures, request.device, sizes, request.views)
        palette = dataset.classes
    return Report(
        title=request.title,
        entries=entries,
        latencies=request.latencies,
        examples=found,
        palette=palette,
        own=_other_classes(entries, palette),
        train_pixels=_train_pixels(request, dataset, entries),
        published=request.published,
        pictures_only=request.pictures_only,
        foreword=request.foreword,
    )


def _other_classes(entries: Sequence[Entry], palette: Palette | None) -> Palette | None:
    """The models' classes, if they are not the data's."""
    known = next((e.run.classes for e in entries if e.run and e.run.classes), None)
    return known if palette and known and known.names != palette.names else None


def _train_pixels(
    request: Request, dataset: SegmentationData | None, entries: Sequence[Entry]
) -> list[int] | None:
    """Labelled pixels of each class in the runs' training split; None if there is none."""
    run = next((e.run for e in entries if e.run and e.run.checkpoint), None)
    if request.pictures_only or dataset is None or run is None or request.data is None:
        return None
    split = str(run.setting("data", "train_split", "train"))
    if split == _split(request):
        return None
    try:
        found = open_dataset(_layout(run), request.data, split, in_memory=False)
    except TrainError:  # a data folder for testing alone
        return None
    return [int(count) for count in found.class_pixels()]


def _load(entries: Sequence[Entry]) -> dict[str, Segmenter]:
    models = {}
    for entry in entries:
        if entry.run and entry.run.checkpoint:
            loaded = entry.run.load()
            models[entry.name] = loaded.build()
            Frozen(models[entry.name], loaded.recipe.optim)  # what it froze is not trainable
    return models


def _open(request: Request, entries: Sequence[Entry]) -> SegmentationData | None:
    """The data folder, in the layout of the runs that have weights.

    Raises:
        TrainError: not that layout, or classes other than the runs'.
    """
    runs = [e.run for e in entries if e.run and e.run.checkpoint]
    if request.data is None or not runs:
        return None
    layout = layout_of(request.data, AUTO) if request.pictures_only else _layout(runs[0])
    dataset = open_dataset(layout, request.data, _split(request), in_memory=False)
    known = runs[0].classes
    other = known is not None and known.names != dataset.classes.names
    if known is not None and other and not request.pictures_only:
        raise TrainError(
            f"{request.data}: its {len(dataset.classes)} classes are not those of "
            f"{runs[0].place} ({len(known)}); --pictures-only shows what it makes of them"
        )
    return dataset


def _layout(run: Run) -> str:
    """The layout of the data that a run was trained on.

    Raises:
        TrainError: an unknown one.
    """
    layout = str(run.setting("data", "layout", "camvid"))
    if layout not in LAYOUTS:
        raise TrainError(f"{run.place}: unknown data layout {layout!r}; known: {list(LAYOUTS)}")
    return layout


def _split(request: Request) -> str:
    """The split asked for, or the one that the runs were validated on."""
    if request.split:
        return request.split
    run = next((run for run in request.runs if run.checkpoint), None)
    return str(run.setting("data", "val_split", "val")) if run else "val"


def _complete(
    entry: Entry,
    model: Segmenter | None,
    size: tuple[int, int],
    dataset: SegmentationData | None,
    request: Request,
    track: Track,
) -> Entry:
    """The entry with its cost and, if it has none, an evaluation."""
    cost: Cost | None = count_cost(model, size) if model is not None else None
    if entry.evaluations or entry.run is None or request.pictures_only:
        return replace(entry, cost=cost)
    evaluation = None
    if dataset is not None and model is not None and request.data is not None:
        evaluation = measure(
            entry.run,
            model,
            dataset,
            data=request.data.resolve().name,
            split=_split(request),
            device=request.device,
            track=track,
        )
    else:
        evaluation = from_log(entry.run)
    return replace(entry, cost=cost, evaluations=(evaluation,) if evaluation else ())
