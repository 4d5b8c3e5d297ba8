"""Where a report's files go, and that none is clobbered."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from train.errors import TrainError
from train.report.evaluation import Evaluation
from train.report.style import DPI, Sheet
from train.report.table import Table

FIGURES = (
    *("speed", "class_iou", "class_pixels", "pictures"),
    *("loss", "miou", "adaptation", "class_curves"),
)
TABLE_FORMATS = ("csv", "latex")
"""What tables can be written as beside the page's Markdown."""


def slug(name: str) -> str:
    """A name as a part of a file name."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._") or "model"


@dataclass(kw_only=True, slots=True, frozen=True)
class Output:
    """Where a report goes: the page is ``folder/page``, everything else starts with `prefix`."""

    folder: Path
    page: str = "report.md"
    prefix: str = ""
    formats: tuple[str, ...] = ("png",)
    """Of figures; the page shows the PNGs."""
    dpi: int = DPI
    tables: tuple[str, ...] = ()
    """Of `TABLE_FORMATS`: files for all tables beside the page."""

    def sheet(self, stem: str) -> Sheet:
        """Files of a figure."""
        path = self.folder / f"{self.prefix}{stem}.png"
        return Sheet(path=path, formats=self.formats, dpi=self.dpi)

    def domain(self, target: str) -> Sheet:
        """Files of the figure of classes on a target beside the first."""
        return self.sheet(f"class_iou_{slug(target)}")

    def evaluation(self, name: str) -> Path:
        """Path of an evaluation that the report made."""
        return self.folder / f"{self.prefix}{slug(name)}.eval.json"

    def table(self, kind: str) -> Path:
        """Path of the tables in another format than the page's."""
        suffix = {"csv": "csv", "latex": "tex"}[kind]
        return self.folder / f"{self.prefix}tables.{suffix}"

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
        files = [self.folder / self.page, *map(self.table, self.tables)]
        files += [file for stem in stems for file in self.sheet(stem).files.values()]
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

    def write_tables(self, tables: Sequence[Table]) -> None:
        """All tables in one file for each of the formats asked for.

        Raises:
            TrainError: see `write_text`.
        """
        for kind in self.tables:
            parts = [table.csv() if kind == "csv" else table.latex() for table in tables]
            self.write_text(self.table(kind), "\n".join(parts))
