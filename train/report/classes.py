"""Figures of classes: IoU of each one as bars, and the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from streamseg.models.palette import Palette
from train.report.entry import Entry, compared
from train.report.style import COLOURS, WIDTH, Look, Target, figure

SIDE_BY_SIDE = 4
"""More models than this get a panel each: thinner bars could not be told apart."""
TALL = 45
"""More bars than this in a column start another."""


def draw_class_iou(target: Target, entries: Sequence[Entry], look: dict[str, Look]) -> bool:
    """IoU of each class in the data set's order, the models' bars side by side."""
    shown = compared(entries)
    if not shown or shown[0].main is None:
        return False
    names = shown[0].main.classes
    values = np.array(
        [
            [np.nan if v is None else 100 * v for v in (e.main.class_iou() if e.main else [])]
            for e in shown
        ]
    )
    title = f"IoU of each class, {shown[0].main.target}"
    if len(shown) > SIDE_BY_SIDE and len(names) <= TALL:
        _panels(target, shown, names, values, look, title)
    else:
        _grouped(target, shown, names, values, look, title)
    return True


def _bars(axes: Axes, names: Sequence[str]) -> None:
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)


def _write(axes: Axes, y: float, value: float, size: str, *, strong: bool = False) -> None:
    text = "no pixels" if np.isnan(value) else f"{value:.1f}"
    x = 1.0 if np.isnan(value) else value + 1.0
    weight = "bold" if strong else "normal"
    axes.text(x, y, text, va="center", fontsize=size, color="#333333", clip_on=False, weight=weight)


def _grouped(
    target: Target,
    shown: Sequence[Entry],
    names: Sequence[str],
    values: NDArray[np.float64],
    look: dict[str, Look],
    title: str,
) -> None:
    """A group of bars for each class; many classes go on in further columns."""
    bar = 0.8 / len(shown)
    columns = min(4, -(-len(names) * len(shown) // (3 * TALL)))
    length = -(-len(names) // columns)
    height = 1.2 + length * (0.13 + 0.155 * len(shown))
    with figure(target, width=max(WIDTH, 3.6 * columns), height=height) as drawn:
        grid = drawn.subplots(1, columns, squeeze=False)[0]
        for column, axes in enumerate(grid):
            first = column * length
            part = names[first : first + length]
            for i, entry in enumerate(shown):
                y = np.arange(len(part)) - 0.4 + bar * (i + 0.5)
                found = values[i, first : first + length]
                axes.barh(y, np.nan_to_num(found), bar * 0.9, color=look[entry.name].colour)
                for at, value in zip(y, found, strict=True):
                    _write(axes, float(at), float(value), "x-small" if len(shown) > 1 else "small")
            _bars(axes, part)
            axes.set_xlabel("IoU (%)")
        grid[0].set_title(title)
        handles = [Patch(color=look[e.name].colour, label=_with_mean(e)) for e in shown]
        drawn.legend(handles=handles, loc="outside lower center", ncols=min(2, len(handles)))


def _with_mean(entry: Entry) -> str:
    miou = entry.score("miou")
    return entry.name if miou is None else f"{entry.name} (mean {100 * miou:.1f})"


def _panels(
    target: Target,
    shown: Sequence[Entry],
    names: Sequence[str],
    values: NDArray[np.float64],
    look: dict[str, Look],
    title: str,
) -> None:
    """A panel for each model, the same classes in the same places; the best model's IoU is bold."""
    columns = 3
    rows = -(-len(shown) // columns)
    best = np.where(np.isnan(values), -1, values).max(axis=0)
    height = 0.6 + rows * (0.6 + 0.19 * len(names))
    with figure(target, width=WIDTH, height=height) as drawn:
        grid = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(shown) :]:
            axes.set_visible(False)
        for i, (axes, entry, found) in enumerate(zip(grid.flat, shown, values, strict=False)):
            y = np.arange(len(names))
            axes.barh(y, np.nan_to_num(found), 0.72, color=look[entry.name].colour)
            _bars(axes, names)
            for at, value, top in zip(y, found, best, strict=True):
                _write(axes, float(at), float(value), "x-small", strong=value == top)
            axes.set_title(f"{entry.name}: {100 * (entry.score('miou') or 0):.1f}", size=8, pad=4)
            axes.set_xticks([0, 50, 100])
            axes.tick_params(axis="x", labelbottom=i + columns >= len(shown))
        heading = f"{title} (%); after each name the mean; bold: the best of all models"
        drawn.suptitle(heading, x=0.01, ha="left", fontsize=10)


