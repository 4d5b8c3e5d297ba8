"""Accuracy against time of several networks, as exported: how the shipped one was chosen.

    python -m benchmarks.networks --data DIR [--size 480x352] NAME=CHECKPOINT[@STRIDE]...

Each checkpoint is exported (label stride STRIDE, its own if not given), its validation mIoU is
measured on the exported file, and all files are then timed in turn, frame by frame, with one frame
a call on all cores. Ratios are to the first network named.
"""

from __future__ import annotations

import math
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np

from benchmarks.machine import median, print_result
from engines.export import ExportConfig, export
from streamseg.models.palette import CAMVID
from streamseg.run.netsize import parse_frame_size
from streamseg.runtime.open import open_engine
from train.data.opening import open_dataset
from train.evaluation.predict import evaluate, label_picture


def parse(network: str) -> tuple[str, Path, int | None]:
    """Name, checkpoint and label stride of ``NAME=CHECKPOINT@STRIDE``."""
    name, separator, rest = network.partition("=")
    path, at, stride = rest.partition("@")
    if not separator or (at and not stride.isdigit()):
        raise click.UsageError(f"{network}: write NAME=CHECKPOINT or NAME=CHECKPOINT@STRIDE")
    return name, Path(path), int(stride) if at else None


@click.command()
@click.argument("networks", nargs=-1, required=True)
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--size", "size_text", default="480x352", show_default=True)
@click.option("--rounds", default=20, show_default=True)
def main(networks: tuple[str, ...], data: Path, size_text: str, rounds: int) -> None:
    """Measure NETWORKS."""
    width, height = parse_frame_size(size_text)
    validation = open_dataset("camvid", data, "val")
    rows: list[dict[str, Any]] = []
    times: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        engines = {}
        for network in networks:
            name, checkpoint, stride = parse(network)
            target = Path(folder) / f"{len(rows)}.onnx"
            export(checkpoint, target, ExportConfig(label_stride=stride))
            engine = engines[name] = open_engine(target)
            scores = evaluate(
                validation.pairs(), engine.infer, classes=len(CAMVID), size=(height, width)
            )
            worst = min(
                (v, n)
                for v, n in zip(scores.class_iou, CAMVID.names, strict=True)
                if not math.isnan(v)
            )
            rows.append(
                {
                    "name": name,
                    "miou": scores.miou,
                    "pixel_accuracy": scores.pixel_accuracy,
                    "pole_iou": scores.class_iou[CAMVID.names.index("pole")],
                    "worst": f"{worst[1]} {100 * worst[0]:.1f}",
                    "megabytes": target.stat().st_size / 1e6,
                }
            )
            times[name] = []
            print(f"{name}: {rows[-1]}", flush=True)
        pictures = [picture for picture, _ in validation.pairs()]
        for index in range(rounds + 2):
            for name, engine in engines.items():
                picture = np.asarray(pictures[index % len(pictures)])
                start = time.perf_counter()
                label_picture(picture, engine.infer, (height, width))
                if index >= 2:  # the first calls warm up
                    times[name].append(time.perf_counter() - start)
    first = median(times[rows[0]["name"]])
    print("\n| network | val mIoU % | pixel acc. % | pole IoU % | worst class | ms | ratio | MB |")
    print("|---|---|---|---|---|---|---|---|")
    for row in rows:
        row["ms"] = 1000 * median(times[row["name"]])
        row["ratio"] = median(times[row["name"]]) / first
        print(
            f"| {row['name']} | {100 * row['miou']:.1f} | {100 * row['pixel_accuracy']:.1f} "
            f"| {100 * row['pole_iou']:.1f} | {row['worst']} | {row['ms']:.1f} "
            f"| {row['ratio']:.2f} | {row['megabytes']:.1f} |"
        )
    print_result("networks", {"size": [width, height], "rows": rows})


if __name__ == "__main__":
    main()
