"""An fp32 graph to one with QuantizeLinear and DequantizeLinear nodes (QDQ).

Weights are int8, symmetric, with one scale per output channel; feature maps have one scale each.
What is quantised: convolutions, and between them residual additions (on both inputs),
concatenations and enlargements. What is not: everything before and after them, the pyramid's
matrices, the first layers and the last (see `quantisable`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, TypeAlias

import numpy as np
import onnx
from numpy.typing import ArrayLike, NDArray
from onnx import numpy_helper

from streamseg.runtime.precision.graph import (
    constant,
    consumers,
    float_ranks,
    initializers,
    producers,
    replace_nodes,
)
from streamseg.runtime.precision.ranges import Range

Scheme: TypeAlias = Literal["portable", "cpu"]
"""How int8 numbers stand for values.

``portable``: int8 with zero-points 0, which TensorRT demands, and scales that float16 holds, so
that `fp16.to_float16` can take over what is not quantised. ONNX Runtime runs it, but a ReLU is then
a step of its own between two conversions, which costs more than int8 wins.
``cpu``: uint8 activations with zero-points, for ONNX Runtime. ReLU is where the numbers end, so
that it costs nothing, and all 8 bits are used.
"""

STEM = 3
"""Convolutions at the start that stay in fp32. The first two layers of an inverted residual work on
the picture's own edges: in mbv2 they cost 1.4 points of agreement, and save no time."""

_JOINING = ("Add", "Concat", "Resize")
_ACTIVATIONS = ("Clip", "Relu")


def quantisable(model: onnx.ModelProto) -> list[str]:
    """Names of the convolutions to quantise, in the graph's order.

    All but the first `STEM` and the last, which decides the scores; in other people's graphs, those
    with constant weights over pictures' feature maps.
    """
    constants, ranks = initializers(model), float_ranks(model)
    convolutions = [node for node in model.graph.node if node.op_type == "Conv"]
    return [
        node.name
        for node in convolutions[STEM:-1]
        if all(name in constants for name in node.input[1:] if name)
        and ranks.get(node.input[0]) == ranks.get(node.output[0]) == 4
    ]


def quantise(
    model: onnx.ModelProto,
    ranges: Mapping[str, Range],
    *,
    layers: Collection[str],
    scheme: Scheme,
) -> None:
    """Quantise convolutions, and what joins them, in place.

    Args:
        model: fp32 graph as `load_fp32` gives it.
        ranges: of every feature map.
        layers: names of the convolutions.
        scheme: see `Scheme`.
    """
    _Quantiser(model, ranges, set(layers), scheme).run()