def draw_class_pixels(
    target: Target,
    entries: Sequence[Entry],
    palette: Palette | None,
    train_pixels: Sequence[int] | None = None,
) -> bool:
    """Share of each class in the labelled pixels, as in report 004's section on its data set.

    Bars: the split that the models were measured on; with `train_pixels` a rhombus on each shows
    the training split. A logarithmic axis: the commonest class may have a thousand times the
    rarest's.
    """
    found = next((e.main for e in compared(entries) if e.main and e.main.counts is not None), None)
    if found is None or found.counts is None or len(found.classes) > 4 * TALL:
        return False
    pixels = found.counts.sum(axis=1)
    share = 100 * pixels / max(1, int(pixels.sum()))
    trained = None
    if train_pixels is not None and len(train_pixels) == len(share):
        trained = 100 * np.array(train_pixels) / max(1, sum(train_pixels))
    same = palette is not None and palette.names == found.classes
    colours = np.array(palette.colours) / 255 if palette and same else [COLOURS[0]] * len(pixels)
    columns = -(-len(pixels) // TALL)
    length = -(-len(pixels) // columns)
    height = 1.1 + 0.24 * length + (0.3 if trained is not None else 0)
    every = np.concatenate([share, trained if trained is not None else share])
    low = 0.5 * float(every[every > 0].min(initial=100))
    with figure(target, width=max(WIDTH, 3.6 * columns), height=height) as drawn:
        grid = drawn.subplots(1, columns, squeeze=False)[0]
        for column, axes in enumerate(grid):
            part = slice(column * length, (column + 1) * length)
            names = found.classes[part]
            y = np.arange(len(names))
            axes.barh(y, share[part], 0.72, color=colours[part], ec="#888888", lw=0.4)
            ends = share[part]
            if trained is not None:
                axes.plot(trained[part], y, "D", ms=5.5, mfc="white", mec="#222222", mew=1.2)
                ends = np.maximum(ends, trained[part])
            _bars(axes, names)
            axes.set_xscale("log")
            axes.set_xlim(low, 400)
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.set_xlabel("Share of the labelled pixels (%)")
            for at, end, of_all in zip(y, ends, share[part], strict=True):
                text = f"{of_all:.2f} %" if of_all else "no pixels"
                axes.text(1.18 * max(end, low), at, text, va="center", fontsize="small")
        grid[0].set_title(f"Pixels of each class, {found.target}")
        if trained is not None:
            style = {"ls": "", "marker": "D", "mfc": "white", "mec": "#222222"}
            handles = [
                Patch(facecolor="#bbbbbb", ec="#888888", label=f"{found.target} (with its share)"),
                Line2D([], [], label="training split", **style),  # type: ignore[arg-type]
            ]
            drawn.legend(handles=handles, loc="outside lower center", ncols=2)
    return True


def draw_confusion(target: Target, entry: Entry) -> bool:
    """Confusion matrix of the main evaluation, each row (a true class) in per cent of its pixels.

    Drawn for up to 40 classes; numbers are written in up to 21.
    """
    if entry.main is None or entry.main.counts is None or len(entry.main.classes) > 40:
        return False
    counts, names = entry.main.counts, entry.main.classes
    with np.errstate(invalid="ignore", divide="ignore"):
        shares = 100 * counts / counts.sum(axis=1, keepdims=True)
    side = 2.2 + len(names) * (0.42 if len(names) <= 21 else 0.25)
    with figure(target, width=side + 0.8, height=side) as drawn:
        axes = drawn.subplots()
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=100)
        axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), names)
        axes.grid(visible=False)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("Predicted class")
        axes.set_ylabel("True class")
        axes.set_title(f"{entry.name}: what became of each class's pixels, {entry.main.target}")
        drawn.colorbar(image, ax=axes, label="Share of the true class's pixels (%)", shrink=0.8)
        if len(names) <= 21:
            _numbers(axes, shares)
    return True


def _numbers(axes: Axes, shares: NDArray[np.float64]) -> None:
    for (row, column), share in np.ndenumerate(shares):
        if np.isnan(share) or share < 0.5:
            continue  # a zero in every empty cell would drown the others
        colour = "white" if share > 55 else "#222222"
        axes.text(
            column, row, f"{share:.0f}", ha="center", va="center", fontsize="small", color=colour
        )
