"""Any layout to plain folders: pictures at the size that videos are seen at, split once for all.

What comes out is the layout ``folder``: ``images`` and ``labels`` with ``train`` and ``val`` below,
and ``classes.txt`` with colours. Classes without a pixel are left out. Knows no network.
Shape legend: H height, W width.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from streamseg.models.palette import Palette
from train.data.detect import AUTO
from train.data.files import NoSplitError
from train.data.items import Item, Split, size_fault
from train.data.layouts import find_split
from train.data.pixels import IGNORE
from train.errors import TrainError

Report = Callable[[str, int, int], None]
"""Called with what goes on, pictures done and their number."""
PIXELS = 480 * 352
"""Pixels of a picture that networks of ours were validated at, and see a video at."""
SLACK = 1.25
"""Sides up to so many times as long are left alone: training draws such scales anyway."""
MANY = 50
"""From so many pictures on, a tenth is enough to validate on; of fewer, a fifth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """What was written."""

    root: Path
    classes: Palette
    unused: tuple[str, ...]
    """Classes of the data set that no pixel has; they are left out."""
    train: int
    """Pictures to train on."""
    val: int
    sizes: tuple[tuple[int, int], ...]
    """Distinct (height, width) of what was written, the commonest first."""


def shrunk(height: int, width: int, pixels: int) -> tuple[int, int]:
    """The size of the same shape with `pixels`; as it is where it has not many more."""
    factor = math.sqrt(pixels / (height * width))
    if factor * SLACK >= 1:
        return height, width
    return max(1, round(height * factor)), max(1, round(width * factor))


def choose_validation(present: Sequence[frozenset[int]], names: Sequence[str]) -> set[int]:
    """Which pictures to validate on: few, showing as many classes as the others can spare.

    Args:
        present: the classes that each picture shows.
        names: of the pictures; their hashes decide between equals, the same on every machine.

    Raises:
        ValueError: fewer than two pictures.
    """
    if len(present) < 2:
        raise ValueError("one picture cannot both be trained on and validated on; label another")
    wanted = max(1, round(len(present) * (0.1 if len(present) >= MANY else 0.2)))
    left = [sum(c in classes for classes in present) for c in range(256)]
    order = sorted(range(len(present)), key=lambda i: hashlib.sha256(names[i].encode()).digest())
    chosen: set[int] = set()
    seen: set[int] = set()
    while len(chosen) < wanted:
        rest = [i for i in order if i not in chosen]
        # Never the last picture of a class, if it can be helped; then what was not seen yet.
        best = min(
            rest, key=lambda i: (sum(left[c] == 1 for c in present[i]), -len(present[i] - seen))
        )
        chosen.add(best)
        seen |= present[best]
        for c in present[best]:
            left[c] -= 1
    return chosen


def _splits(root: Path, layout: str) -> list[tuple[str, Split]]:
    """The data set's own train and val; or everything, under the name "all"."""
    for names in (("all",), ("train", "val"), ("train",)):
        try:
            found = [(name, find_split(layout, root, name)) for name in names]
        except NoSplitError:
            continue
        return [("all", found[0][1])] if len(found) == 1 else found
    raise TrainError(f"{root}: no split all or train in the layout {layout}")


def prepare(
    root: Path,
    out: Path,
    *,
    layout: str = AUTO,
    pixels: int = PIXELS,
    report: Report = lambda what, done, of: None,
) -> Prepared:
    """Write a data set as plain folders; its own train and val stay what they are.

    Args:
        root: the data set.
        out: the folder to make.
        layout: a name of `train.data.layouts`, or "auto".
        pixels: bigger pictures are shrunk to so many.
        report: see `Report`.

    Raises:
        TrainError: the data cannot be read or split, or `out` exists or cannot be written.
    """
    if out.exists():
        raise TrainError(f"{out}: exists already; choose another folder")
    splits = _splits(root, layout)
    if faults := [fault for _, split in splits for fault in split.faults]:
        raise TrainError(faults[0])
    classes = splits[0][1].classes
    pairs = [(name, item) for name, split in splits for item in split.items]
    present = _classes_of([item for _, item in pairs], report)
    used = sorted(frozenset().union(*present))
    if not used:
        raise TrainError(f"{root}: no pixel of any picture has a class")
    homes = [name for name, _ in pairs]
    if homes and homes[0] == "all":
        try:
            validation = choose_validation(present, [item.picture.name for _, item in pairs])
        except ValueError as error:
            raise TrainError(f"{root}: {error}") from error
        homes = ["val" if i in validation else "train" for i in range(len(pairs))]
    sizes = _write(out, homes, [item for _, item in pairs], used, pixels, report)
    kept = Palette(
        names=tuple(classes.names[i] for i in used), colours=tuple(classes.colours[i] for i in used)
    )
    lines = (
        f"{name} {r} {g} {b}\n" for name, (r, g, b) in zip(kept.names, kept.colours, strict=True)
    )
    (out / "classes.txt").write_text("".join(lines), encoding="utf-8")
    return Prepared(
        root=out,
        classes=kept,
        unused=tuple(name for i, name in enumerate(classes.names) if i not in used),
        train=homes.count("train"),
        val=homes.count("val"),
        sizes=sizes,
    )


def _classes_of(items: Sequence[Item], report: Report) -> list[frozenset[int]]:
    """The classes that each picture shows."""
    found = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for labels in pool.map(lambda item: np.unique(item.read_labels(item.labels)), items):
            found.append(frozenset(int(value) for value in labels if value != IGNORE))
            report("reading labels", len(found), len(items))
    return found


def _write(
    out: Path,
    homes: Sequence[str],
    items: Sequence[Item],
    used: Sequence[int],
    pixels: int,
    report: Report,
) -> tuple[tuple[int, int], ...]:
    """Write all pictures; returns their sizes, the commonest first."""
    table = np.full(256, IGNORE, dtype=np.uint8)
    table[list(used)] = np.arange(len(used))
    sizes: dict[tuple[int, int], int] = {}
    try:
        for number, (home, item) in enumerate(zip(homes, items, strict=True)):
            for folder in ("images", "labels"):
                (out / folder / home).mkdir(parents=True, exist_ok=True)
            picture, labels = _shrink(item, pixels)
            name = f"{number:05d}_{item.picture.stem}.png"
            Image.fromarray(picture).save(out / "images" / home / name)
            Image.fromarray(table[labels]).save(out / "labels" / home / name)
            sizes[labels.shape[:2]] = sizes.get(labels.shape[:2], 0) + 1
            report("writing", number + 1, len(items))
    except OSError as error:
        raise TrainError(f"{out}: cannot be written ({error.strerror or error})") from error
    return tuple(sorted(sizes, key=lambda size: -sizes[size]))


def _shrink(item: Item, pixels: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Picture ``[H, W, 3]`` and labels ``[H, W]`` of at most so many pixels.

    Raises:
        TrainError: unreadable, or of different sizes.
    """
    picture, labels = item.read_picture(item.picture), item.read_labels(item.labels)
    if fault := size_fault(item, picture, labels):
        raise TrainError(fault)
    height, width = shrunk(labels.shape[0], labels.shape[1], pixels)
    if (height, width) == labels.shape:
        return picture, labels
    size = (width, height)
    small = cv2.resize(picture, size, interpolation=cv2.INTER_AREA)
    nearest = cv2.resize(labels, size, interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(small, dtype=np.uint8), np.asarray(nearest, dtype=np.uint8)
