"""Colours to draw classes in, whatever model they come from: by what a class's name means.

A palette here gives colours to meanings ("person" is also "pedestrian"). A class that it does not
know keeps the colour that its model file gives it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamseg.errors import UsageError
from streamseg.models.classlists import CITYSCAPES, VOC
from streamseg.models.palette import CAMVID, Palette

Colour = tuple[int, int, int]
"""RGB, 0..255."""

DEFAULT_PALETTE = "bright"
BACKGROUNDS = frozenset(
    {"background", "_background_", "other", "void", "unlabeled", "unlabelled", "unknown"}
)
"""Classes that are no thing at all: drawn only where they are asked for."""

_LARGEST_FILE = 1 << 20
_LINE = re.compile(r"(.+?)[\s,;]+(?:#([0-9a-fA-F]{6})|(\d+)[\s,;]+(\d+)[\s,;]+(\d+))")

_MEANINGS = {
    "person": "pedestrian people human man woman child",
    "rider": "bicyclist cyclist motorcyclist",
    "bicycle": "bike",
    "motorcycle": "motorbike minibike",
    "car": "van",
    "aeroplane": "airplane plane",
    "boat": "ship",
    "sign": "traffic_sign signboard signsymbol",
    "pole": "column_pole streetlight",
    "building": "house skyscraper hovel tower",
    "fence": "railing bannister guard_rail",
    "road": "runway street",
    "pavement": "sidewalk path",
    "tree": "vegetation palm",
    "terrain": "grass field earth land sand",
    "mountain": "hill rock",
    "water": "sea river lake",
    "window": "windowpane",
    "table": "diningtable dining_table desk coffee_table",
    "chair": "armchair swivel_chair seat stool",
    "sofa": "couch",
    "cabinet": "wardrobe chest_of_drawers shelf bookcase",
    "plant": "pottedplant potted_plant flower",
    "tv": "tvmonitor television_receiver monitor screen crt_screen computer",
    "painting": "poster",
    "floor": "rug",
}
"""A name, and others that mean the same to whoever looks at a picture; _ is a space."""

_SAME = {
    other.replace("_", " "): name for name, others in _MEANINGS.items() for other in others.split()
}

_BRIGHT: Mapping[str, Colour] = {
    # What moves, or must be seen: light and saturated.
    "person": (255, 45, 85),
    "rider": (255, 149, 0),
    "bicycle": (255, 205, 70),
    "motorcycle": (255, 90, 200),
    "car": (0, 170, 255),
    "truck": (70, 90, 255),
    "bus": (0, 225, 200),
    "train": (165, 80, 255),
    "aeroplane": (120, 215, 255),
    "boat": (0, 120, 200),
    "sign": (255, 225, 0),
    "traffic light": (255, 180, 60),
    "pole": (245, 225, 160),
    "bird": (255, 230, 90),
    "cat": (255, 150, 110),
    "dog": (225, 120, 40),
    "horse": (215, 70, 140),
    "cow": (190, 100, 80),
    "sheep": (245, 240, 220),
    "animal": (225, 120, 40),
    "bottle": (0, 220, 140),
    "plant": (70, 200, 90),
    "tv": (110, 110, 255),
    "chair": (180, 205, 60),
    "sofa": (140, 160, 235),
    "bed": (160, 140, 220),
    "table": (200, 150, 100),
    "lamp": (255, 215, 120),
    "painting": (215, 125, 180),
    # What is around it: quiet.
    "sky": (150, 190, 225),
    "building": (165, 150, 140),
    "wall": (150, 140, 130),
    "fence": (150, 120, 95),
    "road": (105, 100, 125),
    "pavement": (185, 160, 190),
    "tree": (80, 135, 80),
    "terrain": (145, 170, 100),
    "mountain": (135, 125, 110),
    "water": (90, 130, 160),
    "floor": (140, 120, 110),
    "ceiling": (200, 200, 205),
    "window": (165, 195, 205),
    "door": (155, 125, 105),
    "curtain": (180, 130, 150),
    "cabinet": (160, 135, 110),
}

# Okabe and Ito, "Color universal design", 2008: eight colours that people with any kind of colour
# vision tell apart; greys of different lightness for what is around.
_COLOUR_BLIND: Mapping[str, Colour] = {
    "person": (213, 94, 0),
    "rider": (240, 228, 66),
    "bicycle": (230, 159, 0),
    "motorcycle": (204, 121, 167),
    "car": (0, 114, 178),
    "truck": (0, 70, 130),
    "bus": (86, 180, 233),
    "train": (120, 60, 140),
    "sign": (240, 228, 66),
    "traffic light": (230, 159, 0),
    "pole": (250, 250, 250),
    "animal": (204, 121, 167),
    "bird": (240, 228, 66),
    "cat": (204, 121, 167),
    "dog": (230, 159, 0),
    "plant": (0, 158, 115),
    "chair": (86, 180, 233),
    "sofa": (204, 121, 167),
    "table": (230, 159, 0),
    "tv": (0, 114, 178),
    "tree": (70, 120, 105),
    "terrain": (140, 165, 150),
    "sky": (215, 225, 235),
    "building": (150, 150, 150),
    "wall": (130, 130, 130),
    "fence": (90, 90, 90),
    "road": (70, 70, 80),
    "pavement": (190, 190, 190),
    "water": (86, 180, 233),
    "mountain": (110, 110, 105),
    "floor": (120, 120, 120),
    "ceiling": (225, 225, 225),
    "window": (200, 215, 225),
}


def meaning(name: str) -> str:
    """What a class's name means: the name that palettes know it by."""
    plain = re.sub(r"[\s_-]+", " ", name).strip().casefold()
    return _SAME.get(plain, plain)


