"""What only a look across the splits of a data set shows: shared pictures, missing and odd classes.

Opens no file.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from streamseg.models.palette import Palette
from train.data.classnames import slip_of
from train.data.findings import SplitCheck
from train.data.items import Item


def overlaps(splits: Sequence[SplitCheck], items: dict[str, list[Item]]) -> list[list[str]]:
    """Faults and notes about pictures that two splits share."""
    faults, notes = [], []
    for number, a in enumerate(splits):
        for b in splits[number + 1 :]:
            same = [a.digests[key] for key in a.digests if key in b.digests]
            if same:
                other = b.digests[next(key for key in a.digests if key in b.digests)]
                faults.append(
                    f"{a.name} and {b.name} share {len(same)} pictures of the same content "
                    f"(first: {same[0].name} and {other.name})"
                )
            stems = [{item.picture.stem for item in items[s.name]} for s in (a, b)]
            names = sorted(stems[0] & stems[1])
            if names and not same:
                notes.append(
                    f"{len(names)} names are in {a.name} and in {b.name}, their pictures differ "
                    f"(first: {names[0]})"
                )
    return [faults, notes]


def absent(classes: Palette, splits: Sequence[SplitCheck]) -> list[list[str]]:
    """Faults and notes about classes without a pixel."""
    read = [split for split in splits if split.pixels.sum()]
    counts = np.array([split.pixels[: len(classes)] for split in read]).reshape(-1, len(classes))
    nowhere = set(np.flatnonzero(counts.sum(axis=0) == 0).tolist()) if read else set()
    faults = (
        [f"{_some([classes.names[i] for i in sorted(nowhere)])} without a pixel in any split"]
        if len(nowhere)
        else []
    )
    notes = []
    for split, row in zip(read, counts, strict=True):
        here = [n for i, n in enumerate(classes.names) if row[i] == 0 and i not in nowhere]
        if here:
            notes.append(
                f"{split.name}: {_some(here)} without a pixel, but with some in another split"
            )
    return [faults, notes]


def rare(classes: Palette, splits: Sequence[SplitCheck], root: Path) -> list[str]:
    """Notes about classes of one file alone, which may be slips of the pen."""
    shown: dict[int, list[Path]] = defaultdict(list)
    for split in splits:
        for index, files in split.shown.items():
            shown[index] += files
    common = [classes.names[i] for i, files in shown.items() if len(files) > 1]
    notes = []
    for index, files in sorted(shown.items()):
        if len(files) > 1 or not common:
            continue
        name, path = classes.names[index], files[0]
        where = path.relative_to(root) if path.is_relative_to(root) else path
        slip = slip_of(name, common)
        asked = f"; was {slip!r} meant?" if slip else "; it is not both learned and measured"
        notes.append(f"the class {name!r} is in one file alone ({where.as_posix()}){asked}")
    return notes


def _some(names: Sequence[str]) -> str:
    listed = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
    return f"{len(names)} class{'es' if len(names) > 1 else ''} ({listed})"
