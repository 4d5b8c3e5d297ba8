"""Which layers cost the labels when they are quantised: a listing, costliest first.

    python -m streamseg.runtime.precision.sensitivity MODEL --pictures FOLDER_OR_VIDEO [--left-out]

Each layer is quantised alone (or left out alone), and the labels are compared with fp32's. The
names are what `convert` takes as `exclude`.
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

import click
import numpy as np
import onnx
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from streamseg.errors import StreamsegError, UsageError
from streamseg.models.modelfile import find_model, read_header
from streamseg.runtime.precision.calibration import calibration_frames
from streamseg.runtime.precision.graph import cpu_session, load_fp32
from streamseg.runtime.precision.int8 import Scheme, quantisable, quantise
from streamseg.runtime.precision.ranges import Method, Range, observe

Trial: TypeAlias = Literal["alone", "left_out"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """What one layer does to the labels."""

    name: str
    """Of the node, for `exclude`."""
    weight: str
    """Of its weights: says where in the network it is."""
    lost: float
    """``alone``: share of pixels, 0..1, that change when this layer alone is quantised.
    ``left_out``: share of pixels that come right when this layer alone is not."""


def sensitivity(
    model: Path,
    frames_NHWC: NDArray[np.uint8],
    *,
    trial: Trial = "alone",
    scheme: Scheme = "portable",
    method: Method = "mse",
    layers: Sequence[str] | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> list[LayerCost]:
    """Quantise layer by layer and compare labels; costliest first.

    Biases are not corrected here, as `convert` does: that would take an hour, and a layer that is
    costly without it is the one to try first with it.

    Args:
        model: model file in fp32.
        frames_NHWC: uint8 ``[N, H, W, 3]``, to calibrate with and to compare on.
        trial: quantise one layer alone, or all but one.
        scheme: as in `streamseg.runtime.precision.convert`, with `method`.
        method: see there.
        layers: names of convolutions; None takes every one that `convert` would quantise.
        progress: called as ``(phase, done, total)``.

    Raises:
        ModelError: `model` is no model file in fp32.
        UsageError: an unknown layer.
    """
    graph = load_fp32(model)
    known = quantisable(graph)
    layers = known if layers is None else layers
    unknown = sorted(set(layers) - {n.name for n in graph.graph.node if n.op_type == "Conv"})
    if unknown:
        raise UsageError(f"{model}: has no convolution {', '.join(unknown)}")
    ranges = observe(graph, list(frames_NHWC[:, None])).ranges(method)
    wanted = _labels(graph, frames_NHWC)
    whole = _changed(graph, ranges, known, scheme, frames_NHWC, wanted)
    found = []
    for index, name in enumerate(layers):
        chosen = [name] if trial == "alone" else [other for other in known if other != name]
        changed = _changed(graph, ranges, chosen, scheme, frames_NHWC, wanted)
        node = next(node for node in graph.graph.node if node.name == name)
        lost = changed if trial == "alone" else whole - changed
        found.append(LayerCost(name=name, weight=node.input[1], lost=lost))
        progress("layers", index + 1, len(layers))
    return sorted(found, key=lambda cost: (-cost.lost, cost.name))


def table(costs: Sequence[LayerCost], *, trial: Trial = "alone", rows: int = 20) -> Table:
    """The costliest layers, for people."""
    title = "pixels that change when this layer alone is quantised"
    if trial == "left_out":
        title = "pixels that come right when this layer alone is left in fp32"
    shown = Table("layer", "weights", title=title)
    shown.add_column("%", justify="right")
    for cost in costs[:rows]:
        shown.add_row(cost.name, cost.weight, f"{100 * cost.lost:.3f}")
    return shown


def _changed(
    graph: onnx.ModelProto,
    ranges: dict[str, Range],
    layers: Sequence[str],
    scheme: Scheme,
    frames_NHWC: NDArray[np.uint8],
    wanted: NDArray[np.uint8],
) -> float:
    trial = copy.deepcopy(graph)
    quantise(trial, ranges, layers=layers, scheme=scheme)
    return float(np.mean(_labels(trial, frames_NHWC) != wanted))


def _labels(graph: onnx.ModelProto, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    session = cpu_session(graph)
    labels = [session.run(["labels"], {"frames": frame[None]})[0] for frame in frames_NHWC]
    return np.concatenate(labels)


@click.command()
@click.argument("model", default="mbv2")
@click.option("--pictures", type=click.Path(path_type=Path), required=True, help="Folder or video.")
@click.option("--count", default=8, show_default=True, help="Pictures to use.")
@click.option("--scheme", type=click.Choice(["portable", "cpu"]), default="cpu", show_default=True)
@click.option("--left-out", is_flag=True, help="All but one layer, instead of one alone.")
@click.option("--rows", default=20, show_default=True)
def main(model: str, pictures: Path, count: int, scheme: Scheme, left_out: bool, rows: int) -> None:
    """List the layers of MODEL that lose most when they are quantised."""
    trial: Trial = "left_out" if left_out else "alone"
    console = Console()
    try:
        path = find_model(model)
        size = read_header(path).default_size
        frames = np.concatenate(list(calibration_frames(pictures, size=size, count=count)))
        with Progress(console=console, disable=not console.is_terminal) as bar:
            task = bar.add_task("layers", total=None)
            costs = sensitivity(
                path,
                frames,
                trial=trial,
                scheme=scheme,
                progress=lambda _, done, total: bar.update(task, completed=done, total=total),
            )
    except StreamsegError as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(error.exit_code)
    console.print(table(costs, trial=trial, rows=rows))


if __name__ == "__main__":
    main(prog_name="python -m streamseg.runtime.precision.sensitivity")
