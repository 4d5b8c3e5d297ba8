"""The mIoU-speed curve: accuracy against latency, with the models nobody beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter

from train.report.cost import Latencies
from train.report.entry import Entry, compared
from train.report.labels import Point, place_labels
from train.report.style import GREY, Look, Target, figure


def pareto_front(points: Sequence[Point]) -> list[int]:
    """Indices of the points `(milliseconds, mIoU)` that no other one beats or equals in both.

    Fastest first. Of two equal points the first is kept.
    """
    order = sorted(range(len(points)), key=lambda i: (points[i][0], -points[i][1], i))
    front: list[int] = []
    for i in order:
        if not front or points[i][1] > points[front[-1]][1]:
            front.append(i)
    return front


def draw_speed(
    target: Target, entries: Sequence[Entry], latencies: Latencies | None, look: dict[str, Look]
) -> bool:
    """mIoU over latency; filled points are on the Pareto front, hollow ones are beaten.

    Returns:
        Whether there was anything to draw: at least one model with a score and a latency.
    """
    shown = [entry for entry in compared(entries) if entry.milliseconds]
    if not shown or latencies is None:
        return False
    points = [(e.milliseconds or 0.0, 100 * (e.score("miou") or 0.0)) for e in shown]
    front = pareto_front(points)
    measured = shown[0].main.target if shown[0].main else ""
    with figure(target, height=4.6) as drawn:
        axes = drawn.subplots()
        _set_scale(axes, [x for x, _ in points])
        line = [points[i] for i in front]
        axes.step(*zip(*line, strict=True), where="post", color=GREY, lw=1.1, ls="--", zorder=1)
        for i, (entry, (x, y)) in enumerate(zip(shown, points, strict=True)):
            style = look[entry.name]
            fill = style.colour if i in front else "white"
            axes.plot(
                x, y, style.marker, ms=8.5, mfc=fill, mec=style.colour, mew=1.6, clip_on=False
            )
        axes.margins(y=0.12)
        axes.set_xlabel(f"Latency of one batch (ms): {latencies.regime}")
        axes.set_ylabel(f"mIoU (%), {measured}")
        axes.set_title("mIoU and speed (filled: no other model is both faster and better)")
        drawn.draw_without_rendering()
        drawn.set_layout_engine("none")  # labels are placed in pixels: nothing may move now
        names = [(e.name, look[e.name].colour) for e in shown]
        corners = [(b[0], a[1]) for a, b in pairwise(line)]
        bends = [p for pair in zip(line, corners, strict=False) for p in pair] + line[-1:]
        place_labels(axes, points, names, list(pairwise(bends)))
    return True


def _set_scale(axes: Axes, times: Sequence[float]) -> None:
    """Logarithmic where the slowest takes over five times as long as the fastest."""
    low, high = min(times), max(times)
    if high > 5 * low:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(low * 0.8, high * 1.5)
    else:
        margin = max(high - low, 0.1 * high)
        axes.set_xlim(max(0, low - 0.25 * margin), high + 0.4 * margin)