class _Quantiser:
    def __init__(
        self,
        model: onnx.ModelProto,
        ranges: Mapping[str, Range],
        layers: set[str],
        scheme: Scheme,
    ) -> None:
        self.model, self.ranges, self.scheme = model, dict(ranges), scheme
        self.weights = initializers(model)
        self.ranks = float_ranks(model)
        self.made_by, self.read_by = producers(model), consumers(model)
        self.chosen = layers | self._joining(layers)
        self.nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, NDArray[np.generic]] = {}

    def run(self) -> None:
        """Rewrite the graph."""
        self._tie()
        wanted = {name for node in self._chosen_nodes() for name in self._maps(node)}
        wanted |= {self._result(node) for node in self._chosen_nodes()}
        absorbed = {
            self.made_by[name].name: self.made_by[name].input[0]
            for name in wanted
            if name in self.made_by and self._is_absorbed(self.made_by[name])
        }
        inner = {raw: self.read_by[raw][0].output[0] for raw in absorbed.values()}
        quantised_only = {self._result(node) for node in self._chosen_nodes()}
        for node in list(self.model.graph.node):
            if node.name in absorbed:
                continue
            takes = node.name in self.chosen
            for index, name in enumerate(node.input):
                if name in wanted and (takes or name in quantised_only):
                    node.input[index] = f"{name}.dq"
            if takes and node.op_type == "Conv":
                self._weights_of(node)
            self.nodes.append(node)
            for name in node.output:
                if inner.get(name, name) in wanted:
                    self._pair(name, inner.get(name, name))
        replace_nodes(self.model, self.nodes)

    def _chosen_nodes(self) -> list[onnx.NodeProto]:
        return [node for node in self.model.graph.node if node.name in self.chosen]

    def _maps(self, node: onnx.NodeProto) -> list[str]:
        """The feature maps a node reads."""
        return [name for name in node.input if self.ranks.get(name) == 4]

    def _result(self, node: onnx.NodeProto) -> str:
        """What a layer makes: its output, or that of the activation that alone reads it."""
        output = str(node.output[0])
        readers = self.read_by.get(output, [])
        if len(readers) == 1 and readers[0].op_type in _ACTIVATIONS:
            return str(readers[0].output[0])
        return output

    def _joining(self, layers: set[str]) -> set[str]:
        """Nodes of which every input comes from a quantised layer, or from another such node."""
        found: set[str] = set()
        for node in self.model.graph.node:
            if node.op_type not in _JOINING:
                continue
            sources = []
            for name in self._maps(node):
                source = self.made_by[name]
                if source.op_type in _ACTIVATIONS:
                    source = self.made_by[source.input[0]]
                sources.append(source.name)
            whole = len(sources) == len([n for n in node.input if n and n not in self.weights])
            if sources and whole and all(name in layers | found for name in sources):
                found.add(node.name)
        return found

    def _tie(self) -> None:
        """One range for all that a Concat or a Resize touches: it then moves bytes, no values."""
        groups: list[set[str]] = []
        for node in self._chosen_nodes():
            if node.op_type not in ("Concat", "Resize"):
                continue
            group = {*self._maps(node), self._result(node)}
            for other in [g for g in groups if g & group]:
                group |= other
                groups.remove(other)
            groups.append(group)
        for group in groups:
            low = min(self.ranges[name][0] for name in group)
            high = max(self.ranges[name][1] for name in group)
            self.ranges |= dict.fromkeys(group, (low, high))

    def _is_absorbed(self, node: onnx.NodeProto) -> bool:
        """Whether cutting off at the ends of the output's range already does an activation's work.

        Only unsigned numbers end at 0.
        """
        if self.scheme == "portable" or node.op_type not in _ACTIVATIONS:
            return False
        if self.made_by[node.input[0]].name not in self.chosen or not self._alone(node):
            return False
        low, high = self.ranges[node.output[0]]
        if node.op_type == "Relu":
            return low >= 0
        bounds = [constant(self.model, name) for name in node.input[1:3]]
        floor, ceiling = bounds
        if floor is None or ceiling is None:
            return False
        return low >= float(floor) >= 0 and high <= float(ceiling)

    def _alone(self, node: onnx.NodeProto) -> bool:
        return len(self.read_by[node.input[0]]) == 1

    def _scale(self, name: str) -> tuple[np.float32, np.integer]:
        """Scale and zero-point of a feature map."""
        low, high = min(self.ranges[name][0], 0.0), max(self.ranges[name][1], 0.0)
        if self.scheme == "portable":
            return np.float32(_for_float16(max(-low, high) / 127)), np.int8(0)
        scale = max(high - low, 1e-6) / 255
        return np.float32(scale), np.uint8(np.clip(round(-low / scale), 0, 255))

    def _pair(self, source: str, name: str) -> None:
        """Quantise the tensor `source` and read it back, as feature map `name`."""
        scale, zero = self._scale(name)
        self._constant(f"{name}.scale", np.asarray(scale))
        self._constant(f"{name}.zero", np.asarray(zero))
        parameters = [f"{name}.scale", f"{name}.zero"]
        self._node("QuantizeLinear", [source, *parameters], f"{name}.q")
        self._node("DequantizeLinear", [f"{name}.q", *parameters], f"{name}.dq")

    def _weights_of(self, node: onnx.NodeProto) -> None:
        """Quantise a convolution's weights; for the CPU its bias, too."""
        name = node.input[1]
        values = numpy_helper.to_array(self.weights[name])
        scale = np.maximum(_largest(values) / 127, 1e-9)  # a dead channel has no weights at all
        step = float(self._scale(node.input[0].removesuffix(".dq"))[0])
        bias = None
        if len(node.input) > 2:
            bias = numpy_helper.to_array(self.weights[node.input[2]])
            # The bias is a 32-bit number in steps of both scales: next to no weights and an
            # ordinary bias would make it run over.
            scale = np.maximum(scale, np.abs(bias) / (step * 2**30))
        scale = _for_float16(scale) if self.scheme == "portable" else scale.astype(np.float32)
        rounded = np.round(values / scale.reshape(-1, *[1] * (values.ndim - 1)))
        self._dequantised(node, 1, np.clip(rounded, -127, 127).astype(np.int8), scale)
        if bias is not None and self.scheme == "cpu":
            steps = (scale * np.float32(step)).astype(np.float32)
            self._dequantised(node, 2, np.round(bias / steps).astype(np.int32), steps)

    def _dequantised(
        self,
        node: onnx.NodeProto,
        index: int,
        values: NDArray[np.int8] | NDArray[np.int32],
        scale: NDArray[np.float32],
    ) -> None:
        """Let a node read an integer constant in place of its float one."""
        name = f"{node.name}.{node.input[index]}"
        self._constant(f"{name}.q", values)
        self._constant(f"{name}.scale", scale)
        self._constant(f"{name}.zero", np.zeros(len(scale), dtype=values.dtype))
        inputs = [f"{name}.q", f"{name}.scale", f"{name}.zero"]
        self._node("DequantizeLinear", inputs, f"{name}.dq")
        node.input[index] = f"{name}.dq"

    def _constant(self, name: str, values: NDArray[np.generic]) -> None:
        self._constants[name] = values
        self.model.graph.initializer.append(numpy_helper.from_array(values, name))

    def _node(self, kind: str, inputs: list[str], output: str) -> None:
        node = onnx.helper.make_node(kind, inputs, [output], output)
        if len(self._constants[inputs[1]].shape):  # a scale per channel
            node.attribute.append(onnx.helper.make_attribute("axis", 0))
        self.nodes.append(node)


