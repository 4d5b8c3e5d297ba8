"""A `DataCheck` for people (a table on a terminal, plain lines elsewhere) and for programs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from train.data.findings import DataCheck, SplitCheck

_LISTED = 6
_SHOWN = 20


def shares(split: SplitCheck, classes: int) -> list[float]:
    """Share of each class among the pixels that have one; 0 where none has."""
    counts = split.pixels[:classes]
    return [float(count) / max(1, int(counts.sum())) for count in counts]


def void_share(split: SplitCheck) -> float:
    """Share of the pixels that no loss looks at."""
    return float(split.pixels[255]) / max(1, int(split.pixels.sum()))


def as_dict(check: DataCheck) -> dict[str, Any]:
    """Plain values, as ``--json`` prints them."""
    return {
        "root": str(check.root),
        "layout": check.layout,
        "why": check.why,
        "classes": [
            {"name": name, "colour": list(colour)}
            for name, colour in zip(check.classes.names, check.classes.colours, strict=True)
        ],
        "splits": {
            split.name: {
                "pictures": split.pictures,
                "sizes": {f"{w}x{h}": count for (w, h), count in split.sizes.most_common()},
                "formats": dict(split.formats),
                "class_pixels": split.pixels[: len(check.classes)].tolist(),
                "void_pixels": int(split.pixels[255]),
            }
            for split in check.splits
        },
        "faults": check.faults,
        "notes": check.notes,
    }


def _counted(counts: Mapping[str, int]) -> str:
    """``480x360, 640x480 (3)``: the commonest first, with a number where there are several."""
    parts = [f"{what} ({count})" if len(counts) > 1 else what for what, count in counts.items()]
    rest = f" and {len(parts) - _LISTED} more" if len(parts) > _LISTED else ""
    return ", ".join(parts[:_LISTED]) + rest


def summary(split: SplitCheck) -> str:
    """One line about a split's pictures."""
    sizes = {f"{w}x{h}": count for (w, h), count in split.sizes.most_common()}
    formats = dict(split.formats.most_common())
    return (
        f"{split.name}: {split.pictures} pictures, {_counted(sizes)}, {_counted(formats)}, "
        f"{100 * void_share(split):.1f} % void"
    )


def _table(check: DataCheck) -> Table:
    table = Table("", "class", title="share of the labelled pixels, %", title_justify="left")
    for split in check.splits:
        table.add_column(split.name, justify="right")
    columns = [shares(split, len(check.classes)) for split in check.splits]
    for index, name in enumerate(check.classes.names):
        red, green, blue = check.classes.colours[index]
        cells = [f"{100 * column[index]:.2f}" for column in columns]
        table.add_row(f"[rgb({red},{green},{blue})]██[/]", f"{index:3d} {escape(name)}", *cells)
    return table


def show(check: DataCheck, console: Console) -> None:
    """Print everything: what it is, what it holds, what is wrong."""

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    line(f"{check.root}: layout {check.layout} ({check.why}), {len(check.classes)} classes")
    for split in check.splits:
        line(summary(split))
    if console.is_terminal:
        console.print(_table(check))
    else:
        columns = [shares(split, len(check.classes)) for split in check.splits]
        for index, name in enumerate(check.classes.names):
            cells = (
                f"{split.name} {100 * column[index]:.2f} %"
                for split, column in zip(check.splits, columns, strict=True)
            )
            line(f"{index:3d} {name}: {', '.join(cells)}")
    for kind, sentences in (("note", check.notes), ("wrong", check.faults)):
        for sentence in sentences[:_SHOWN]:
            line(f"{kind}: {sentence}")
        if len(sentences) > _SHOWN:
            line(f"{kind}: {len(sentences) - _SHOWN} more (--json lists all)")
    if check.good:
        line("nothing is wrong")
