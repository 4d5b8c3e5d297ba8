"""Means that quantisation moves, and that the correction moves back."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from streamseg.runtime.precision.bias import _means, correct_biases, linear_layers
from streamseg.runtime.precision.graph import initializers, load_fp32, only_what_makes
from streamseg.runtime.precision.int8 import Scheme, quantisable, quantise
from streamseg.runtime.precision.ranges import Range, observe
from tests.streamseg.runtime.precision.small import pictures

FRAMES = [frame[None] for frame in pictures(4)]


def coarse(graph: onnx.ModelProto) -> dict[str, Range]:
    """Ranges that cut off a part of what was seen, so that means move visibly."""
    seen = observe(graph, FRAMES).ranges("minmax")
    return {name: (0.6 * low, 0.6 * high) for name, (low, high) in seen.items()}


@pytest.mark.parametrize("scheme", ["cpu", "portable"])
def test_every_corrected_layer_has_the_mean_of_fp32(small: Path, scheme: Scheme) -> None:
    graph = load_fp32(small)
    layers, ranges = quantisable(graph), coarse(graph)
    corrected = copy.deepcopy(graph)
    told: list[tuple[str, int, int]] = []
    correct_biases(
        corrected,
        ranges,
        FRAMES,
        layers=layers,
        scheme=scheme,
        progress=lambda *step: told.append(step),
    )
    chosen = linear_layers(graph, layers)
    assert chosen
    steps = 2 * len(chosen)  # the means of fp32, then those of int8
    assert told == [("correcting biases", step + 1, steps) for step in range(steps)]
    errors = []
    for trial in (graph, corrected):
        quantised = copy.deepcopy(trial)
        quantise(quantised, ranges, layers=layers, scheme=scheme)
        errors.append(
            [
                np.abs(
                    _means(quantised, n.output[0], FRAMES) - _means(graph, n.output[0], FRAMES)
                ).mean()
                for n in chosen
            ]
        )
    before, after = np.array(errors)
    assert before.max() > 1e-3
    assert (after < 0.1 * before + 1e-4).all()


def test_only_biases_of_layers_without_an_activation_change(small: Path) -> None:
    graph = load_fp32(small)
    corrected = copy.deepcopy(graph)
    layers = quantisable(graph)
    correct_biases(corrected, coarse(graph), FRAMES, layers=layers, scheme="cpu")
    biases = {node.input[2] for node in linear_layers(graph, layers)}
    after = initializers(corrected)
    changed = {
        name
        for name, tensor in initializers(graph).items()
        if not np.array_equal(numpy_helper.to_array(tensor), numpy_helper.to_array(after[name]))
    }
    assert changed == biases


def test_a_part_of_a_graph_is_what_its_output_needs(small: Path) -> None:
    graph = load_fp32(small)
    first = next(node for node in graph.graph.node if node.op_type == "Conv")
    part = only_what_makes(graph, first.output[0])
    assert [output.name for output in part.graph.output] == [first.output[0]]
    assert len(part.graph.node) < len(graph.graph.node)
    assert [node.op_type for node in part.graph.node].count("Conv") == 1
    weights = numpy_helper.to_array(initializers(graph)[first.input[1]])
    assert _means(graph, first.output[0], FRAMES).shape == weights.shape[:1]
