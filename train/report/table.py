"""A table, and how it is written: Markdown, CSV, LaTeX. Knows nothing about what is in it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass

DASH = "-"
"""What stands where nobody knows a value."""


@dataclass(kw_only=True, slots=True, frozen=True)
class Table:
    """A title, a header and rows of as many cells."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    """A sentence under the table."""

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"{self.title}: {len(row)} cells in {len(self.columns)} columns")

    def markdown(self) -> str:
        """GitHub's Markdown: numbers to the right, a pipe inside a cell escaped."""
        cells = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        sides = ["---:" if column and all(map(_numeric, column)) else "---" for column in cells]
        lines = [f"**{self.title}**", "", _line(self.columns), _line(sides)]
        lines += [_line(row) for row in self.rows]
        return "\n".join([*lines, *(["", self.note] if self.note else [])]) + "\n"

    def csv(self) -> str:
        """Comma-separated: a comment line with the title, the header, the rows, an empty line."""
        text = io.StringIO()
        text.write(f"# {self.title}\n")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.columns)
        writer.writerows([cell.strip("*") for cell in row] for row in self.rows)
        return text.getvalue()

    def latex(self) -> str:
        """A ``table`` with booktabs' rules (``\\usepackage{booktabs}``), its title as caption."""
        cells = list(zip(*self.rows, strict=True)) or [()] * len(self.columns)
        sides = "".join("r" if column and all(map(_numeric, column)) else "l" for column in cells)
        rows = [" & ".join(map(_tex, row)) + r" \\" for row in (self.columns, *self.rows)]
        note = [rf"\\[2pt] \footnotesize {_tex(self.note)}"] if self.note else []
        return "\n".join(
            [
                r"\begin{table}",
                r"\centering",
                rf"\caption{{{_tex(self.title)}}}",
                rf"\begin{{tabular}}{{{sides}}}",
                *(r"\toprule", rows[0], r"\midrule", *rows[1:], r"\bottomrule"),
                r"\end{tabular}",
                *note,
                r"\end{table}",
                "",
            ]
        )


def _numeric(cell: str) -> bool:
    return cell == DASH or cell.strip("*").replace(",", "").replace(".", "", 1).isdigit()


_TEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "†": r"\dag{}",
}


def _tex(cell: str) -> str:
    """A cell as LaTeX takes it; Markdown's bold becomes LaTeX's."""
    text = "".join(_TEX.get(letter, letter) for letter in cell.strip("*"))
    return rf"\textbf{{{text}}}" if cell.startswith("**") else text


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
