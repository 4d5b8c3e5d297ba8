"""What holding labels saves and what it costs: engine calls, frames a second, labels, flicker.

    python -m benchmarks.hold CLIP ... [--rounds 5] [--frames 400]

Every clip is labelled frame by frame once. Then the frames that the network would not have seen
get their labels as ``--hold`` gives them, and both are compared: over all pixels, and over those
within 4 pixels of a border between classes, where people look. Flicker is the share of pixels
whose label is another one than in the frame before. Two drawn scenes (a camera that drives, one
that stands) have exact labels: what is compared there is no network's mood. Last, the whole of
`streamseg video` runs without and with ``--hold auto``, in turn; ratios are medians.
"""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.drawn_scene import Scene
from benchmarks.machine import median, print_result
from streamseg import Segmenter
from streamseg.hold.keys import CHANGED, LONGEST, KeyFrames
from streamseg.models.modelfile import find_model, read_header
from streamseg.run.job import network_size
from streamseg.runtime.open import open_engine
from streamseg.video.file import FileSource
from streamseg.video.scaling import Downscale

Arrays = list[NDArray[np.uint8]]
SETTINGS = (
    *((longest, CHANGED) for longest in (2, 4, 8, LONGEST, 24)),
    *((LONGEST, changed) for changed in (0.01, 0.02, 0.08, 0.16)),
)
"""Longest hold, and the share of pixels that may stay unexplained; the fourth is ``auto``."""
NEAR = 4
"""Pixels from a border between classes."""


def labelled(path: Path, model: str, most: int) -> tuple[Arrays, Arrays]:
    """A clip as the network sees it ``[H, W, 3]``, and its labels ``[H, W]``, frame by frame."""
    small: Arrays = []
    with FileSource(path, all_streams=False) as source:
        size = network_size(source.info, read_header(find_model(model)).sizes)
        shrink = Downscale(size, source.info.orientation)
        for item, _ in zip(source, range(most), strict=False):
            shrink([item])
            assert item.small_HWC is not None, "it was just shrunk"
            small.append(item.small_HWC.copy())
    with open_engine(model, size=size) as engine:
        return small, [engine.infer(frame[None])[0] for frame in small]


def drawn(*, moving: bool, frames: int = 150) -> tuple[Arrays, Arrays]:
    """A drawn scene, and the truth about it."""
    scene = Scene(moving=moving)
    pairs = [scene.frame(number) for number in range(frames)]
    return [picture for picture, _ in pairs], [classes for _, classes in pairs]


def held(small: Arrays, labels: Arrays, longest: int, changed: float) -> tuple[Arrays, list[bool]]:
    """Labels of every frame where only keys are seen, and which are keys."""
    keys = KeyFrames(longest, changed=changed)
    looks = [keys.look(frame) for frame in small]
    given: Arrays = []
    for look, seen in zip(looks, labels, strict=True):
        if look.is_key:
            key = seen
        given.append(look.labels(key))
    return given, [look.is_key for look in looks]


def near_borders(labels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels within `NEAR` of another class."""
    kernel = np.ones((2 * NEAR + 1,) * 2, np.uint8)
    return np.asarray(cv2.dilate(labels, kernel) != cv2.erode(labels, kernel))


def flicker(labels: Arrays) -> float:
    """Share of pixels whose label is another one than in the frame before."""
    return float(np.mean([np.mean(a != b) for a, b in pairwise(labels)]))


def curve(small: Arrays, labels: Arrays) -> list[dict[str, Any]]:
    """A row for each setting."""
    near = [near_borders(seen) for seen in labels]
    rows = []
    for longest, changed in SETTINGS:
        given, is_key = held(small, labels, longest, changed)
        equal = [given_HW == seen for given_HW, seen in zip(given, labels, strict=True)]
        shares = [float(e.mean()) for e in equal]
        borders = [e[n].mean() for e, n in zip(equal, near, strict=True) if n.any()]
        rows.append(
            {
                "longest": longest,
                "changed": changed,
                "calls": float(np.mean(is_key)),
                "equal": float(np.mean(shares)),
                "worst_frame": min(shares),
                "equal_near_borders": float(np.mean(borders)),
                "flicker": flicker(given),
            }
        )
    return rows


def end_to_end(path: Path, model: str, rounds: int) -> dict[str, Any]:
    """Frames a second of the whole run, without and with holding, in turn."""
    fps: dict[str, list[float]] = {"off": [], "auto": []}
    with tempfile.TemporaryDirectory() as folder, Segmenter(model) as segmenter:
        out = Path(folder) / "out.mp4"
        for _ in range(rounds):
            for hold in fps:
                stats = segmenter.video(
                    path, out, hold="off" if hold == "off" else "auto", overwrite=True
                )
                fps[hold].append(stats.fps)
    ratios = [with_hold / off for with_hold, off in zip(fps["auto"], fps["off"], strict=True)]
    return {name: median(values) for name, values in fps.items()} | {"ratio": median(ratios)}


def show(title: str, small: Arrays, labels: Arrays) -> list[dict[str, Any]]:
    """Print and return a clip's table."""
    rows = curve(small, labels)
    print(f"\n{title}: {len(small)} frames, every one seen: flicker {100 * flicker(labels):.2f} %")
    print("| longest | unexplained | engine calls | equal | near borders | worst frame | flicker |")
    print("|---|---|---|---|---|---|---|")
    for row in rows:
        name = f"{row['longest']}"
        if (row["longest"], row["changed"]) == (LONGEST, CHANGED):
            name += ", **auto**"
        shares = ("calls", "equal", "equal_near_borders", "worst_frame", "flicker")
        values = " | ".join(f"{100 * row[share]:.1f} %" for share in shares)
        print(f"| {name} | {100 * row['changed']:.0f} % | {values} |")
    return rows


@click.command()
@click.argument("clips", nargs=-1, type=click.Path(exists=True, path_type=Path))
@click.option("--model", default="mbv2", show_default=True)
@click.option(
    "--rounds", default=5, show_default=True, help="Of both ways through streamseg video."
)
@click.option("--frames", default=400, show_default=True, help="Of each clip at most, for labels.")
def main(clips: tuple[Path, ...], model: str, rounds: int, frames: int) -> None:
    """Measure what ``--hold`` does to CLIPS and to two drawn scenes."""
    result: dict[str, Any] = {}
    for path in clips:
        result[path.name] = {"curve": show(path.name, *labelled(path, model, frames))}
    for moving in (True, False):
        title = f"drawn, the camera {'drives' if moving else 'stands'}"
        result[title] = {"curve": show(title, *drawn(moving=moving))}
    for path in clips:
        speed = result[path.name]["end_to_end"] = end_to_end(path, model, rounds)
        print(
            f"\n{path.name}: {speed['off']:.1f} fps without, {speed['auto']:.1f} with: "
            f"{speed['ratio']:.2f} times"
        )
    print_result("hold", result)


if __name__ == "__main__":
    main()
