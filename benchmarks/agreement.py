"""How far model files agree with a teacher that looks several times, on unlabelled pictures.

    python -m benchmarks.agreement --teacher TEACHER.onnx --pictures DIR --names 'repo-*' ... \
        [MODEL.onnx ...]

The truth is the most probable class of the teacher's soft labels (three scales, both mirrors, drawn
to the picture's edges), as `python -m train` with ``[distil]`` makes and caches them. Beside the
models the teacher itself is measured, looking once at 513x513, its own input. `boundary` is the
agreement within four pixels of an edge between two classes of that truth.
"""

from __future__ import annotations

from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import print_result
from streamseg.runtime.open import open_engine
from train.data.pixels import read_picture
from train.distil.cache import SoftCache
from train.distil.frames import unlabelled_pictures
from train.distil.soft import hard_labels, resize, resize_maps, working_size
from train.distil.teacher import open_teacher
from train.evaluation.predict import label_picture
from train.metrics import ConfusionMatrix
from train.settings.distil import DistilConfig

Labels = NDArray[np.uint8]
NATIVE = 513
BORDER = 4


def near_edges(labels_HW: Labels) -> NDArray[np.bool_]:
    """Where another class is at most `BORDER` pixels away."""
    kernel = np.ones((2 * BORDER + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(labels_HW, kernel) != cv2.erode(labels_HW, kernel))


@click.command()
@click.argument("models", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--teacher", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--pictures", type=click.Path(exists=True, path_type=Path), required=True)
@click.option("--names", multiple=True, default=("*",), help="Patterns of the pictures to take.")
@click.option("--cache", default="runs/soft", show_default=True)
def main(
    models: tuple[Path, ...], teacher: Path, pictures: Path, names: tuple[str, ...], cache: str
) -> None:
    """Compare MODELS, and the teacher at one look, with the teacher at six looks."""
    config = DistilConfig(teachers=(str(teacher),), unlabelled=(str(pictures),), cache=cache)
    once = open_teacher(teacher)
    files = [
        file
        for file in unlabelled_pictures(config)
        if any(fnmatch(file.name, pattern) for pattern in names)
    ]
    soft = SoftCache(config, once.classes)
    soft.fill([(file, config.side) for file in files], read_picture)

    def native(picture: Labels) -> Labels:
        scores = once.scores(resize(picture, NATIVE, NATIVE))
        full = resize_maps(scores, *picture.shape[:2])
        return np.asarray(full.argmax(axis=0), dtype=np.uint8)

    labellers: dict[str, Callable[[Labels], Labels]] = {"teacher, 513x513": native}
    for path in models:
        engine = open_engine(path, backend="onnxruntime", precision="fp32")

        def label(picture: Labels, engine=engine) -> Labels:  # type: ignore[no-untyped-def]
            return label_picture(picture, engine.infer)

        labellers[path.name] = label
    matrices = {name: ConfusionMatrix(len(once.classes)) for name in labellers}
    edges: dict[str, list[int]] = {name: [0, 0] for name in labellers}
    for file in files:
        found = soft.read(file, config.side)
        picture = read_picture(file)
        picture = resize(picture, *working_size(picture.shape, config.side, config.stride))
        truth = hard_labels(found, *picture.shape[:2])
        border = near_edges(truth)
        for name, labeller in labellers.items():
            labels = labeller(picture)
            matrices[name].update(truth, labels)
            edges[name][0] += int((labels == truth)[border].sum())
            edges[name][1] += int(border.sum())
    rows = {}
    print(f"{len(files)} pictures\n| | mIoU % | pixels % | boundary % |\n|---|---|---|---|")
    for name, matrix in matrices.items():
        scores, boundary = matrix.scores(), edges[name][0] / max(edges[name][1], 1)
        rows[name] = {**scores.as_dict(once.classes), "boundary": boundary}
        print(
            f"| {name} | {100 * scores.miou:.1f} | {100 * scores.pixel_accuracy:.1f} "
            f"| {100 * boundary:.1f} |",
            flush=True,
        )
    print_result("agreement", {"pictures": len(files), "rows": rows})


if __name__ == "__main__":
    main()
