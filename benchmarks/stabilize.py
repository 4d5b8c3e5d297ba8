"""What ``--stabilize`` does to flicker, and what it costs.

    python -m benchmarks.stabilize CLIP ... [--model mbv2] [--frames 400]

On clips: the share of still pixels whose label is another one than in the frame before, over all
frames. Still is a pixel whose luma, averaged over 5x5, changed by less than 1 of 255. Nobody knows
the true labels there; so two drawn scenes with exact labels (a camera that stands, one that drives)
are labelled by an imagined network that puts patches of wrong classes elsewhere in every frame, and
by one that is always right: the second loses what trails behind things that move.
"""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.hold import Arrays, drawn, labelled
from benchmarks.machine import print_result
from streamseg.labelmaps.steady import Steady, luma_of

STILL = 1.0
"""Levels of 255."""


def flips(lumas: list[NDArray[np.float32]], labels: Arrays) -> float:
    """Share of still pixels that change class."""
    changed = still = 0
    for (before, now), (old, new) in zip(pairwise(lumas), pairwise(labels), strict=True):
        quiet = np.abs(now - before) < STILL
        changed += int(np.count_nonzero(quiet & (old != new)))
        still += int(np.count_nonzero(quiet))
    return changed / max(still, 1)


def miou(labels: Arrays, truth: Arrays) -> float:
    """Mean intersection over union of the classes that are there."""
    found, right = np.stack(labels), np.stack(truth)
    shares = []
    for label in np.unique(right):
        ours, theirs = found == label, right == label
        shares.append(np.count_nonzero(ours & theirs) / np.count_nonzero(ours | theirs))
    return float(np.mean(shares))


def imagined(truth: Arrays, seed: int = 0) -> Arrays:
    """Labels with patches of another class, elsewhere in every frame."""
    random = np.random.default_rng(seed)
    classes = int(max(labels.max() for labels in truth)) + 1
    found: Arrays = []
    for labels in truth:
        height, width = labels.shape
        blobs = random.normal(size=(height // 8, width // 8)).astype(np.float32)
        wrong = np.asarray(cv2.resize(blobs, (width, height))) > 1.4
        found.append(np.where(wrong, random.integers(0, classes), labels).astype(np.uint8))
    return found


def steadied(lumas: list[NDArray[np.float32]], labels: Arrays) -> tuple[Arrays, float]:
    """Labels as `--stabilize` gives them, and milliseconds a frame."""
    steady = Steady()
    start = time.perf_counter()
    found = [steady(luma, seen) for luma, seen in zip(lumas, labels, strict=True)]
    return found, 1000 * (time.perf_counter() - start) / len(labels)


def on_clip(small: Arrays, labels: Arrays) -> dict[str, float]:
    """Flicker without and with."""
    start = time.perf_counter()
    lumas = [luma_of(frame) for frame in small]
    luma_ms = 1000 * (time.perf_counter() - start) / len(small)
    found, ms = steadied(lumas, labels)
    without, with_it = flips(lumas, labels), flips(lumas, found)
    changed = np.mean([np.mean(a != b) for a, b in zip(found, labels, strict=True)])
    return {
        "flips": without,
        "flips_stabilized": with_it,
        "times_fewer": without / with_it if with_it else float("inf"),
        "labels_changed": float(changed),
        "ms": luma_ms + ms,
    }


def on_scene(*, moving: bool) -> dict[str, float]:
    """mIoU of an imagined network without and with, and of the truth with."""
    small, truth = drawn(moving=moving)
    lumas = [luma_of(frame) for frame in small]
    seen = imagined(truth)
    found, _ = steadied(lumas, seen)
    return {
        "miou": miou(seen, truth),
        "miou_stabilized": miou(found, truth),
        "miou_of_truth_stabilized": miou(steadied(lumas, truth)[0], truth),
        "flips": flips(lumas, seen),
        "flips_stabilized": flips(lumas, found),
    }


@click.command()
@click.argument("clips", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="mbv2", show_default=True)
@click.option("--frames", default=400, show_default=True, help="Of each clip at most.")
def main(clips: tuple[Path, ...], model: str, frames: int) -> None:
    """Measure what ``--stabilize`` does to CLIPS and to two drawn scenes."""
    result: dict[str, Any] = {}
    for path in clips:
        row = result[path.name] = on_clip(*labelled(path, model, frames))
        print(
            f"{path.name}, {model}: of still pixels {100 * row['flips']:.3f} % change class, "
            f"with it {100 * row['flips_stabilized']:.3f} %, {row['times_fewer']:.1f} times fewer; "
            f"of all labels {100 * row['labels_changed']:.1f} % are others; {row['ms']:.2f} ms each"
        )
    for moving in (False, True):
        title = f"drawn, the camera {'drives' if moving else 'stands'}"
        row = result[title] = on_scene(moving=moving)
        print(
            f"{title}: mIoU {100 * row['miou']:.2f} %, with it {100 * row['miou_stabilized']:.2f}; "
            f"of right labels with it {100 * row['miou_of_truth_stabilized']:.2f} %; of still "
            f"pixels {100 * row['flips']:.3f} % change class, with it "
            f"{100 * row['flips_stabilized']:.3f}"
        )
    print_result("stabilize", result)


if __name__ == "__main__":
    main()
