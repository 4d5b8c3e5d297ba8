"""Small made-up runs and evaluations, for tests whose numbers are worked out by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from streamseg.models.palette import Palette
from train.metrics import Scores
from train.report.cost import Cost, Latencies
from train.report.entry import Entry
from train.report.evaluation import Evaluation
from train.report.logs import LogRow
from train.report.runs import Run

TWO = Palette(names=("road", "car"), colours=((128, 64, 128), (64, 0, 128)))
COUNTS = [[60, 20], [0, 20]]
"""100 pixels: IoU 60/80 and 20/40, recall 60/80 and 20/20, precision 1 and 1/2."""


def evaluation(name: str, counts: list[list[int]] = COUNTS, data: str = "camvid") -> Evaluation:
    matrix = np.array(counts, dtype=np.int64)
    return Evaluation(
        name=name,
        model=None,
        data=data,
        split="val",
        protocol="whole picture",
        pictures=3,
        classes=TWO.names,
        scores=Scores.from_counts(matrix).as_dict(TWO.names),
        counts=matrix,
    )


def run(
    name: str, mious: tuple[float, ...] = (), *, loss: float = 1.0, **tables: dict[str, Any]
) -> Run:
    rows = tuple(
        LogRow(
            epoch=i,
            step=10 * i,
            loss=loss / i,
            val_loss=None,
            seconds=60.0,
            scores={"miou": miou, "mean_accuracy": 0.5, "pixel_accuracy": 0.75},
            class_iou={"road": miou, "car": miou},
        )
        for i, miou in enumerate(mious, start=1)
    )
    recipe = {"model": {"backbone": "resnet18", "head": "ppm"}, "optim": {"name": "sgd"}} | tables
    return Run(
        name=name,
        place=Path(name),
        checkpoint=None,
        recipe=recipe,
        environment={},
        classes=TWO,
        rows=rows,
    )


def entry(name: str, backbone: str = "resnet18", head: str = "ppm", ms: float = 20.0) -> Entry:
    model = {"backbone": backbone, "head": head, "decoder": "none", "output_stride": 8}
    return Entry(
        name=name,
        run=run(name, (0.2, 0.1, 0.6), model=model),
        evaluations=(evaluation(name),),
        cost=Cost(parameters=2_500_000, gflops=5.0, size=(480, 352)),
        milliseconds=ms,
    )


LATENCIES = Latencies(
    engine="ONNX Runtime 1.2, CPU, 1 thread",
    machine="a processor",
    size=(480, 352),
    batch=2,
    milliseconds={"a": 20.0, "b": 40.0},
)
