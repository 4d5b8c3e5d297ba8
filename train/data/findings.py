"""What `train.data.check` finds: values. Knows nothing about reading or printing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.models.palette import Palette


@dataclass(slots=True, kw_only=True)
class SplitCheck:
    """One split as it is."""

    name: str
    pictures: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    """Pictures of each (width, height)."""
    formats: Counter[str] = field(default_factory=Counter)
    pixels: NDArray[np.int64] = field(default_factory=lambda: np.zeros(256, np.int64))
    """Pixels of each class index; 255 is void."""
    shown: dict[int, list[Path]] = field(default_factory=dict)
    """The label files that show a class."""
    faults: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    digests: dict[bytes, Path] = field(default_factory=dict)
    """A picture of each content."""


@dataclass(slots=True, kw_only=True)
class DataCheck:
    """A data set as it is."""

    root: Path
    layout: str
    why: str
    """Why it is taken for that layout."""
    classes: Palette
    splits: list[SplitCheck]
    faults: list[str]
    """Sentences, those of the splits among them."""
    notes: list[str]
    unused: list[str]
    """Those of the faults that are about classes without a pixel: `prepare` leaves them out."""

    @property
    def serious(self) -> list[str]:
        """Faults that no command can mend."""
        return [fault for fault in self.faults if fault not in self.unused]

    @property
    def good(self) -> bool:
        """Whether it can be trained on as it is."""
        return not self.faults
