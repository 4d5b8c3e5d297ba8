"""Curves of training: loss, mIoU, and the adaptation curves of report 003."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from train.report.logs import LogRow
from train.report.runs import Run
from train.report.style import GREY, WIDTH, Look, Target, figure, label_ends

Point = tuple[float, float]


def has_steps(runs: Sequence[Run]) -> bool:
    """Whether all logs say optimiser steps; else curves run over epochs."""
    return all(row.step is not None for run in runs for row in run.rows)


def _time(row: LogRow, steps: bool) -> float:
    return float(row.step if steps and row.step is not None else row.epoch)


def _time_axis(axes: Axes, steps: bool) -> None:
    axes.set_xlabel("Iteration (optimiser steps)" if steps else "Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    axes.set_xlim(left=0)


def smoothed(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Mean over a centred window, shorter at the ends; same length."""
    kernel = np.ones(min(window, len(values)))
    weights = np.convolve(np.ones(len(values)), kernel, mode="same")
    return np.asarray(np.convolve(values, kernel, mode="same") / weights)


def _loss_points(run: Run, steps: bool) -> NDArray[np.float64]:
    """Time and training loss ``[S, 2]``: every step (smoothed) if logged, else every row."""
    if steps and len(run.steps) > 50:
        window = max(5, len(run.steps) // 60)
        return np.stack([run.steps[:, 0], smoothed(run.steps[:, 1], window)], axis=1)
    return np.array([(_time(row, steps), row.loss) for row in run.rows])


def _loss_axis(axes: Axes) -> None:
    """Logarithmic where the start would press everything after it onto the floor."""
    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in axes.lines])
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 8 * np.median(values):
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())


def draw_loss(target: Target, runs: Sequence[Run], look: dict[str, Look]) -> bool:
    """Training loss of each run (solid) and validation loss (dashed, where logged).

    Returns:
        Whether there was anything to draw.
    """
    runs = [run for run in runs if run.rows]
    if not runs:
        return False
    steps = has_steps(runs)
    with figure(target) as drawn:
        axes = drawn.subplots()
        ends, dashed = [], False
        for run in runs:
            colour, points = look[run.name].colour, _loss_points(run, steps)
            mark = look[run.name].marker if len(points) <= 30 else None
            axes.plot(*points.T, color=colour, marker=mark, markersize=4)
            ends.append((points[-1, 0], points[-1, 1], run.name, colour))
            held = [(_time(r, steps), r.val_loss) for r in run.rows if r.val_loss is not None]
            if held:
                mark = look[run.name].marker if len(held) <= 30 else None  # one point has no line
                axes.plot(
                    *zip(*held, strict=True),
                    color=colour,
                    ls=(0, (4, 2)),
                    lw=1.2,
                    marker=mark,
                    markersize=3.5,
                    mfc="white",
                )
                dashed = True
        _time_axis(axes, steps)
        _loss_axis(axes)
        axes.set_ylabel("Loss")
        axes.set_title("Training and validation loss" if dashed else "Training loss")
        if dashed:
            kinds = [Line2D([], [], color=GREY), Line2D([], [], color=GREY, ls=(0, (4, 2)), lw=1.2)]
            axes.legend(kinds, ["training", "validation"], loc="best")
        drawn.draw_without_rendering()
        label_ends(axes, ends)
    return True


def draw_miou(target: Target, runs: Sequence[Run], look: dict[str, Look]) -> bool:
    """Validation mIoU over iterations; a ring marks the weights that were kept."""
    runs = [run for run in runs if run.validations]
    if not runs:
        return False
    steps = has_steps(runs)
    series = {
        run.name: [(_time(row, steps), 100 * row.scores["miou"]) for row in run.validations]
        for run in runs
    }
    with figure(target) as drawn:
        axes = drawn.subplots()
        _draw_series(axes, series, look)
        _time_axis(axes, steps)
        for run in runs:
            best = run.best
            if best is not None:
                at = (_time(best, steps), 100 * best.scores["miou"])
                axes.plot(*at, "o", ms=10, mfc="none", mec=look[run.name].colour, mew=1.4)
        axes.set_ylabel("Validation mIoU (%)")
        axes.set_title("Validation mIoU during training (ring: best, its weights are kept)")
        drawn.draw_without_rendering()
        label_ends(axes, _ends(series, look))
    return True


