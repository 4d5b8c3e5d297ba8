"""How labels are drawn: one value, made once and handed down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from streamseg.errors import UsageError
from streamseg.models.colours import DEFAULT_PALETTE, colours_of

Mode = Literal["overlay", "mask", "side-by-side"]
Edges = Literal["smooth", "exact"]
MODES: tuple[Mode, ...] = get_args(Mode)
EDGES: tuple[Edges, ...] = get_args(Edges)


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawOptions:
    """How labels are drawn.

    Raises:
        UsageError: alpha out of range, or unknown mode, edges or palette.
    """

    mode: Mode = "overlay"
    """``overlay`` blends; ``mask`` shows plain class colours; ``side-by-side`` puts the picture at
    the left and its overlay at the right."""
    alpha: float = 0.5
    """Share of the class colour in a blend, 0..1."""
    classes: Sequence[str] | None = None
    """Names to draw; None draws all but `background`, `other` and the like. Others stay as they are
    (black in a mask)."""
    edges: Edges = "smooth"
    """``smooth`` decides anew where classes meet, with a rim of one pixel; ``exact`` enlarges
    labels as they are, in stairs. Away from borders both are the same."""
    palette: str | Path = DEFAULT_PALETTE
    """A name of `streamseg.models.colours.PALETTES`, or a file of classes and colours."""
    legend: bool = False
    """Draw names and colours of the classes that are there into the top left corner."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError(f"unknown mode {self.mode!r}; known: {', '.join(MODES)}")
        if self.edges not in EDGES:
            raise UsageError(f"unknown edges {self.edges!r}; known: {', '.join(EDGES)}")
        colours_of(self.palette)
        if not 0 <= self.alpha <= 1:
            raise UsageError(f"alpha must be between 0 and 1, got {self.alpha}")