def _for_float16(scale: ArrayLike) -> NDArray[np.float32]:
    """The next scale that float16 holds to its eleven bits, and no smaller one."""
    least = np.finfo(np.float16).tiny
    half = np.maximum(np.asarray(scale, np.float32), least).astype(np.float16)
    upwards = np.where(half < np.asarray(scale), np.nextafter(half, np.float16(np.inf)), half)
    return np.asarray(upwards, np.float32)


def _largest(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the largest weight of every output channel, and of every pair of inputs, adds up to.

    Processors without VNNI add two products of an unsigned and a signed byte in 16 bits, which
    saturates where both weights are large. Neighbours whose magnitudes add up to 127 at most cannot
    saturate (255 * 128 < 2^15, after rounding), and hardly a channel has two large neighbours: the
    scale grows by far less than the factor of two that 7-bit weights would take.

    Args:
        weights: ``[outputs, inputs, h, w]``; neighbours are inputs 0 and 1, 2 and 3 … at one place,
            as in the channels-last order that ONNX Runtime multiplies in.
    """
    size = np.abs(weights).reshape(*weights.shape[:2], -1)
    largest = size.max(axis=(1, 2))
    if size.shape[1] == 1:  # depthwise: multiplied in another way
        return np.asarray(largest)
    if size.shape[1] % 2:  # neighbours are of different places: 7 bits
        return np.asarray(2 * largest)
    pairs = size[:, 0::2] + size[:, 1::2]
    return np.asarray(np.maximum(largest, pairs.max(axis=(1, 2))))
