"""What a sample clip is asked to be: its size, length, rate and seed.

Knows nothing about drawing or files.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from streamseg.errors import UsageError

MIN_SIDE = 64
MAX_SIDE = 8192
MAX_RATE = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSpec:
    """The arguments of a sample clip; equal specs give equal pixels, labels and sound."""

    width: int = 960
    height: int = 540
    frames: int = 125
    rate: Fraction = Fraction(25)
    """Frames per second."""
    seed: int = 0
    """Another seed is another street."""

    def __post_init__(self) -> None:
        for name, side in (("width", self.width), ("height", self.height)):
            # 4:2:0 video has one colour sample for 2x2 pixels
            if not MIN_SIDE <= side <= MAX_SIDE or side % 2:
                raise UsageError(
                    f"the sample's {name} must be an even number from {MIN_SIDE} to {MAX_SIDE}, "
                    f"got {side}"
                )
        if self.frames < 1:
            raise UsageError(f"the sample needs at least 1 frame, got {self.frames}")
        if not 1 <= self.rate <= MAX_RATE:
            raise UsageError(
                f"the sample's rate must be 1 to {MAX_RATE} frames a second, got {self.rate}"
            )
        if self.seed < 0:
            raise UsageError(f"the sample's seed must be 0 or more, got {self.seed}")

    @property
    def seconds(self) -> Fraction:
        """How long the clip lasts."""
        return self.frames / self.rate


DEFAULT_SPEC = SampleSpec()
"""Five seconds of 960x540."""