def _draw_series(axes: Axes, series: dict[str, list[Point]], look: dict[str, Look]) -> None:
    for name, points in series.items():
        style = look[name]
        axes.plot(
            *zip(*points, strict=True),
            color=style.colour,
            marker=style.marker if len(points) <= 30 else None,
            markersize=4,
            linestyle=style.dash,
        )


def _ends(
    series: dict[str, list[Point]], look: dict[str, Look]
) -> list[tuple[float, float, str, str]]:
    return [(*points[-1], name, look[name].colour) for name, points in series.items()]


def _first_look(run: Run) -> int:
    """Number of a run's first validation: 0 if it was before the first step."""
    return 0 if run.validations[0].step == 0 else 1


def _looked_at_often(run: Run) -> bool:
    """Whether a run was validated every few steps, or before its first one."""
    found = run.validations
    often = bool(run.setting("train", "validate_every_steps")) or (found[:1] and found[0].step == 0)
    return len(found) > 1 and all(row.step is not None for row in found) and bool(often)


def draw_adaptation(target: Target, runs: Sequence[Run], look: dict[str, Look]) -> bool:
    """Report 003's adaptation curve: mIoU over the steps of runs that were looked at step by step.

    A run whose looks are epochs apart says nothing of how fast a network adapts: `draw_miou` has
    it.
    """
    runs = [run for run in runs if _looked_at_often(run)]
    if not runs:
        return False
    series = {
        run.name: [(_time(row, steps=True), 100 * row.scores["miou"]) for row in run.validations]
        for run in runs
    }
    with figure(target) as drawn:
        axes = drawn.subplots()
        _draw_series(axes, series, look)
        _time_axis(axes, steps=True)
        axes.set_ylim(bottom=0)
        axes.set_ylabel("Validation mIoU (%)")
        axes.set_title("Adaptation: validation mIoU from the first look on")
        drawn.draw_without_rendering()
        label_ends(axes, _ends(series, look))
    return True


def draw_class_curves(target: Target, runs: Sequence[Run], look: dict[str, Look]) -> bool:
    """IoU of each class at each validation, a panel a class: what is learned first.

    Drawn for up to 40 classes; more would not be read.
    """
    runs = [run for run in runs if len(run.validations) > 1]
    names = list(runs[0].validations[0].class_iou) if runs else []
    if not 1 <= len(names) <= 40:
        return False
    columns = 4
    rows = -(-len(names) // columns)
    with figure(target, width=WIDTH, height=0.9 + 1.45 * rows) as drawn:
        grid = drawn.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for axes in grid.flat[len(names) :]:
            axes.set_visible(False)
        for axes in grid[-1]:  # not above a hidden panel: rows would be of different heights
            axes.set_xlabel("Validation step", fontsize="small")
        for name, axes in zip(names, grid.flat, strict=False):
            for run in runs:
                values = [row.class_iou.get(name) for row in run.validations]
                shares = [np.nan if v is None else 100 * v for v in values]
                style = look[run.name]
                looks = range(_first_look(run), _first_look(run) + len(shares))
                axes.plot(looks, shares, color=style.colour, ls=style.dash)
            axes.set_title(name, fontsize="medium", fontweight="normal", pad=3)
            axes.set_ylim(0, 100)
            axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
            axes.tick_params(labelbottom=True, labelsize="small")
        handles = [
            Line2D([], [], color=look[r.name].colour, ls=look[r.name].dash, label=r.name)
            for r in runs
        ]
        drawn.legend(handles=handles, loc="outside lower center", ncols=min(4, len(handles)))
        drawn.supylabel("IoU (%)", fontsize="medium")
    return True
