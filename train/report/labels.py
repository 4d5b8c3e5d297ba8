"""Names beside points, none over another. Knows nothing about what is plotted.

Boxes and points here are in pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

import numpy as np
from matplotlib.axes import Axes
from matplotlib.transforms import Bbox

Point: TypeAlias = tuple[float, float]
Segment: TypeAlias = tuple[Point, Point]

_REACHES = (9.0, 12.0, 17.0, 24.0, 33.0, 45.0, 60.0, 80.0, 105.0, 135.0, 170.0)
"""How far a label may stand from its point, in typographic points: near places first."""
_ANGLES = tuple(math.radians(a) for a in (0, 45, -45, 90, -90, 135, -135, 180, 22, -22, 158, -158))
_LINE_FROM = 15.0
"""Labels further away than this get a line to their point."""


def place_labels(
    axes: Axes,
    points: Sequence[Point],
    names: Sequence[tuple[str, str]],
    avoid: Sequence[Segment] = (),
) -> list[Bbox]:
    """Write `(name, colour)` beside each point, at the nearest place that covers nothing.

    A label far from its point gets a thin line to it, which crosses no label. The most crowded
    points choose first; a name for which the axes have no room at all goes to their right. Call it
    with the final limits of the axes. `avoid` are level or upright lines that labels keep off.

    Returns:
        The boxes of the labels, in pixels, in the order of `points`; no two overlap.
    """
    pixel = axes.figure.dpi / 72
    centres = [tuple(map(float, axes.transData.transform(point))) for point in points]
    radius = 6 * pixel
    taken = [Bbox.from_extents(x - radius, y - radius, x + radius, y + radius) for x, y in centres]
    taken += [Bbox.from_extents(*axes.transData.transform(line).ravel()) for line in avoid]
    sizes = [_size(axes, name) for name, _ in names]
    boxes: dict[int, Bbox] = {}
    lines: list[Segment] = []
    for index in _crowded_first(centres):  # type: ignore[arg-type]
        centre: Point = centres[index]  # type: ignore[assignment]
        box, line = _free_place(axes, centre, sizes[index], pixel, [*taken, *boxes.values()], lines)
        boxes[index] = box
        if line is not None:
            lines.append(line)
        _write(axes, centre, box, names[index], line=line is not None)
    return [boxes[index] for index in range(len(points))]


def _crowded_first(centres: Sequence[Point]) -> list[int]:
    """Indices, those with many others near them first."""
    places = np.array(centres).reshape(-1, 2)
    apart = np.hypot(*(places[:, None] - places[None]).T)
    return sorted(range(len(places)), key=lambda i: (-int((apart[i] < 100).sum()), i))


def _size(axes: Axes, name: str) -> tuple[float, float]:
    """Width and height of a label."""
    text = axes.text(0, 0, name, fontsize="small", fontweight="bold")
    renderer = axes.figure.canvas.get_renderer()  # type: ignore[attr-defined]
    box = text.get_window_extent(renderer).padded(1)
    text.remove()
    return float(box.width), float(box.height)


def _free_place(
    axes: Axes,
    centre: Point,
    size: tuple[float, float],
    pixel: float,
    taken: Sequence[Bbox],
    lines: Sequence[Segment],
) -> tuple[Bbox, Segment | None]:
    """The nearest box that covers nothing, and the line to it where it is far."""
    inside = axes.get_window_extent()
    for reach, box in _places(centre, size, pixel):
        if not (inside.x0 <= box.x0 and box.x1 <= inside.x1):
            continue
        if not (inside.y0 <= box.y0 and box.y1 <= inside.y1):
            continue
        line = (centre, _near_edge(centre, box)) if reach > _LINE_FROM else None
        if any(box.overlaps(other) for other in taken) or any(_hits(box, old) for old in lines):
            continue
        if line and any(_hits(o, line) for o in taken if not o.contains(*centre)):
            continue
        return box, line
    width, height = size  # beside the axes there is always room, further down
    x, y = inside.x1 + 6 * pixel, inside.y1 - height
    while any(Bbox.from_bounds(x, y, width, height).overlaps(other) for other in taken):
        y -= height
    box = Bbox.from_bounds(x, y, width, height)
    return box, (centre, _near_edge(centre, box))


def _places(centre: Point, size: tuple[float, float], pixel: float) -> Iterator[tuple[float, Bbox]]:
    """Boxes around a point, near ones first: their side towards the point is at the reach."""
    width, height = size
    for reach in _REACHES:
        for angle in _ANGLES:
            dx, dy = reach * pixel * math.cos(angle), reach * pixel * math.sin(angle)
            x, y = centre[0] + dx, centre[1] + dy
            left = x if dx > 1 else x - width if dx < -1 else x - width / 2
            yield reach, Bbox.from_bounds(left, y - height / 2, width, height)


def _near_edge(centre: Point, box: Bbox) -> Point:
    """The point of a box that is nearest to another point."""
    return (
        float(np.clip(centre[0], box.x0, box.x1)),
        float(np.clip(centre[1], box.y0, box.y1)),
    )


def _hits(box: Bbox, line: Segment) -> bool:
    """Whether a line goes through a box; looked at every few pixels."""
    (x0, y0), (x1, y1) = line
    steps = max(2, int(math.hypot(x1 - x0, y1 - y0) / 3))
    shares = np.linspace(0, 1, steps)[1:-1]
    xs, ys = x0 + shares * (x1 - x0), y0 + shares * (y1 - y0)
    within = (xs > box.x0 + 1) & (xs < box.x1 - 1) & (ys > box.y0 + 1) & (ys < box.y1 - 1)
    return bool(within.any())


def _write(axes: Axes, centre: Point, box: Bbox, name: tuple[str, str], *, line: bool) -> None:
    text, colour = name
    if line:
        edge = _near_edge(centre, box)
        (x0, y0), (x1, y1) = axes.transData.inverted().transform([centre, edge])
        axes.plot([x0, x1], [y0, y1], color=colour, lw=0.6, clip_on=False, zorder=1.5)
    middle = ((box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2)
    x, y = map(float, axes.transAxes.inverted().transform(middle))
    axes.text(
        x,
        y,
        text,
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize="small",
        color=colour,
        fontweight="bold",
        clip_on=False,
    )
