"""What backbones, heads and decoders cost in int8: engine time with random weights.

    python -m benchmarks.cost [--size 512x288] [--rounds 25]

Time does not depend on the weights. Each network is exported, quantised as ours are, and run on one
thread of ONNX Runtime, one frame a call, all in turn. Ratios are to the int8 graph of `mbv2`.
"""

from __future__ import annotations

import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import onnx
import onnxruntime as ort
import torch

from benchmarks.machine import median, print_result
from engines.export import to_onnx
from engines.graph import DeployedNetwork
from streamseg.models.modelfile import HEADER_KEY, ModelHeader, find_model
from streamseg.models.palette import Palette
from streamseg.run.netsize import parse_frame_size
from streamseg.runtime.choosing.companion import companion_path
from streamseg.runtime.precision.convert import convert
from train.models import ModelSpec, build_model

SHIPPED = ("mbv2", "mbv2-voc", "mbv2-ade32")
"""Models whose int8 graphs are timed as they are, the first of them being the measure."""

POOLED: dict[str, Any] = {
    "head": "pooled",
    "head_channels": 256,
    "head_kernel": 1,
    "decoder": "skip",
    "decoder_head_channels": 64,
    "decoder_low_channels": 16,
    "decoder_channels": 64,
}
HALF = POOLED | {"backbone": "mobilenet_v2_half"}
SMALL_V3 = POOLED | {"backbone": "mobilenet_v3_small"}
NETWORKS: dict[str, tuple[dict[str, Any], int, int]] = {
    "V2, stride-4 decoder, 21 classes, every pixel": (POOLED, 21, 1),
    "V2, stride-4 decoder, 21 classes, every second": (POOLED, 21, 2),
    "V2, stride-8 decoder, 21 classes, every second": (POOLED | {"decoder_stride": 8}, 21, 2),
    "V2, stride-4 decoder, 32 classes, every second": (POOLED, 32, 2),
    "V2 half, stride-4 decoder, 11 classes, every second": (HALF, 11, 2),
    "V2 half, stride-8 decoder, 11 classes, every second": (HALF | {"decoder_stride": 8}, 11, 2),
    "V2 half, stride-8 decoder, 11 classes, every fourth": (HALF | {"decoder_stride": 8}, 11, 4),
    "V3-small, stride-4 decoder, 11 classes, every second": (SMALL_V3, 11, 2),
    "V3-small, stride-8 decoder, 11 classes, every second": (
        SMALL_V3 | {"decoder_stride": 8},
        11,
        2,
    ),
}


def write(
    path: Path, values: dict[str, Any], classes: int, stride: int, size: tuple[int, int]
) -> Path:
    """The int8 graph of a network with random weights, calibrated on noise."""
    torch.manual_seed(0)
    model = build_model(ModelSpec(classes=classes, **values)).eval()
    graph = to_onnx(DeployedNetwork(model, label_stride=stride))
    palette = Palette(
        names=tuple(f"class {index}" for index in range(classes)),
        colours=tuple((index, index, index) for index in range(classes)),
    )
    header = ModelHeader(
        name="random",
        architecture="random weights",
        classes=palette,
        default_size=size,
        training_data="none",
        training_data_licence="none",
        checkpoint_sha256="none",
        streamseg_version="none",
    )
    onnx.helper.set_model_props(graph, {HEADER_KEY: header.to_json()})
    path.write_bytes(graph.SerializeToString())
    noise = np.random.default_rng(0).integers(0, 256, (2, 1, size[1], size[0], 3), np.uint8)
    target = path.with_suffix(".int8.onnx")
    convert(path, "int8", calibration=list(noise), out=target, scheme="cpu")
    return target


@click.command()
@click.option("--size", "size_text", default="512x288", show_default=True)
@click.option("--rounds", default=25, show_default=True)
def main(size_text: str, rounds: int) -> None:
    """Time int8 graphs with random weights."""
    size = parse_frame_size(size_text)
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    frames = np.random.default_rng(1).integers(0, 256, (1, size[1], size[0], 3), np.uint8)
    with TemporaryDirectory() as folder:
        files = {f"`{name}`, as shipped": companion_path(find_model(name)) for name in SHIPPED} | {
            name: write(Path(folder) / f"{index}.onnx", *network, size)
            for index, (name, network) in enumerate(NETWORKS.items())
        }
        sessions = {
            name: ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
            for name, file in files.items()
        }
        times: dict[str, list[float]] = {name: [] for name in sessions}
        for index in range(rounds + 3):
            for name, session in sessions.items():
                start = time.perf_counter()
                session.run(["labels"], {"frames": frames})
                if index >= 3:
                    times[name].append(time.perf_counter() - start)
    first = median(times[f"`{SHIPPED[0]}`, as shipped"])
    print("| network | ms | ratio |\n|---|---|---|")
    for name, found in times.items():
        print(f"| {name} | {1000 * median(found):.1f} | {median(found) / first:.2f} |")
    rows = {name: {"ms": 1000 * median(found)} for name, found in times.items()}
    print_result("cost", {"size": list(size), "threads": 1, "rows": rows})


if __name__ == "__main__":
    main()
