"""How fast a device could label at best: its arithmetic and its memory, measured, per convolution.

    python -m benchmarks.roofline [--model mbv2] [--size 512x288] [--batch 8] [--device cuda]

A convolution takes at least its multiplications over what the device multiplies in a large matrix
product, and at least its bytes (input, output and weights, once each) over what the device copies;
the larger of the two counts, and all convolutions follow each other. What is between them (ReLU,
additions, the enlargement, argmax) is taken to be fused and free. A GPU is measured and counted in
fp16, a CPU in fp32.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import click
import numpy as np
import onnx
import onnxruntime as ort
import torch

from benchmarks.machine import print_result
from streamseg.models.modelfile import find_model
from streamseg.run.netsize import parse_frame_size

ROUNDS = 9


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution on one frame."""

    name: str
    flop: float
    values: float
    """Numbers read and written for each frame."""
    weights: float
    """Numbers read once a call."""


def layers_of(model: str, size: tuple[int, int]) -> list[Layer]:
    """A model file's convolutions at a size ``(width, height)``, in order.

    Their shapes are seen in a run, since they depend on arithmetic inside the graph.
    """
    graph = onnx.load(find_model(model))
    nodes = [node for node in graph.graph.node if node.op_type == "Conv"]
    wanted = list(dict.fromkeys(name for n in nodes for name in (*n.input[:2], n.output[0])))
    constants = {tensor.name: tuple(tensor.dims) for tensor in graph.graph.initializer}
    for name in wanted:
        if name not in constants:
            graph.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    names = [name for name in wanted if name not in constants]
    frames = np.zeros((1, size[1], size[0], 3), np.uint8)
    shapes = constants | {
        name: np.shape(value)
        for name, value in zip(names, session.run(names, {"frames": frames}), strict=True)
    }
    return [_layer(node, *(shapes[n] for n in (*node.input[:2], node.output[0]))) for node in nodes]


def _layer(
    node: onnx.NodeProto,
    given: tuple[int, ...],
    weights: tuple[int, ...],
    made: tuple[int, ...],
) -> Layer:
    # Weights are [out, in / groups, height, width].
    flop = 2.0 * math.prod(made) * math.prod(weights[1:])
    return Layer(node.name, flop, math.prod(given) + math.prod(made), math.prod(weights))


def _seconds(device: torch.device, work: Callable[[], object]) -> float:
    def once() -> Iterator[float]:
        for _ in range(ROUNDS + 2):
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            start = time.perf_counter()
            work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            yield time.perf_counter() - start

    return min(list(once())[2:])  # a limit is the best that was seen


def flop_per_second(device: torch.device) -> float:
    """Of a large matrix product."""
    gpu = device.type == "cuda"
    side, dtype = (8192, torch.float16) if gpu else (1024, torch.float32)
    left = torch.randn(side, side, device=device, dtype=dtype)
    return 2.0 * side**3 / _seconds(device, lambda: left @ left)


def bytes_per_second(device: torch.device) -> float:
    """Read and written, in a large copy."""
    size = 1 << (30 if device.type == "cuda" else 26)
    source = torch.zeros(size, device=device, dtype=torch.uint8)
    target = torch.empty_like(source)
    return 2.0 * size / _seconds(device, lambda: target.copy_(source))


@click.command()
@click.option("--model", default="mbv2", show_default=True)
@click.option("--size", "size_text", default="512x288", show_default=True)
@click.option("--batch", default=8, show_default=True)
@click.option("--device", "device_name", default="cuda", show_default=True)
def main(model: str, size_text: str, batch: int, device_name: str) -> None:
    """Measure a device, and count what a model asks of it."""
    device = torch.device(device_name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise click.ClickException("torch finds no GPU here")
    flops, bandwidth = flop_per_second(device), bytes_per_second(device)
    width = 2 if device.type == "cuda" else 4
    layers = layers_of(model, parse_frame_size(size_text))
    arithmetic = [layer.flop / flops for layer in layers]
    memory = [width * (layer.values + layer.weights / batch) / bandwidth for layer in layers]
    ms = 1000 * sum(map(max, arithmetic, memory))
    bound = sum(a > m for a, m in zip(arithmetic, memory, strict=True))
    print(f"{flops / 1e12:.2f} TFLOP/s, {bandwidth / 1e9:.0f} GB/s")
    print(f"{len(layers)} convolutions, {sum(layer.flop for layer in layers) / 1e9:.2f} GFLOP")
    print(f"at least {ms:.4f} ms a frame; arithmetic limits {bound} layers, memory the others")
    print_result(
        "roofline",
        {
            "device": device_name,
            "tflop_per_second": flops / 1e12,
            "gb_per_second": bandwidth / 1e9,
            "gflop": sum(layer.flop for layer in layers) / 1e9,
            "ms_per_frame": ms,
            "fps": 1000 / ms,
            "batch": batch,
            "size": size_text,
        },
    )


if __name__ == "__main__":
    main()
