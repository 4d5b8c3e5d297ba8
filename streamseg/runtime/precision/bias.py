"""Corrects biases for the mean error that quantisation makes.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction" (ICCV 2019),
with means observed on pictures instead of derived: rounding weights and cutting off outliers moves
the mean of a feature map, channel by channel, and every layer behind inherits that. The difference
to the fp32 graph is added to the bias, which costs nothing when the network runs.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from streamseg.runtime.precision.graph import consumers, cpu_session, initializers, only_what_makes
from streamseg.runtime.precision.int8 import Scheme, quantise
from streamseg.runtime.precision.ranges import Range

FRAMES = 12
"""Means settle quickly: more frames change the third digit of the agreement."""

_ACTIVATIONS = ("Clip", "Relu")
_PHASE = "correcting biases"


def correct_biases(
    model: onnx.ModelProto,
    ranges: Mapping[str, Range],
    frames: Sequence[NDArray[np.uint8]],
    *,
    layers: Collection[str],
    scheme: Scheme,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> None:
    """Change the biases of an fp32 graph, in place, so that quantising it keeps every mean.

    Layer after layer, from the first to the last: the error that a layer inherits is gone before
    its own is measured. (All at once would correct each error again in every layer behind it: that
    took the agreement of mbv2 from 99.5 % to 97 %.) Only layers without an activation are
    corrected, where every error of a block arrives and nothing cuts it off.

    Args:
        model: fp32 graph as `load_fp32` gives it.
        ranges: of every feature map.
        frames: uint8 ``[N, H, W, 3]`` each, like those to come.
        layers: names of the convolutions that will be quantised.
        scheme: as in `quantise`.
        progress: called as ``(phase, done, total)``.
    """
    chosen = linear_layers(model, layers)
    wanted = []
    for index, node in enumerate(chosen):
        wanted.append(_means(model, node.output[0], frames))
        progress(_PHASE, index + 1, 2 * len(chosen))
    for index, (node, expected) in enumerate(zip(chosen, wanted, strict=True)):
        trial = copy.deepcopy(model)
        quantise(trial, ranges, layers=layers, scheme=scheme)
        bias = initializers(model)[node.input[2]]
        error = expected - _means(trial, node.output[0], frames)
        corrected = (numpy_helper.to_array(bias) + error).astype(np.float32)
        bias.CopyFrom(numpy_helper.from_array(corrected, bias.name))
        progress(_PHASE, len(chosen) + index + 1, 2 * len(chosen))


def linear_layers(model: onnx.ModelProto, layers: Collection[str]) -> list[onnx.NodeProto]:
    """Convolutions of `layers` with a bias of their own and no activation, in the graph's order."""
    read_by = consumers(model)
    found = []
    for node in model.graph.node:
        if node.op_type != "Conv" or node.name not in layers or len(node.input) < 3:
            continue
        activated = any(reader.op_type in _ACTIVATIONS for reader in read_by[node.output[0]])
        if not activated and len(read_by[node.input[2]]) == 1:
            found.append(node)
    return found


def _means(
    model: onnx.ModelProto, name: str, frames: Sequence[NDArray[np.uint8]]
) -> NDArray[np.float64]:
    """Mean of a feature map's channels over all frames and pixels."""
    session = cpu_session(only_what_makes(model, name))
    sums = [
        session.run([name], {"frames": frame[None]})[0].mean(axis=(0, 2, 3), dtype=np.float64)
        for batch in frames
        for frame in batch
    ]
    return np.asarray(np.mean(sums, axis=0), dtype=np.float64)
