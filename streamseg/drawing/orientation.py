"""How stored pictures are turned and mirrored before they are shown. Pure arithmetic.

There are eight orientations: four quarter turns, each with and without a mirror. Displays, EXIF and
containers write them as matrices; what is a little off (89.99 degrees) means the nearest of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Samples = TypeVar("Samples", bound=np.generic)

_COLUMN_OF_TURN = ((1, 0), (0, -1), (-1, 0), (0, 1))
"""Where x points after so many quarter turns counter-clockwise, y pointing down."""


@dataclass(frozen=True, slots=True)
class Orientation:
    """Shown = stored, mirrored left to right if `mirrored`, then turned."""

    quarter_turns: int = 0
    """Counter-clockwise, 0..3, after the mirror."""
    mirrored: bool = False

    @classmethod
    def nearest(cls, a: float, b: float, c: float, d: float) -> Orientation:
        """The orientation closest to ``x' = a x + c y, y' = b x + d y`` (y points down)."""

        def likeness(orientation: Orientation) -> float:
            xa, xb, xc, xd = orientation.matrix
            return a * xa + b * xb + c * xc + d * xd

        return max(ALL, key=likeness)

    @property
    def matrix(self) -> tuple[int, int, int, int]:
        """a, b, c and d of `nearest`."""
        a, b = _COLUMN_OF_TURN[self.quarter_turns]
        sign = -1 if self.mirrored else 1
        return sign * a, sign * b, -b, a

    @property
    def sideways(self) -> bool:
        """Whether the shown picture is as high as the stored one is wide."""
        return self.quarter_turns % 2 == 1

    def shown_size(self, width: int, height: int) -> tuple[int, int]:
        """Width and height as shown, of a stored picture; and the other way round."""
        return (height, width) if self.sideways else (width, height)

    def upright(self, stored: NDArray[Samples]) -> NDArray[Samples]:
        """A picture ``[H, W, ...]`` as it is shown; a view."""
        mirrored = stored[:, ::-1] if self.mirrored else stored
        return np.rot90(mirrored, self.quarter_turns) if self.quarter_turns else mirrored

    def stored(self, shown: NDArray[Samples]) -> NDArray[Samples]:
        """A shown picture ``[H, W, ...]`` as it is stored; a view."""
        turned = np.rot90(shown, -self.quarter_turns) if self.quarter_turns else shown
        return turned[:, ::-1] if self.mirrored else turned

    def stored_direction(self, right: int, down: int) -> tuple[int, int]:
        """Where a direction on the shown picture points on the stored one: right and down."""
        a, b, c, d = self.matrix
        return a * right + b * down, c * right + d * down


ALL = tuple(Orientation(turns, mirrored) for mirrored in (False, True) for turns in range(4))
"""The eight; a tie goes to the first, which changes nothing."""
AS_STORED = ALL[0]


def nearest_to_matrix(matrix: Sequence[int] | None) -> Orientation:
    """Of a display matrix as FFmpeg keeps it (nine integers, rows of three); None changes nothing.

    Also of one that is all zeros, which some recorders write.
    """
    if matrix is None:
        return AS_STORED
    return Orientation.nearest(matrix[0], matrix[1], matrix[3], matrix[4])
