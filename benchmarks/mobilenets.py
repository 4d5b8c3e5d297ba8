"""Why MobileNetV3 can be slower than V2 in a segmentation network, one cause at a time.

    python -m benchmarks.mobilenets [--size 480x352] [--rounds 15]

Report 000 found PSPNet with MobileNetV3 slower and worse than with V2 and could not say why. Here
each network is V2's or V3-large's backbone with the same pyramid-pooling head, exported with random
weights (time does not depend on them) and timed on ONNX Runtime, one thread, one frame a call, all
in turn. V3 is changed in one way at a time.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click
import numpy as np
import onnxruntime as ort
import torch
from torch import nn
from torchvision.ops.misc import SqueezeExcitation

from benchmarks.machine import median, print_result
from engines.export import to_onnx
from engines.graph import DeployedNetwork
from streamseg.run.netsize import parse_frame_size
from train.models import ModelSpec, Segmenter, build_model

V2 = {"backbone": "mobilenet_v2"}
V3 = {"backbone": "mobilenet_v3_large"}
STRIDE_8 = {"output_stride": 8}


def replace(model: nn.Module, kind: type[nn.Module], by: Callable[[], nn.Module]) -> None:
    """Replace every module of a kind, in place."""
    for name, child in model.named_children():
        if isinstance(child, kind):
            setattr(model, name, by())
        else:
            replace(child, kind, by)


def without_squeeze(model: Segmenter) -> None:
    replace(model.backbone, SqueezeExcitation, nn.Identity)


def without_hardswish(model: Segmenter) -> None:
    replace(model.backbone, nn.Hardswish, nn.ReLU)


def unchanged(_: Segmenter) -> None:
    """As built."""


NETWORKS: dict[str, tuple[dict[str, Any], Callable[[Segmenter], None]]] = {
    "V2, stride 8 (the report's)": (V2 | STRIDE_8, unchanged),
    "V3, stride 8, 960-channel layer kept": (V3 | STRIDE_8 | {"last_conv": True}, unchanged),
    "V3, stride 8": (V3 | STRIDE_8, unchanged),
    "V3, stride 8, no squeeze-excite": (V3 | STRIDE_8, without_squeeze),
    "V3, stride 8, ReLU for h-swish": (V3 | STRIDE_8, without_hardswish),
    "V2, stride 16": (V2, unchanged),
    "V3, stride 16, 960-channel layer kept": (V3 | {"last_conv": True}, unchanged),
    "V3, stride 16": (V3, unchanged),
    "V3-small, stride 16": ({"backbone": "mobilenet_v3_small"}, unchanged),
}


def open_session(spec: dict[str, Any], change: Callable[[Segmenter], None], path: Path) -> Any:
    torch.manual_seed(0)
    model = build_model(ModelSpec(classes=19, head_channels=256, head_kernel=3, **spec)).eval()
    change(model)
    path.write_bytes(to_onnx(DeployedNetwork(model)).SerializeToString())
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


@click.command()
@click.option("--size", "size_text", default="480x352", show_default=True)
@click.option("--rounds", default=15, show_default=True)
def main(size_text: str, rounds: int) -> None:
    """Time V2 against V3, changed in one way at a time."""
    width, height = parse_frame_size(size_text)
    frames = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    times: dict[str, list[float]] = {name: [] for name in NETWORKS}
    with TemporaryDirectory() as folder:
        sessions = {
            name: open_session(spec, change, Path(folder) / f"{index}.onnx")
            for index, (name, (spec, change)) in enumerate(NETWORKS.items())
        }
        for index in range(rounds + 1):
            for name, session in sessions.items():
                start = time.perf_counter()
                session.run(["labels"], {"frames": frames})
                if index:  # the first call warms up
                    times[name].append(time.perf_counter() - start)
    first = median(next(iter(times.values())))
    print("\n| network | ms | ratio |\n|---|---|---|")
    rows = {name: {"ms": 1000 * median(t), "ratio": median(t) / first} for name, t in times.items()}
    for name, row in rows.items():
        print(f"| {name} | {row['ms']:.0f} | {row['ratio']:.2f} |")
    print_result("mobilenets", {"size": [width, height], "threads": 1, "rows": rows})


if __name__ == "__main__":
    main()
