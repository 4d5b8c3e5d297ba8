"""``[data]``: which data set, and how its pictures are augmented."""

from __future__ import annotations

from dataclasses import dataclass


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(kw_only=True, slots=True, frozen=True)
class DataConfig:
    """``[data]``: the data set's layout and the augmentation."""

    layout: str = "camvid"
    crop: int = 320
    """Side of the square training crop, pixels."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Range of the random scale, relative to the picture's own size."""
    flip: bool = True
    jitter: float = 0.3
    """Strength of brightness, contrast and saturation jitter; 0 switches it off."""
    workers: int = 1
    """Loader processes. Results do not depend on it: every sample has its own seed."""

    def __post_init__(self) -> None:
        from train.data import LAYOUTS

        _require(self.layout in LAYOUTS, f"layout is {self.layout!r}; known: {sorted(LAYOUTS)}")
        _require(self.crop >= 64, f"crop must be at least 64, got {self.crop}")
        _require(0 < self.scale[0] <= self.scale[1], f"scale must be [low, high], got {self.scale}")
        _require(0 <= self.jitter < 1, f"jitter must be in [0, 1), got {self.jitter}")
        _require(self.workers >= 0, f"workers must not be negative, got {self.workers}")
