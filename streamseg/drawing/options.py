"""How labels are drawn: one value, made once and handed down."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from streamseg.errors import UsageError
from streamseg.models.colours import DEFAULT_PALETTE, colour_named, colours_of

Mode = Literal["overlay", "mask", "side-by-side", "wipe", "cutout", "blur", "replace"]
Edges = Literal["smooth", "exact"]
MODES: tuple[Mode, ...] = get_args(Mode)
EDGES: tuple[Edges, ...] = get_args(Edges)
BACKGROUND_MODES = frozenset({"cutout", "blur", "replace"})
"""Modes in which some classes stay as they are, and what surrounds them does not."""
DEFAULT_BACKGROUND = "green"
"""Of a cut-out where nothing can be transparent: the green that editors key out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawOptions:
    """How labels are drawn.

    Raises:
        UsageError: a number out of range, an unknown mode, edges or palette, or options that do not
            go together.
    """

    mode: Mode = "overlay"
    """``overlay`` blends; ``mask`` shows plain class colours; ``side-by-side`` puts the picture at
    the left and its overlay at the right; ``wipe`` has both in one picture, left and right of a
    line. In the other modes `classes` stay as they are, and what surrounds them is made transparent
    (``cutout``), blurred (``blur``) or replaced by `background` (``replace``)."""
    alpha: float = 0.5
    """Share of the class colour in a blend, 0..1."""
    class_alpha: Mapping[str, float] = field(default_factory=dict)
    """The same for some classes."""
    classes: Sequence[str] | None = None
    """Names to draw; None draws all but `background`, `other` and the like. Others stay as they are
    (black in a mask)."""
    edges: Edges = "smooth"
    """``smooth`` decides anew where classes meet, with a rim of one pixel; ``exact`` enlarges
    labels as they are, in stairs. Away from borders both are the same."""
    contours: bool = False
    """Draw a line along the borders of classes, in their full colours."""
    palette: str | Path = DEFAULT_PALETTE
    """A name of `streamseg.models.colours.PALETTES`, or a file of classes and colours."""
    legend: bool = False
    """Draw names and colours of the classes that are there into the top left corner."""
    background: str | Path | None = None
    """A colour (``#rrggbb``, black, white, green, blue, grey), a picture or a video."""
    invert: bool = False
    """Blur, replace or cut out `classes` themselves, not what surrounds them."""
    wipe_seconds: float = 0.0
    """In which the line of a wipe goes to the right and back; 0 leaves it in the middle."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError(f"unknown mode {self.mode!r}; known: {', '.join(MODES)}")
        if self.edges not in EDGES:
            raise UsageError(f"unknown edges {self.edges!r}; known: {', '.join(EDGES)}")
        colours_of(self.palette)
        for what, alpha in (
            ("", self.alpha),
            *((f" of {n}", a) for n, a in self.class_alpha.items()),
        ):
            if not 0 <= alpha <= 1:
                raise UsageError(f"alpha{what} must be between 0 and 1, got {alpha}")
        if not (math.isfinite(self.wipe_seconds) and self.wipe_seconds >= 0):
            raise UsageError(f"--wipe-seconds must be 0 or more, got {self.wipe_seconds}")
        self._check_background()

    def _check_background(self) -> None:
        if self.mode == "replace" and self.background is None:
            raise UsageError("--mode replace needs --background: a colour, a picture or a video")
        if self.background is not None and self.mode not in ("replace", "cutout"):
            raise UsageError(f"--background is of --mode replace and cutout, not of {self.mode}")
        if self.invert and not self.changes_background:
            raise UsageError(f"--invert is of --mode cutout, blur and replace, not of {self.mode}")
        if self.legend and self.changes_background:
            raise UsageError(f"--mode {self.mode} draws no class colours that --legend could name")

        named = self.background
        if named is not None and colour_named(str(named)) is None and not Path(named).is_file():
            raise UsageError(
                f"background is {str(named)!r}: no file, and no colour; give #rrggbb, black, "
                "white, grey, green, blue, a picture or a video"
            )

    @property
    def changes_background(self) -> bool:
        """Whether pictures are kept or changed by class, instead of drawn on."""
        return self.mode in BACKGROUND_MODES
