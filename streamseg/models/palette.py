"""Classes and their colours: what training, model files and drawing must agree on.

Knows nothing about frames or networks.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from numbers import Integral

_NEVER_SHOWN = {"Cc", "Cs", "Zl", "Zp"}
"""Control characters (a terminal obeys some), halves of characters, ends of lines: by category."""
_TURNS = set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""What turns the direction of the text behind it."""


def check_text(what: str, text: object) -> None:
    """Refuse what cannot stand in a line on a terminal as it is.

    Raises:
        ValueError: no text, an empty one, or one with control characters.
    """
    if not isinstance(text, str):
        raise ValueError(f"{what} must be text, got {text!r:.80}")
    if not text.strip():
        raise ValueError(f"{what} is empty")
    if any(unicodedata.category(char) in _NEVER_SHOWN or char in _TURNS for char in text):
        raise ValueError(f"{what} has control characters, {text!a:.80}")


@dataclass(frozen=True, slots=True)
class Palette:
    """Class names in index order, each with an RGB colour (0..255)."""

    names: tuple[str, ...]
    colours: tuple[tuple[int, int, int], ...]

    def __post_init__(self) -> None:
        if len(self.names) != len(self.colours):
            raise ValueError(f"{len(self.names)} names but {len(self.colours)} colours")
        for name in self.names:
            check_text("a class name", name)
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"class names must differ, got {self.names}")
        if not 1 <= len(self.names) <= 255:
            raise ValueError(f"a palette has 1..255 classes, got {len(self.names)}")
        for name, colour in zip(self.names, self.colours, strict=True):
            if len(colour) != 3 or not all(
                isinstance(value, Integral) and 0 <= value <= 255 for value in colour
            ):
                raise ValueError(f"the colour of {name!r} must be 3 values 0..255, got {colour}")

    def __len__(self) -> int:
        return len(self.names)


def index_colour(index: int) -> tuple[int, int, int]:
    """Pascal VOC's colour of an index: bit 3k+c of it is bit 7-k of channel c (VOC devkit)."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= (index >> (3 * place + channel) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]


CAMVID = Palette(
    names=(
        "sky",
        "building",
        "pole",
        "road",
        "pavement",
        "tree",
        "sign",
        "fence",
        "car",
        "pedestrian",
        "bicyclist",
    ),
    colours=(
        (128, 128, 128),
        (128, 0, 0),
        (192, 192, 128),
        (128, 64, 128),
        (60, 40, 222),
        (128, 128, 0),
        (192, 128, 128),
        (64, 64, 128),
        (64, 0, 128),
        (64, 64, 0),
        (0, 128, 192),
    ),
)
"""CamVid's eleven classes in the colours of SegNet's demo."""
