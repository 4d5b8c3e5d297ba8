"""The report itself: a Markdown page, its PNGs and the evaluations it made, in one folder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from streamseg.models.palette import Palette
from train.errors import TrainError
from train.report import tables, training_tables
from train.report.classes import draw_class_iou, draw_class_pixels, draw_confusion
from train.report.cost import Latencies
from train.report.curves import draw_adaptation, draw_class_curves, draw_loss, draw_miou
from train.report.entry import Entry, on_target, targets
from train.report.evaluation import Evaluation
from train.report.pictures import Example, draw_pictures
from train.report.speed import draw_speed
from train.report.style import looks
from train.report.tables import Table

FIGURES = (
    *("speed", "class_iou", "class_pixels", "pictures"),
    *("loss", "miou", "adaptation", "class_curves"),
)


def slug(name: str) -> str:
    """A model's name as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "model"


@dataclass(kw_only=True, slots=True, frozen=True)
class Output:
    """Where a report goes: the page is ``folder/page``, everything else starts with `prefix`."""

    folder: Path
    page: str = "report.md"
    prefix: str = ""

    def png(self, stem: str) -> Path:
        """Path of a figure."""
        return self.folder / f"{self.prefix}{stem}.png"

    def domain(self, target: str) -> Path:
        """Path of the figure of classes on a target beside the first."""
        return self.png(f"class_iou_{slug(target)}")

    def evaluation(self, name: str) -> Path:
        """Path of an evaluation that the report made."""
        return self.folder / f"{self.prefix}{slug(name)}.eval.json"

    def check(self, names: Sequence[str], *, overwrite: bool, also: Sequence[Path] = ()) -> None:
        """Make the folder and refuse to clobber, before minutes of work.

        Args:
            names: of the models.
            overwrite: what is there may be replaced.
            also: further files that the caller will write.

        Raises:
            TrainError: a file is there already, or the folder cannot be made.
        """
        stems = [*FIGURES, *(f"confusion_{slug(name)}" for name in names)]
        files = [self.folder / self.page, *(self.png(stem) for stem in stems)]
        files += [*(self.evaluation(name) for name in names), *also]
        there = [file for file in files if file.exists()]
        if there and not overwrite:
            raise TrainError(
                f"{there[0]}: exists already; use --overwrite to replace it, or another --out"
            )
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise TrainError(f"{self.folder}: cannot be made ({error.strerror})") from error

    def write_text(self, path: Path, text: str) -> None:
        """A file that has its name only when it is complete.

        Raises:
            TrainError: it cannot be written.
        """
        partial = path.with_name(f".{path.name}.part")
        try:
            partial.write_text(text)
            partial.replace(path)
        except OSError as error:
            raise TrainError(f"{path}: cannot be written ({error.strerror})") from error
        finally:
            partial.unlink(missing_ok=True)

    def write_evaluation(self, evaluation: Evaluation) -> None:
        """Keep a measurement, so that the next report need not repeat it.

        Raises:
            TrainError: see `write_text`.
        """
        text = json.dumps(evaluation.as_json(), indent=1)
        self.write_text(self.evaluation(evaluation.name), text + "\n")


@dataclass(kw_only=True, slots=True, frozen=True)
class Report:
    """Everything a report is made of."""

    title: str
    entries: Sequence[Entry]
    latencies: Latencies | None = None
    examples: Sequence[Example] = ()
    palette: Palette | None = None
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
    sections = [f"# {report.title}", report.foreword]
    sections += _scores(report, output, step)
    sections += _training(report, output, step)
    page = output.folder / output.page
    output.write_text(page, "\n\n".join(part.strip("\n") for part in sections if part) + "\n")
    return page


def _table(table: Table | None) -> str:
    return table.markdown() if table else ""


def _figure(
    output: Output, stem: str, caption: str, step: Callable[[str], None], draw: Callable[[], bool]
) -> str:
    """The Markdown of a figure, or nothing if there was nothing to draw."""
    step(stem)
    return f"![{caption}]({output.png(stem).name})\n\n*{caption}.*" if draw() else ""


def _scores(report: Report, output: Output, step: Callable[[str], None]) -> list[str]:
    entries, latencies = report.entries, report.latencies
    look = looks([entry.name for entry in entries])
    parts = [
        _table(tables.overview(entries, latencies)),
        _figure(
            output,
            "speed",
            "mIoU over latency; the dashed line joins the models that no other one beats in both",
            step,
            lambda: draw_speed(output.png("speed"), entries, latencies, look),
        ),
        *map(_table, tables.backbones(entries)),
        *map(_table, tables.modules(entries)),
        _table(tables.latency(entries, latencies)),
        _table(tables.speed(entries, latencies)),
        *(_table(tables.target_domains(e)) for e in entries if len(e.evaluations) > 1),
        _table(tables.precision_recall(entries)),
        _table(tables.sizes(entries)),
        _table(tables.classes(entries)),
        _figure(
            output,
            "class_iou",
            "IoU of each class",
            step,
            lambda: draw_class_iou(output.png("class_iou"), entries, look),
        ),
        *(_domain(entries, target, output, step) for target in targets(entries)[1:]),
        _figure(
            output,
            "class_pixels",
            "How the split's pixels are spread over the classes",
            step,
            lambda: draw_class_pixels(output.png("class_pixels"), entries, report.palette),
        ),
        _figure(
            output,
            "pictures",
            "Pictures of the split, evenly spread: picture, truth, and each model's labels",
            step,
            lambda: (
                report.palette is not None
                and draw_pictures(output.png("pictures"), report.examples, report.palette)
            ),
        ),
        *(_confusion(entry, output, step) for entry in entries),
    ]
    found = [part for part in parts if part]
    return ["## Scores", *found] if found else []


def _domain(
    entries: Sequence[Entry], target: str, output: Output, step: Callable[[str], None]
) -> str:
    """IoU of each class on a further target, as report 001 shows it for its own pictures."""
    shown, path = on_target(entries, target), output.domain(target)
    look = looks([entry.name for entry in entries])
    drawn = _figure(
        output,
        path.stem.removeprefix(output.prefix),
        f"IoU of each class on {target}",
        step,
        lambda: draw_class_iou(path, shown, look),
    )
    return "\n\n".join(part for part in (_table(tables.classes(shown)), drawn) if part)


def _confusion(entry: Entry, output: Output, step: Callable[[str], None]) -> str:
    stem = f"confusion_{slug(entry.name)}"
    caption = f"{entry.name}: confusion matrix, each row in per cent of the true class's pixels"
    return _figure(output, stem, caption, step, lambda: draw_confusion(output.png(stem), entry))


def _training(report: Report, output: Output, step: Callable[[str], None]) -> list[str]:
    entries = report.entries
    look = looks([entry.name for entry in entries])
    runs = [entry.run for entry in entries if entry.run is not None]
    curves = {
        "loss": ("Loss during training", draw_loss),
        "miou": ("Validation mIoU during training", draw_miou),
        "adaptation": ("mIoU at each validation step", draw_adaptation),
        "class_curves": ("IoU of each class at each validation step", draw_class_curves),
    }
    parts = [
        _figure(output, stem, caption, step, lambda s=stem, d=draw: d(output.png(s), runs, look))  # type: ignore[misc]
        for stem, (caption, draw) in curves.items()
    ]
    parts += [
        _table(training_tables.course(entries)),
        _table(training_tables.adaptation(entries)),
        _table(training_tables.training(entries)),
        _table(training_tables.tests(entries)),
        _table(training_tables.hyper_parameters(entries)),
    ]
    found = [part for part in parts if part]
    return ["## Training", *found] if found else []
