"""The qualitative grid: pictures, their truth, and what each model makes of them.

Shape legend: H height, W width, K classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from numpy.typing import NDArray

from streamseg.models.palette import Palette
from train.data.dataset import SegmentationData
from train.evaluation.predict import label_picture, torch_labeller
from train.models import Segmenter
from train.report.style import WIDTH, Target, figure
from train.report.views import View

COLUMNS = 6
"""Pictures side by side at most; more models go on in a further line."""
CELL = 360
"""Pixels that a picture of the grid is wide at most."""
LISTED = 40
"""Classes in the legend at most: those with the most pixels in the grid."""


@dataclass(kw_only=True, slots=True, frozen=True, eq=False)
class Example:
    """One picture of the grid."""

    picture: NDArray[np.uint8] = field(repr=False)
    """RGB ``[H, W, 3]``."""
    truth: NDArray[np.uint8] = field(repr=False)
    """Class indices ``[H, W]``; from K on: void."""
    predictions: dict[str, NDArray[np.uint8]] = field(repr=False)
    """By model name, ``[H, W]``."""


def spread(count: int, wanted: int) -> list[int]:
    """`wanted` indices of `count`, evenly spread: the same ones in every report."""
    wanted = min(wanted, count)
    return [(2 * i + 1) * count // (2 * wanted) for i in range(wanted)]


def examples(
    dataset: SegmentationData,
    models: dict[str, Segmenter],
    wanted: int,
    device: torch.device,
    sizes: dict[str, tuple[int, int] | None],
    views: Sequence[View] = (),
) -> list[Example]:
    """Run every model on `wanted` pictures of the split, at its size (height, width; None: own).

    `views` are further columns.

    Raises:
        TrainError: a picture cannot be read.
    """
    labellers = {
        name: torch_labeller(model.to(device).eval(), model.spec.label_stride, device)
        for name, model in models.items()
    }
    others = {view.name: view.open(device) for view in views}
    found = []
    for index in spread(len(dataset), wanted):
        picture, truth = dataset.read(index)
        found.append(
            Example(
                picture=picture,
                truth=truth,
                predictions={n: label_picture(picture, f, sizes[n]) for n, f in labellers.items()}
                | {name: label(picture) for name, label in others.items()},
            )
        )
    return found


def paint(labels_HW: NDArray[np.uint8], palette: Palette) -> NDArray[np.uint8]:
    """Labels as RGB ``[H, W, 3]`` in the classes' colours; void is striped, as no class is."""
    height, width = labels_HW.shape
    rows, columns = np.mgrid[:height, :width]
    period = max(4, width // 40)
    stripe = (rows + columns) % period < period // 2
    painted = np.where(stripe[..., None], np.uint8(255), np.uint8(170)).repeat(3, axis=2)
    colours = np.array(palette.colours, dtype=np.uint8)
    known = labels_HW < len(palette)
    painted[known] = colours[labels_HW[known]]
    return painted


def _shrink(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Every n-th pixel, so that a 2048 wide picture does not make a 20 MB figure."""
    step = max(1, pixels.shape[1] // CELL)
    return pixels[::step, ::step]


def draw_pictures(
    target: Target, found: Sequence[Example], palette: Palette, own: Palette | None = None
) -> bool:
    """A line a picture: picture, truth, one column per model; below, the classes in it.

    `own` are the models' classes where they are not the data's: truth is then drawn in the data's
    colours, predictions in the models', and the legend is the models'.
    """
    if not found:
        return False
    shown = own or palette
    titles = ["picture", "truth", *found[0].predictions]
    columns = min(COLUMNS, len(titles))
    lines = -(-len(titles) // columns)
    shape = found[0].picture.shape
    cell_width = max(WIDTH / columns, 1.7)
    cell_height = cell_width * shape[0] / shape[1]
    listed = _present(found, shown, truth=own is None)
    legend_height = (0.55 if own else 0.35) + 0.2 * -(-(len(listed) + 1) // columns)
    captions = 0.24 * lines
    height = lines * len(found) * cell_height + captions + legend_height
    with figure(target, width=columns * cell_width, height=height) as drawn:
        drawn.set_layout_engine("constrained", w_pad=0.015, h_pad=0.015, wspace=0.0, hspace=0.0)
        grid = drawn.subplots(lines * len(found), columns, squeeze=False)
        for number, example in enumerate(found):
            maps = [paint(labels, shown) for labels in example.predictions.values()]
            cells = [example.picture, paint(example.truth, palette), *maps]
            for i, axes in enumerate(grid[number * lines : (number + 1) * lines].flat):
                _cell(axes, cells[i] if i < len(cells) else None)
                if i < len(titles) and number == 0:  # the others stand in the same places
                    axes.set_title(titles[i], fontsize="small", fontweight="bold", pad=3)
        void = Patch(facecolor="#aaaaaa", edgecolor="white", hatch="////", label="void (ignored)")
        handles = [
            Patch(facecolor="#{:02x}{:02x}{:02x}".format(*shown.colours[i]), label=shown.names[i])
            for i in listed
        ]
        drawn.legend(
            handles=[*handles, void],
            title="the models' classes; truth is in the data's colours" if own else None,
            title_fontsize="small",
            loc="outside lower center",
            ncols=columns,
            fontsize="small",
            handlelength=1.4,
            columnspacing=1.2,
        )
    return True


def _cell(axes: Axes, pixels: NDArray[np.uint8] | None) -> None:
    axes.set_axis_off()
    if pixels is not None:
        axes.imshow(_shrink(pixels), interpolation="antialiased")
        axes.set_anchor("N")


def _present(found: Sequence[Example], palette: Palette, *, truth: bool) -> list[int]:
    """Classes that the grid shows, in index order; the commonest if there are too many."""
    counts = np.zeros(256, dtype=np.int64)
    for example in found:
        for labels in (*([example.truth] if truth else []), *example.predictions.values()):
            counts += np.bincount(labels.ravel(), minlength=256)
    present = np.flatnonzero(counts[: len(palette)])
    commonest = sorted(present, key=lambda i: -counts[i])[:LISTED]
    return sorted(int(i) for i in commonest)