def _of_list(palette: Palette) -> Mapping[str, Colour]:
    named = zip(palette.names, palette.colours, strict=True)
    return {meaning(name): colour for name, colour in named}


PALETTES: Mapping[str, Mapping[str, Colour]] = {
    "bright": _BRIGHT,
    "colour-blind": _COLOUR_BLIND,
    "camvid": _of_list(CAMVID),
    "cityscapes": _of_list(CITYSCAPES),
    "voc": _of_list(VOC),
    "model": {},
}
"""By name; ``model`` leaves every class the colour that its model file gives it."""


def colours_of(which: str | Path) -> Mapping[str, Colour]:
    """Colours by meaning, of a palette's name or a file.

    Args:
        which: one of `PALETTES`, or a file: a class a line with ``#rrggbb`` or ``r g b`` behind it,
            or a JSON object ``{"car": "#00aaff", "road": [105, 100, 125]}``.

    Raises:
        UsageError: no such name or file, or a file that is no palette.
    """
    if str(which) in PALETTES:
        return PALETTES[str(which)]
    path = Path(which)
    if not path.is_file():
        raise UsageError(
            f"palette is {str(which)!r}: no file, and no palette of {', '.join(PALETTES)}"
        )
    found = {meaning(name): colour for name, colour in read_entries(path) if colour is not None}
    if not found:
        raise UsageError(f"{path}: no line has a class and its colour, as 'car #00aaff'")
    return found


def recoloured(palette: Palette, which: str | Path) -> Palette:
    """A model's classes in a palette's colours.

    Raises:
        UsageError: see `colours_of`; or a file that names no class of the model.
    """
    colours = colours_of(which)
    means = [meaning(name) for name in palette.names]
    if str(which) not in PALETTES and not any(name in colours for name in means):
        raise UsageError(
            f"{which}: none of its names is a class of this model: {', '.join(palette.names)}"
        )
    mixed = zip(means, palette.colours, strict=True)
    try:
        return Palette(palette.names, tuple(colours.get(name, own) for name, own in mixed))
    except ValueError as error:
        raise UsageError(f"{which}: no palette ({error})") from error


def read_entries(path: Path) -> list[tuple[str, Colour | None]]:
    """Names of a file of classes, each with its colour if it has one.

    A name a line, perhaps with ``#rrggbb`` or ``r g b`` behind it; or JSON: a list of names, or an
    object of numbers to names (``id2label``, also inside another) or of names to colours.

    Raises:
        UsageError: it cannot be read, or is neither.
    """
    try:
        if path.stat().st_size > _LARGEST_FILE:
            raise UsageError(f"{path}: is too large for a list of classes")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: cannot be read as a list of classes ({error})") from error
    if text.lstrip()[:1] not in ("{", "["):
        lines = [line.strip() for line in text.splitlines()]
        return [_of_line(line) for line in lines if line and not line.startswith("#")]
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: is no JSON that can be read ({error})") from error
    if isinstance(value, dict) and all(_of_json(colour) for colour in value.values()):
        return [(str(name), _of_json(colour)) for name, colour in value.items()]
    return [(name, None) for name in names_in(value)]


def names_in(value: Any) -> list[str]:
    """Names in order: of a list, of an object ``number -> name``, or of one that holds either."""
    if isinstance(value, Mapping):
        for key in ("id2label", "names", "classes"):
            if key in value:
                return names_in(value[key])
        try:
            numbered = {int(key): str(name) for key, name in value.items()}
        except (TypeError, ValueError):
            return []
        in_order = set(numbered) == set(range(len(numbered)))
        return [numbered[index] for index in range(len(numbered))] if in_order else []
    if isinstance(value, (list, tuple)):
        return [str(v.get("name", v) if isinstance(v, Mapping) else v) for v in value]
    return []


_NAMED: Mapping[str, Colour] = {
    "black": (0, 0, 0),
    "white": (255, 255, 255),
    "grey": (128, 128, 128),
    "green": (0, 177, 64),
    "blue": (0, 71, 187),
}
"""Green and blue are those of screens that are keyed out."""


def colour_named(text: str) -> Colour | None:
    """RGB of ``#rrggbb`` or of a colour's name; None for other text."""
    return _NAMED.get(text.casefold(), _of_json(text))


def _of_line(line: str) -> tuple[str, Colour | None]:
    match = _LINE.fullmatch(line)
    if match is None:
        return line, None
    if match[2] is not None:
        return match[1], _hex(match[2])
    return match[1], (int(match[3]), int(match[4]), int(match[5]))


def _of_json(value: Any) -> Colour | None:
    if isinstance(value, str) and re.fullmatch(r"#[0-9a-fA-F]{6}", value):
        return _hex(value[1:])
    if isinstance(value, list) and len(value) == 3 and all(type(part) is int for part in value):
        return value[0], value[1], value[2]
    return None


def _hex(code: str) -> Colour:
    return int(code[:2], 16), int(code[2:4], 16), int(code[4:], 16)
