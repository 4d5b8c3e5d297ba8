"""Draws a table of measures: the shares of classes over time, as PNG or SVG.

matplotlib draws; it is not a dependency of the package, and only asked for here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import SourceError, UsageError
from streamseg.measures.tables import Table, read_table
from streamseg.models.colours import DEFAULT_PALETTE, recoloured
from streamseg.models.palette import Palette, index_colour
from streamseg.video.output import OutputPath, cannot_write

if TYPE_CHECKING:
    from matplotlib.axes import Axes

KINDS = {".png": "png", ".svg": "svg"}
_SIZE_INCHES, _DPI = (10.0, 4.6), 150
_MOST_POINTS = 1200
"""More than a plot is wide show nothing more: they are averaged."""
_LEAST_SHOWN = 0.01
"""Classes that are never more of the picture than this are not in the legend of a stack."""
_STEPS: dict[bool, list[float]] = {False: [1, 2, 5, 10], True: [1, 1.5, 3, 6, 10]}
"""Between ticks: of seconds, and of what is read as minutes."""
_SHADES = ("#000000", "#c00000", "#0040c0", "#008040")
"""Of events, a condition each."""
_LOOK: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "svg.fonttype": "none",
}


@dataclass(frozen=True, slots=True)
class _Binned:
    """A table of at most `_MOST_POINTS` rows."""

    seconds: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def plot_table(
    table: str | Path,
    dst: str | Path,
    *,
    classes: Sequence[str] | None = None,
    events: str | Path | None = None,
    palette: str | Path = DEFAULT_PALETTE,
    overwrite: bool = False,
) -> None:
    """Draw a table of measures.

    Args:
        table: as `Segmenter.video` writes it (`MeasureOptions.table`).
        dst: ``.png`` or ``.svg``.
        classes: each as a line; None stacks all classes, 100 % in all.
        events: ``.json`` of events, whose times are shaded.
        palette: name of a palette, or a file of colours.
        overwrite: replace an existing `dst`.

    Raises:
        UsageError: an argument that cannot be, or matplotlib is not installed.
        SourceError: a file that is no table, or none of events.
        OutputError: `dst` cannot be written.
    """
    source = Path(table)
    place = OutputPath.check(Path(dst), overwrite=overwrite, source=source, kinds=KINDS)
    if find_spec("matplotlib") is None:
        raise UsageError(
            "plots are drawn by matplotlib, which is not installed: pip install matplotlib"
        )
    read = read_table(source)
    which = None if classes is None else [_index(read, name) for name in classes]
    if which == []:
        raise UsageError("no class to draw; give --classes a name")
    spans = [] if events is None else _read_events(Path(events))
    own = Palette(read.classes, tuple(index_colour(i + 1) for i in range(len(read.classes))))
    colours = recoloured(own, palette).colours
    try:
        place.claim()
        _draw(read, which, spans, [_hex(colour) for colour in colours], place)
        place.publish()
    except OSError as error:
        raise cannot_write(place, error) from error
    finally:
        place.discard()


def _draw(
    table: Table,
    which: Sequence[int] | None,
    spans: Sequence[tuple[str, float, float]],
    colours: Sequence[str],
    place: OutputPath,
) -> None:
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.ticker import FuncFormatter, MaxNLocator, PercentFormatter

    with mpl.rc_context(_LOOK):
        figure = Figure(figsize=_SIZE_INCHES, dpi=_DPI, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        binned = _binned(table)
        if which is None:
            _stack(axes, table, binned, colours)
        else:
            _lines(axes, table, binned, which, colours)
        _shade(axes, spans)
        last = float(table.seconds[-1])
        axes.set_xlim(float(table.seconds[0]), max(last, float(table.seconds[0]) + 1e-3))
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axes.xaxis.set_major_locator(MaxNLocator(nbins=9, steps=_STEPS[last >= 60]))
        long = last >= 3600
        axes.xaxis.set_major_formatter(FuncFormatter(lambda x, _: _clock(x, last, long)))
        axes.set_ylabel("share of the picture")
        axes.set_xlabel("time, " + ("h:min:s" if long else "min:s" if last >= 60 else "s"))
        axes.legend(
            title="class, mean share",
            alignment="left",
            loc="upper left",
            bbox_to_anchor=(1.0, 1.0),
            handlelength=1.2,
            labelspacing=0.6,
        )
        figure.savefig(place.partial, format=place.muxer, facecolor="white")


def _stack(axes: Axes, table: Table, binned: _Binned, colours: Sequence[str]) -> None:
    order = np.argsort(-table.shares.mean(axis=0), kind="stable")
    means = table.shares.mean(axis=0)
    bottom = np.zeros(len(binned.seconds))
    for index in order:
        top = bottom + binned.mean[:, index]
        area = axes.fill_between(
            binned.seconds, bottom, top, color=colours[index], linewidth=0.4, edgecolor="white"
        )
        area.set_label(f"{table.classes[index]}  {means[index]:.1%}")
        if table.shares[:, index].max() <= _LEAST_SHOWN:
            area.set_label("_")
        bottom = top
    axes.set_ylim(0, 1)


def _lines(
    axes: Axes, table: Table, binned: _Binned, which: Sequence[int], colours: Sequence[str]
) -> None:
    axes.grid(True)
    for index in which:
        label = f"{table.classes[index]}  {table.shares[:, index].mean():.1%}"
        axes.plot(binned.seconds, binned.mean[:, index], color=colours[index], lw=1.6, label=label)
        axes.fill_between(
            binned.seconds,
            binned.low[:, index],
            binned.high[:, index],
            color=colours[index],
            alpha=0.25,
            linewidth=0,
        )
    axes.set_ylim(bottom=0)


def _shade(axes: Axes, spans: Sequence[tuple[str, float, float]]) -> None:
    conditions = list(dict.fromkeys(when for when, _, _ in spans))
    named: set[str] = set()
    for when, start, end in spans:
        shade = _SHADES[conditions.index(when) % len(_SHADES)]
        label = "_" if when in named else when
        axes.axvspan(start, end, facecolor=shade, alpha=0.15, linewidth=0, label=label, zorder=3)
        named.add(when)


def _binned(table: Table) -> _Binned:
    count = len(table.seconds)
    if count <= _MOST_POINTS:
        return _Binned(table.seconds, table.shares, table.shares, table.shares)
    starts = np.arange(_MOST_POINTS) * count // _MOST_POINTS
    sizes = np.diff(starts, append=count)
    return _Binned(
        np.add.reduceat(table.seconds, starts) / sizes,
        np.add.reduceat(table.shares, starts) / sizes[:, None],
        np.minimum.reduceat(table.shares, starts),
        np.maximum.reduceat(table.shares, starts),
    )


def _clock(seconds: float, last: float, long: bool) -> str:
    if last < 60:
        return f"{seconds:g}"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}" if long else f"{minutes}:{rest:02}"


def _hex(colour: tuple[int, int, int]) -> str:
    return "#" + bytes(colour).hex()


def _index(table: Table, name: str) -> int:
    if name not in table.classes:
        raise UsageError(f"unknown class {name!r}; known: {', '.join(table.classes)}")
    return table.classes.index(name)


def _read_events(path: Path) -> list[tuple[str, float, float]]:
    if not path.is_file():
        raise UsageError(f"{path}: no such file")
    try:
        events = json.loads(path.read_text(encoding="utf-8"))["events"]
        return [
            (str(e["when"]), float(e["start_seconds"]), float(e["end_seconds"])) for e in events
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{path}: is no file of events ({error}); see --events") from error
