"""The mIoU-speed curve: accuracy against latency, with the models nobody beats in both."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import TypeAlias

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, ScalarFormatter
from matplotlib.transforms import Bbox

from train.report.cost import Latencies
from train.report.entry import Entry, compared
from train.report.style import GREY, Look, figure

Point: TypeAlias = tuple[float, float]
Segment: TypeAlias = tuple[Point, Point]

_OFFSETS = [
    (dx * reach, dy * reach, side)
    for reach in (1.0, 1.9, 3.0, 4.5)
    for dx, dy, side in (
        (9, 0, "left"),
        (6, 7, "left"),
        (6, -7, "left"),
        (0, 10, "center"),
        (0, -10, "center"),
        (-6, 7, "right"),
        (-6, -7, "right"),
        (-9, 0, "right"),
    )
]
"""Where a label may stand, in points from its model: near places first."""


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
    path: Path, entries: Sequence[Entry], latencies: Latencies | None, look: dict[str, Look]
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
    target = shown[0].main.target if shown[0].main else ""
    with figure(path, height=4.6) as drawn:
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
        axes.set_ylabel(f"mIoU (%), {target}")
        axes.set_title("mIoU and speed (filled: no other model is both faster and better)")
        drawn.draw_without_rendering()
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


def place_labels(
    axes: Axes,
    points: Sequence[Point],
    names: Sequence[tuple[str, str]],
    avoid: Sequence[Segment] = (),
) -> list[Bbox]:
    """Write `(name, colour)` beside each point, at the nearest place that covers nothing.

    A label far from its point gets a thin line to it. Call it with the final limits of the axes.
    `avoid` are level or upright lines that labels keep off.

    Returns:
        The boxes of the labels, in pixels.
    """
    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    radius = 6 * axes.figure.dpi / 72
    centres = [axes.transData.transform(point) for point in points]
    taken = [Bbox.from_extents(x - radius, y - radius, x + radius, y + radius) for x, y in centres]
    taken += [Bbox.from_extents(*axes.transData.transform(box).ravel()) for box in avoid]
    inside = axes.get_window_extent()
    boxes: list[Bbox] = []
    for point, (name, colour) in zip(points, names, strict=True):
        best = None
        for dx, dy, side in _OFFSETS:
            label = axes.annotate(
                name,
                xy=point,
                xytext=(dx, dy),
                textcoords="offset points",
                ha=side,
                va="center",
                fontsize="small",
                color=colour,
                fontweight="bold",
                arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "shrinkB": 5}
                if max(abs(dx), abs(dy)) > 15
                else None,
            )
            box = label.get_window_extent(renderer).padded(1)
            covered = sum(box.overlaps(other) for other in [*taken, *boxes])
            covered += 3 * (not (inside.x0 <= box.x0 and box.x1 <= inside.x1 + 40))
            if best is None or covered < best[0]:
                if best is not None:
                    best[1].remove()
                best = (covered, label, box)
            else:
                label.remove()
            if covered == 0:
                break
        assert best is not None
        boxes.append(best[2])
    return boxes
