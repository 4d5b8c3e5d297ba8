"""One look for all figures: sizes, colours, and how a figure becomes a file.

Figures are drawn without pyplot: nothing global changes, and no window can open. Series colours are
Okabe and Ito's (2008), told apart by people with any colour vision; yellow is left out (too pale
on white), and beyond seven models markers and dashes change too.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from train.errors import TrainError

DPI = 120
WIDTH = 7.5
"""Inches: 900 pixels, which a README shows at full size."""
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#333333")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "<", ">", "h")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))
GREY = "#666666"
_LOOK: Any = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlepad": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": GREY,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.7,
    "xtick.color": "#333333",
    "ytick.color": "#333333",
    "lines.linewidth": 1.7,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "pdf.fonttype": 42,  # letters stay letters: journals refuse Type 3
    "svg.hashsalt": "streamseg",
}
_METADATA: dict[str, Any] = {
    "png": {"Software": None},
    "pdf": {"CreationDate": None},
    "svg": {"Date": None},
}
FORMATS = tuple(_METADATA)
"""What figures can be written as."""


@dataclass(frozen=True, slots=True)
class Look:
    """How one model is drawn, the same in every figure."""

    colour: str
    marker: str
    dash: Any


def looks(names: Sequence[str]) -> dict[str, Look]:
    """A look for each model, by its place in the report."""
    return {
        name: Look(
            COLOURS[i % len(COLOURS)],
            MARKERS[i % len(MARKERS)],
            DASHES[i // len(COLOURS) % len(DASHES)],
        )
        for i, name in enumerate(names)
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """Where a figure goes: `path`, and files of other formats beside it."""

    path: Path
    """With the suffix of the PNG."""
    formats: tuple[str, ...] = ("png",)
    dpi: int = DPI
    """Of the PNG, and of pictures inside the others."""

    @property
    def files(self) -> dict[str, Path]:
        """The file of each format."""
        return {kind: self.path.with_suffix(f".{kind}") for kind in self.formats}


Target: TypeAlias = Path | Sheet
"""Of a figure; a path means one PNG."""


@contextlib.contextmanager
def figure(target: Target, *, width: float = WIDTH, height: float = 4.2) -> Iterator[Figure]:
    """A figure of `width` x `height` inches that is in its files when the block ends.

    Raises:
        TrainError: a file cannot be written.
    """
    sheet = target if isinstance(target, Sheet) else Sheet(path=target)
    with mpl.rc_context(_LOOK):
        drawn = Figure(figsize=(width, height), dpi=sheet.dpi, layout="constrained")
        FigureCanvasAgg(drawn)
        yield drawn
        for kind, path in sheet.files.items():
            _save(drawn, path, kind)


def _save(drawn: Figure, path: Path, kind: str) -> None:
    """Whole or not at all, and without the time: the same figure is the same file."""
    partial = path.with_name(f".{path.name}.part")
    try:
        drawn.savefig(partial, format=kind, metadata=_METADATA[kind])
        partial.replace(path)
    except OSError as error:
        raise TrainError(f"{path}: cannot be written ({error.strerror})") from error
    finally:
        partial.unlink(missing_ok=True)


def label_ends(axes: Axes, ends: Sequence[tuple[float, float, str, str]]) -> None:
    """Write each line's name beside its last point `(x, y, name, colour)`, none over another.

    Names are moved apart along y as little as it takes, and joined to their points by thin lines.
    Call it last: it needs the final limits of the axes.
    """
    if not ends:
        return
    height = axes.get_window_extent().height
    gap = 1.35 * float(mpl.rcParams["font.size"]) * axes.figure.dpi / 72 / height
    to_share = axes.transData + axes.transAxes.inverted()
    placed = sorted(
        ((float(to_share.transform((x, y))[1]), x, y, name, c) for x, y, name, c in ends)
    )
    shares = _apart([item[0] for item in placed], gap)
    for (_, x, y, name, colour), share in zip(placed, shares, strict=True):
        axes.annotate(
            name,
            xy=(x, y),
            xycoords="data",
            xytext=(1.03, share),
            textcoords="axes fraction",
            va="center",
            color=colour,
            fontweight="bold",
            fontsize="small",
            annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.6, "alpha": 0.6},
        )


def _apart(wanted: Sequence[float], gap: float) -> list[float]:
    """Rising numbers near the (rising) wanted ones, at least `gap` apart.

    Neighbours that are too close become a block around their common mean (pool adjacent violators).
    """
    blocks: list[tuple[float, int]] = []  # sum of wanted - offset, and how many
    for i, value in enumerate(wanted):
        total, count = value - i * gap, 1
        while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
            before = blocks.pop()
            total, count = total + before[0], count + before[1]
        blocks.append((total, count))
    means = [total / count for total, count in blocks for _ in range(count)]
    return [mean + i * gap for i, mean in enumerate(means)]
