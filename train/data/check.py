"""What a data set holds and what is wrong with it: every file is read once.

Unlike a loader, which stops at the first fault, `check` goes on and collects all of them in
sentences. Faults spoil a training run; notes are worth knowing. Knows nothing about printing
(`train.data.check_report`) or command lines (`train.data.command`).
"""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from train.data.across import absent, overlaps, rare
from train.data.detect import AUTO, recognise, splits_of
from train.data.files import NoSplitError
from train.data.findings import DataCheck, SplitCheck
from train.data.items import Item, Split, size_fault
from train.data.layouts import LAYOUTS
from train.errors import TrainError

Report = Callable[[str, int, int], None]
"""Called with a split's name, pictures done and their number."""
_CHUNK = 64
_OPTIONAL = ("test", "train_extra", "train_coarse")


@dataclass(frozen=True, slots=True)
class _Read:
    """What one item's files hold."""

    item: Item
    size: tuple[int, int] | None
    digest: bytes
    pixels: NDArray[np.int64]
    faults: tuple[str, ...]


def _read(item: Item) -> _Read:
    faults, size, digest, pixels = [], None, b"", np.zeros(256, np.int64)
    picture = labels = None
    try:
        picture = item.read_picture(item.picture)
        size = (picture.shape[1], picture.shape[0])
        digest = hashlib.blake2b(picture.data, digest_size=16, key=repr(size).encode()).digest()
    except TrainError as error:
        faults.append(str(error))
    try:
        labels = item.read_labels(item.labels)
        pixels = np.bincount(labels.ravel(), minlength=256)
    except TrainError as error:
        faults.append(str(error))
    if picture is not None and labels is not None and (fault := size_fault(item, picture, labels)):
        faults.append(fault)
    return _Read(item, size, digest, pixels, tuple(faults))


def _group(faults: Sequence[tuple[str, Path]], root: Path) -> list[str]:
    """One sentence for each reason, with the number of files and the first of them."""
    files: dict[str, list[str]] = defaultdict(list)
    for sentence, path in faults:
        reason = sentence.removeprefix(f"{path}: ")
        name = path.relative_to(root) if path.is_relative_to(root) else path
        files[reason].append(name.as_posix())
    return [
        f"{names[0]}: {reason}"
        if len(names) == 1
        else f"{len(names)} files (first: {names[0]}): {reason}"
        for reason, names in files.items()
    ]


def check_split(name: str, split: Split, root: Path, report: Report) -> SplitCheck:
    """Read all files of one split."""
    result = SplitCheck(name=name, pictures=len(split.items), faults=list(split.faults))
    faults: list[tuple[str, Path]] = []
    empty = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:  # decoders release the interpreter
        for start in range(0, len(split.items), _CHUNK):
            chunk = split.items[start : start + _CHUNK]
            for done, one in enumerate(pool.map(_read, chunk), start + 1):
                for sentence in one.faults:
                    about_labels = sentence.startswith(f"{one.item.labels}: ")
                    path = one.item.labels if about_labels else one.item.picture
                    faults.append((sentence, path))
                if one.size is not None:
                    result.sizes[one.size] += 1
                    result.digests.setdefault(one.digest, one.item.picture)
                result.formats[one.item.picture.suffix[1:].lower()] += 1
                result.pixels += one.pixels
                for index in np.flatnonzero(one.pixels[:255]).tolist():
                    result.shown.setdefault(index, []).append(one.item.labels)
                if one.pixels[:255].sum() == 0 and not one.faults:
                    empty.append(one.item.labels)
                report(name, done, len(split.items))
    result.faults += _group(faults, root)
    if empty:
        result.notes.append(f"{len(empty)} label files are void all over (first: {empty[0].name})")
    return result


def _find_splits(root: Path, layout: str, split: str | None) -> tuple[dict[str, Split], list[str]]:
    """What a layout finds, and sentences about the splits that it cannot."""
    found: dict[str, Split] = {}
    faults = []
    for name in [split] if split else splits_of(layout, root):
        try:
            found[name] = LAYOUTS[layout](root, name)
        except NoSplitError as error:
            if split or name not in _OPTIONAL:
                faults.append(f"{name}: {error}")
        except TrainError as error:
            faults.append(f"{name}: {error}")
    return found, faults


def check(
    root: Path,
    *,
    layout: str = AUTO,
    split: str | None = None,
    report: Report = lambda name, done, of: None,
) -> DataCheck:
    """Read a whole data set, or one split of it.

    Raises:
        TrainError: no such folder, no known layout, or nothing in it that can be read.
    """
    why = "as asked for"
    if layout == AUTO:
        first, *others = recognise(root)
        layout, why = first.layout, first.why
        if others:
            why += f" (also: {', '.join(other.layout for other in others)})"
    found, faults = _find_splits(root, layout, split)
    if not found:
        raise TrainError(faults[0] if faults else f"{root}: no split of the layout {layout}")
    splits = [check_split(name, one, root, report) for name, one in found.items()]
    classes = next(iter(found.values())).classes
    faults += [f"{one.name}: {fault}" for one in splits for fault in one.faults]
    notes = [f"{one.name}: {note}" for one in splits for note in one.notes]
    items = {name: one.items for name, one in found.items()}
    unused, unseen = absent(classes, splits)
    shared, named = overlaps(splits, items)
    faults += shared + unused
    notes += named + unseen
    if split is None:
        notes += rare(classes, splits, root)
    return DataCheck(
        root=root,
        layout=layout,
        why=why,
        classes=classes,
        splits=splits,
        faults=faults,
        notes=notes,
        unused=unused,
    )
