"""Which layers cost the labels when they are quantised, costliest first.

Each layer is quantised alone, and the labels are compared with fp32's. The names are what `convert`
takes as `exclude`; ``streamseg build-engine --sensitivity`` lists them.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray

from streamseg.errors import UsageError
from streamseg.runtime.precision.graph import cpu_session, load_fp32
from streamseg.runtime.precision.int8 import Scheme, quantisable, quantise
from streamseg.runtime.precision.ranges import Method, observe


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerCost:
    """What one layer does to the labels."""

    name: str
    """Of the node, for `exclude`."""
    weight: str
    """Of its weights: says where in the network it is."""
    lost: float
    """Share of pixels, 0..1, that change when this layer alone is quantised."""


def sensitivity(
    model: Path,
    frames_NHWC: NDArray[np.uint8],
    *,
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
    found = []
    for index, name in enumerate(layers):
        trial = copy.deepcopy(graph)
        quantise(trial, ranges, layers=[name], scheme=scheme)
        lost = float(np.mean(_labels(trial, frames_NHWC) != wanted))
        node = next(node for node in graph.graph.node if node.name == name)
        found.append(LayerCost(name=name, weight=node.input[1], lost=lost))
        progress("layers", index + 1, len(layers))
    return sorted(found, key=lambda cost: (-cost.lost, cost.name))


def _labels(graph: onnx.ModelProto, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    session = cpu_session(graph)
    labels = [session.run(["labels"], {"frames": frame[None]})[0] for frame in frames_NHWC]
    return np.concatenate(labels)
