"""The report itself: a Markdown page, its PNGs and the evaluations it made, in one folder."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from streamseg.models.palette import Palette
from train.report import tables, training_tables
from train.report.classes import draw_class_iou, draw_class_pixels, draw_confusion
from train.report.cost import Latencies
from train.report.curves import draw_adaptation, draw_class_curves, draw_loss, draw_miou
from train.report.entry import Entry, on_target, targets
from train.report.output import Output, slug
from train.report.pictures import Example, draw_pictures
from train.report.published import Published
from train.report.speed import draw_speed
from train.report.style import looks
from train.report.table import Table

Part: TypeAlias = str | Table | None
"""Of a page: Markdown or a table; nothing where there was nothing to fill it with."""


@dataclass(kw_only=True, slots=True, frozen=True)
class Report:
    """Everything a report is made of."""

    title: str
    entries: Sequence[Entry]
    latencies: Latencies | None = None
    examples: Sequence[Example] = ()
    palette: Palette | None = None
    """Of the data's classes."""
    own: Palette | None = None
    """Of the models' classes, where they are not the data's."""
    train_pixels: Sequence[int] | None = None
    """Labelled pixels of each class in the training split."""
    published: Sequence[Published] = ()
    pictures_only: bool = False
    """The page is the grid of pictures, without a table."""
    foreword: str = ""
    """Markdown after the title."""


def write_report(
    report: Report, output: Output, step: Callable[[str], None] = lambda _: None
) -> Path:
    """Draw all figures there is data for, and write the page that holds them and the tables.

    Args:
        report: what to show.
        output: where to.
        step: called with the name of each part before it is made.

    Returns:
        The page.

    Raises:
        TrainError: a file cannot be written.
    """
    sections: list[Part] = [f"# {report.title}", report.foreword]
    if report.pictures_only:
        sections.append(_pictures(report, output, step))
    else:
        sections += _scores(report, output, step)
        sections += _training(report, output, step)
    output.write_tables([part for part in sections if isinstance(part, Table)])
    texts = [part.markdown() if isinstance(part, Table) else part for part in sections if part]
    page = output.folder / output.page
    output.write_text(page, "\n\n".join(text.strip("\n") for text in texts if text) + "\n")
    return page


def _figure(
    output: Output, stem: str, caption: str, step: Callable[[str], None], draw: Callable[[], bool]
) -> str:
    """The Markdown of a figure, or nothing if there was nothing to draw."""
    step(stem)
    return f"![{caption}]({output.sheet(stem).path.name})\n\n*{caption}.*" if draw() else ""


def _scores(report: Report, output: Output, step: Callable[[str], None]) -> list[Part]:
    entries, latencies = report.entries, report.latencies
    look = looks([entry.name for entry in entries])
    parts: list[Part] = [
        tables.overview(entries, latencies, report.published),
        _figure(
            output,
            "speed",
            "mIoU over latency; the dashed line joins the models that no other one beats in both",
            step,
            lambda: draw_speed(output.sheet("speed"), entries, latencies, look),
        ),
        *tables.backbones(entries),
        *tables.modules(entries),
        tables.latency(entries, latencies),
        tables.speed(entries, latencies),
        *(tables.target_domains(e) for e in entries if len(e.evaluations) > 1),
        tables.precision_recall(entries),
        tables.sizes(entries),
        tables.classes(entries),
        _figure(
            output,
            "class_iou",
            "IoU of each class",
            step,
            lambda: draw_class_iou(output.sheet("class_iou"), entries, look),
        ),
        *(part for t in targets(entries)[1:] for part in _domain(entries, t, output, step)),
        _figure(
            output,
            "class_pixels",
            "How the labelled pixels are spread over the classes",
            step,
            lambda: draw_class_pixels(
                output.sheet("class_pixels"), entries, report.palette, report.train_pixels
            ),
        ),
        _pictures(report, output, step),
        *(_confusion(entry, output, step) for entry in entries),
    ]
    found = [part for part in parts if part]
    return ["## Scores", *found] if found else []


def _pictures(report: Report, output: Output, step: Callable[[str], None]) -> str:
    palette = report.palette
    return _figure(
        output,
        "pictures",
        "Pictures of the split, evenly spread: picture, truth, and each model's labels",
        step,
        lambda: (
            palette is not None
            and draw_pictures(output.sheet("pictures"), report.examples, palette, report.own)
        ),
    )


def _domain(
    entries: Sequence[Entry], target: str, output: Output, step: Callable[[str], None]
) -> list[Part]:
    """IoU of each class on a further target, as report 001 shows it for its own pictures."""
    shown, sheet = on_target(entries, target), output.domain(target)
    look = looks([entry.name for entry in entries])
    drawn = _figure(
        output,
        sheet.path.stem.removeprefix(output.prefix),
        f"IoU of each class on {target}",
        step,
        lambda: draw_class_iou(sheet, shown, look),
    )
    return [tables.classes(shown), drawn]


def _confusion(entry: Entry, output: Output, step: Callable[[str], None]) -> str:
    stem = f"confusion_{slug(entry.name)}"
    caption = f"{entry.name}: confusion matrix, each row in per cent of the true class's pixels"
    return _figure(output, stem, caption, step, lambda: draw_confusion(output.sheet(stem), entry))


def _training(report: Report, output: Output, step: Callable[[str], None]) -> list[Part]:
    entries = report.entries
    look = looks([entry.name for entry in entries])
    runs = [entry.run for entry in entries if entry.run is not None]
    curves = {
        "loss": ("Loss during training", draw_loss),
        "miou": ("Validation mIoU during training", draw_miou),
        "adaptation": ("Adaptation to new classes: mIoU at each look", draw_adaptation),
        "class_curves": ("IoU of each class at each validation step", draw_class_curves),
    }
    parts: list[Part] = [
        _figure(output, stem, caption, step, lambda s=stem, d=draw: d(output.sheet(s), runs, look))  # type: ignore[misc]
        for stem, (caption, draw) in curves.items()
    ]
    parts += [
        training_tables.course(entries),
        training_tables.adaptation(entries),
        training_tables.training(entries),
        training_tables.tests(entries),
        training_tables.hyper_parameters(entries),
    ]
    found = [part for part in parts if part]
    return ["## Training", *found] if found else []
