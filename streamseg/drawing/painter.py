"""What a compositor asks to change the pictures of its panes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.blend import Step
from streamseg.drawing.yuv import ColourSpec, Plane


class Painter(Protocol):
    """Paints frame after frame; planes are luma and chroma, ``[h, w]`` or ``[h, w, 2]``."""

    def prepare(self, colour: ColourSpec) -> None:
        """From now on samples are to be read so; called before the first frame."""
        ...

    def begin(
        self, sources: Sequence[Plane], labels_HW: NDArray[np.uint8], at_seconds: float
    ) -> None:
        """Take up a frame: its planes as decoded, its labels, when it is shown."""
        ...

    def step(self, index: int, src: Plane, pane: Plane) -> Step:
        """What paints rows of one plane; several may run at the same time."""
        ...

    def finish(self, sources: Sequence[Plane], panes: Sequence[Plane]) -> None:
        """What is left to be done when all rows are painted."""
        ...
