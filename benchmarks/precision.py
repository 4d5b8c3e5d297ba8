"""What each precision of a model file costs and wins on ONNX Runtime, on labelled pictures.

    python -m benchmarks.precision --data CAMVID [--model mbv2] [--methods]

Every precision is made from the fp32 file; int8 is calibrated on training pictures. Accuracy and
agreement are those of the whole validation split. Time is the processor time of one thread for one
frame, all files in turn, so that what else the machine does (and whatever slows it down) weighs on
all of them alike; ratios are medians over rounds. With --methods, int8 is also calibrated by every
method, and labels compared.
"""

from __future__ import annotations

import copy
import math
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import click
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import median, print_result
from streamseg.models.modelfile import find_model, read_header
from streamseg.run.netsize import parse_frame_size
from streamseg.runtime.backends.base import LoadOptions
from streamseg.runtime.backends.onnxruntime import OnnxRuntimeEngine
from streamseg.runtime.choosing.companion import companion_path
from streamseg.runtime.engine import Engine
from streamseg.runtime.precision.bias import FRAMES, correct_biases
from streamseg.runtime.precision.calibration import calibration_frames
from streamseg.runtime.precision.convert import convert
from streamseg.runtime.precision.graph import load_fp32, write_model
from streamseg.runtime.precision.int8 import Scheme, quantisable, quantise
from streamseg.runtime.precision.ranges import Method, observe
from train.data.opening import open_dataset
from train.evaluation.predict import to_network, to_picture
from train.metrics import ConfusionMatrix

WARM_UP = 2


@dataclass(slots=True, kw_only=True)
class Contender:
    """One file and what was measured on it."""

    name: str
    path: Path
    engine: Engine
    matrix: ConfusionMatrix
    equal: list[float] = field(default_factory=list)
    """Share of pixels with fp32's label, per picture."""
    seconds: list[float] = field(default_factory=list)

    def row(self, first: Contender) -> dict[str, Any]:
        scores, names = self.matrix.scores(), self.engine.spec.model.classes.names
        worst = min(
            (ours - theirs, name)
            for ours, theirs, name in zip(
                scores.class_iou, first.matrix.scores().class_iou, names, strict=True
            )
            if not math.isnan(ours - theirs)
        )
        return {
            "name": self.name,
            "miou": scores.miou,
            "worst_class": [worst[1], 100 * worst[0]],
            "agreement": float(np.mean(self.equal)),
            "lowest_agreement": min(self.equal),
            "ms": 1000 * median(self.seconds),
            "ratio": median(a / b for a, b in zip(first.seconds, self.seconds, strict=True)),
            "megabytes": self.path.stat().st_size / 1e6,
        }


def contender(name: str, path: Path) -> Contender:
    engine = OnnxRuntimeEngine(path, read_header(path), LoadOptions(threads=1))
    matrix = ConfusionMatrix(len(engine.spec.model.classes))
    return Contender(name=name, path=path, engine=engine, matrix=matrix)


def make_files(
    model: Path, folder: Path, frames: list[NDArray[np.uint8]], *, methods: bool
) -> list[Contender]:
    """fp32 first, then what is made of it."""
    made = [contender("fp32", model)]
    made.append(contender("fp16", convert(model, "fp16", out=folder / "fp16.onnx")))
    beside = companion_path(model)
    if beside.is_file():
        made.append(contender("int8 beside the model", beside))
    kinds: list[tuple[Scheme, Method]] = [("cpu", "mse"), ("portable", "mse")]
    if methods:
        kinds += [("cpu", method) for method in get_args(Method) if method != "mse"]
    graph = load_fp32(model)
    seen = observe(graph, frames)  # once for all of them, unlike `convert`
    for scheme, method in kinds:
        out = folder / f"{scheme}-{method}.onnx"
        trial = copy.deepcopy(graph)
        ranges, layers = seen.ranges(method), quantisable(trial)
        some = frames[:: max(1, len(frames) // FRAMES)][:FRAMES]
        correct_biases(trial, ranges, some, layers=layers, scheme=scheme)
        quantise(trial, ranges, layers=layers, scheme=scheme)
        write_model(trial, out, {"precision": "int8"})
        made.append(contender(f"int8 {scheme}, {method}", out))
    return made


def measure(files: list[Contender], data: Path, size: tuple[int, int], first: int | None) -> None:
    """Label the validation split with every file, and keep what they said and how long it took."""
    width, height = size
    for index, (picture, truth) in enumerate(open_dataset("camvid", data, "val").pairs()):
        if index == first:
            break
        small = to_network(picture, (height, width))[None]
        reference = None
        for one in files:
            start = time.process_time()
            labels = one.engine.infer(small)[0]
            if index >= WARM_UP:
                one.seconds.append(time.process_time() - start)
            reference = labels if reference is None else reference
            one.equal.append(float(np.mean(labels == reference)))
            one.matrix.update(truth, to_picture(labels, *truth.shape))


@click.command()
@click.option("--data", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--model", default="mbv2", show_default=True)
@click.option("--size", "size_text", default="480x352", show_default=True)
@click.option("--calibrate", default=32, show_default=True, help="Training pictures for int8.")
@click.option("--pictures", default=None, type=int, help="Only the first ones (a quick look).")
@click.option("--methods", is_flag=True, help="Compare the methods of calibration, too.")
def main(
    data: Path, model: str, size_text: str, calibrate: int, pictures: int | None, methods: bool
) -> None:
    """Measure all precisions of MODEL."""
    width, height = parse_frame_size(size_text)
    frames = list(calibration_frames(data / "train", size=(width, height), count=calibrate))
    with tempfile.TemporaryDirectory() as folder:
        files = make_files(find_model(model), Path(folder), frames, methods=methods)
        measure(files, data, (width, height), pictures)
        rows = [one.row(files[0]) for one in files]
    print("| precision | val mIoU % | largest loss of a class | agreement % | ms | times | MB |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        name, lost = row["worst_class"]
        print(
            f"| {row['name']} | {100 * row['miou']:.2f} | {name} {lost:+.1f} "
            f"| {100 * row['agreement']:.2f} | {row['ms']:.1f} | {row['ratio']:.2f} "
            f"| {row['megabytes']:.1f} |"
        )
    result = {"model": model, "size": [width, height], "pictures": len(files[0].equal)}
    print_result("precision", {**result, "calibrated_on": calibrate, "rows": rows})


if __name__ == "__main__":
    main()
