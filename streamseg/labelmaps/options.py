"""What becomes of labels before they are used: one value, made once and handed down."""

from __future__ import annotations

from dataclasses import dataclass

from streamseg.errors import UsageError


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanOptions:
    """What becomes of a network's labels before they are drawn, measured or written.

    Raises:
        UsageError: a negative area.
    """

    min_area: int = 0
    """Connected areas of fewer labels than this take their surroundings' class; 0 keeps all."""
    stabilize: bool = False
    """A label stays where the picture stands still, until it has been contradicted for long; a
    single picture is left as it is. See `streamseg.labelmaps.steady`.
    """

    def __post_init__(self) -> None:
        if self.min_area < 0:
            raise UsageError(f"--min-area must be 0 or more labels, got {self.min_area}")
