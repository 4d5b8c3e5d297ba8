"""Class names as people write them: the same thing under another name, and slips of the pen."""

from __future__ import annotations

from collections.abc import Sequence

SYNONYMS = {
    "airplane": "aeroplane",
    "bike": "bicycle",
    "couch": "sofa",
    "cyclist": "bicyclist",
    "human": "person",
    "motorcycle": "motorbike",
    "pedestrian": "person",
    "rider": "bicyclist",
    "sidewalk": "pavement",
    "television": "tvmonitor",
    "trafficsign": "sign",
    "tv": "tvmonitor",
    "vegetation": "tree",
}
"""Names of the data sets that this room reads (Cityscapes, CamVid, VOC, COCO), to one of each."""


def plain(name: str) -> str:
    """Without case, spaces, underscores and dashes."""
    return "".join(letter for letter in name.casefold() if letter not in " _-.")


def meaning(name: str) -> str:
    """The same for names of the same thing."""
    return SYNONYMS.get(plain(name), plain(name))


def match(name: str, others: Sequence[str]) -> int | None:
    """Where `others` has a class: by its name, else by a name of the same meaning."""
    if name in others:
        return others.index(name)
    meanings = [meaning(other) for other in others]
    return meanings.index(meaning(name)) if meaning(name) in meanings else None


def edits(a: str, b: str) -> int:
    """Letters to put in, take out, change or swap with their neighbour to get `b` from `a`.

    Optimal string alignment, the restricted Damerau-Levenshtein distance.
    """
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, letter in enumerate(a, 1):
        earlier, before, row = before, row, [i]
        for j, other in enumerate(b, 1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (letter != other))
            if i > 1 and j > 1 and letter == b[j - 2] and a[i - 2] == other:
                best = min(best, earlier[j - 2] + 1)
            row.append(best)
    return row[-1]


def slip_of(name: str, others: Sequence[str]) -> str | None:
    """Another name that `name` may be a slip of: one edit away, two where it is long."""
    for other in others:
        if other == name:
            continue
        least = min(len(plain(name)), len(plain(other)))
        allowed = 2 if least >= 7 else 1 if least >= 3 else 0
        if edits(plain(name), plain(other)) <= allowed:
            return other
    return None
