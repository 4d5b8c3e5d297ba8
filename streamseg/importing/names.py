"""The classes of somebody else's network: asked for, told by its file, or guessed by number."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from streamseg.errors import UsageError
from streamseg.importing.foreign import Foreign
from streamseg.models.classlists import ADE20K, CITYSCAPES, CLASS_LISTS, VOC
from streamseg.models.colours import BACKGROUNDS, names_in, read_entries
from streamseg.models.palette import Palette, index_colour

_BY_NUMBER = {
    len(p): (p, what)
    for p, what in (
        (VOC, "Pascal VOC"),
        (CITYSCAPES, "Cityscapes"),
        (ADE20K, "ADE20K"),
    )
}
_LARGEST_FILE = 1 << 20


def asked_classes(text: str) -> Palette:
    """The classes that ``--classes`` names.

    Args:
        text: one of `CLASS_LISTS`; a file (one name a line, perhaps with a colour, or JSON: a list,
            or an object as ``id2label`` of config.json); or names with commas.

    Raises:
        UsageError: no such list or file, or one that is none.
    """
    if text.lower() in CLASS_LISTS:
        return CLASS_LISTS[text.lower()]
    path = Path(text)
    if path.is_file():
        return _from_file(path)
    names = [name.strip() for name in text.split(",") if name.strip()]
    if len(names) < 2:
        raise UsageError(
            f"classes is {text!r}: no file, and no list that is known ({', '.join(CLASS_LISTS)}); "
            "or write the names with commas between"
        )
    return _palette(names, text)


def told_classes(foreign: Foreign) -> tuple[Palette, str] | None:
    """The classes that the file, or config.json beside it, names; and who says so."""
    sources: Iterable[tuple[str, Any]] = (
        *(
            (f"metadata {key!r}", _literal(foreign.notes[key]))
            for key in _KEYS & set(foreign.notes)
        ),
        ("config.json", foreign.config.get("id2label")),
    )
    for where, value in sources:
        names = names_in(value)
        # Ultralytics and Hugging Face number classes that nobody named.
        if names and not all(re.fullmatch(r"(LABEL_|class)?\d+", name) for name in names):
            try:
                return _known(_palette(names, where)), where
            except UsageError:
                continue
    return None


def guessed_classes(count: int) -> tuple[Palette, str]:
    """Classes by nothing but their number, and the reason in words."""
    if count in _BY_NUMBER:
        palette, what = _BY_NUMBER[count]
        return palette, f"by their number, {count}, those of {what}"
    names = [f"class {index}" for index in range(count)]
    return _palette(names, "numbers"), "nobody names them"


_KEYS = {"names", "classes", "class_names", "labels", "id2label"}


def _literal(text: str) -> Any:
    """A value written in JSON or, as Ultralytics does, in Python."""
    if len(text) > _LARGEST_FILE:
        return None
    for read in (json.loads, ast.literal_eval):
        try:
            return read(text)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return [name.strip() for name in text.split(",")]


def _from_file(path: Path) -> Palette:
    entries = read_entries(path)
    return _palette([name for name, _ in entries], str(path), [colour for _, colour in entries])


def _palette(
    names: Sequence[str],
    where: str,
    colours: Sequence[tuple[int, int, int] | None] | None = None,
) -> Palette:
    """Classes with colours: given ones, else Pascal VOC's, whose black is for a background."""
    first = 0 if names and names[0].lower() in BACKGROUNDS else 1
    given = colours or [None] * len(names)
    try:
        return Palette(
            names=_different(names),
            colours=tuple(
                colour or index_colour(index + first) for index, colour in enumerate(given)
            ),
        )
    except ValueError as error:
        raise UsageError(f"{where}: no list of classes ({error})") from error


def _different(names: Sequence[str]) -> tuple[str, ...]:
    """Names as they are, a number behind those that were there before."""
    found: dict[str, None] = {}
    for name in names:
        number, own = 1, name.strip()
        while own in found:
            number += 1
            own = f"{name.strip()} {number}"
        found[own] = None
    return tuple(found)


def _known(palette: Palette) -> Palette:
    """A known list of the same names, for its colours; else the same."""
    for known in CLASS_LISTS.values():
        if known.names == palette.names:
            return known
    return palette
