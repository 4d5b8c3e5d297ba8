"""Which frames the network must see, and where the labels of the others come from.

A frame that the network sees is a *key*. A frame is *held* as long as the last key, moved along
the optical flow, leaves little of it unexplained: it takes the key's labels, moved likewise. A cut,
a new object of some size, or a flow that went wrong leaves much: that frame is a key.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamseg.hold.motion import Flow, carried, half_grey, residual

LONGEST = 12
"""Frames from one key to the next at most, where nobody says otherwise: half a second of video."""
CHANGED = 0.04
"""Share of pixels that a key may leave unexplained; see docs/hold.md for what others give."""
_EXPLAINED = 12
"""Levels of 255 that compression, noise and light may add to a pixel that is explained."""
_STILL = 0.001
"""Share of pixels up to which nothing moved: labels stay where they are, without a flow."""


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one look at a frame told."""

    is_key: bool
    flow_hw2: NDArray[np.float32] | None = None
    """From a held frame to its key; None where nothing moved."""

    def labels(self, key_HW: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Labels ``[H, W]`` of the frame, from those of its key."""
        return key_HW if self.flow_hw2 is None else carried(key_HW, self.flow_hw2)


class KeyFrames:
    """Looks at frames in order and says which are keys. For one thread.

    Args:
        longest: frames from one key to the next at most; 1 makes every frame a key.
        changed: share of pixels that a key may leave unexplained, 0..1.
    """

    def __init__(self, longest: int = LONGEST, *, changed: float = CHANGED) -> None:
        self._longest, self._changed = longest, changed
        self._flow = Flow()
        self._key_hw: NDArray[np.uint8] | None = None
        self._since = 0
        self.held = 0
        """Frames so far that were no keys."""

    def forget(self) -> None:
        """Make the next frame a key."""
        self._key_hw = None

    def look(self, rgb_HWC: NDArray[np.uint8]) -> Look:
        """Decide about the next frame, RGB uint8 ``[H, W, 3]`` as the network would see it."""
        grey_hw = half_grey(rgb_HWC)
        self._since += 1
        found = self._held(grey_hw)
        if found is None:
            self._key_hw, self._since = grey_hw, 0
            return Look(is_key=True)
        self.held += 1
        return found

    def _held(self, grey_hw: NDArray[np.uint8]) -> Look | None:
        """How the last key explains a frame; None if it does not."""
        key_hw = self._key_hw
        if key_hw is None or key_hw.shape != grey_hw.shape or self._since >= self._longest:
            return None
        if _unexplained(residual(grey_hw, key_hw)) <= _STILL:
            return Look(is_key=False)
        flow_hw2 = self._flow(grey_hw, key_hw)
        if _unexplained(residual(grey_hw, key_hw, flow_hw2)) > self._changed:
            return None
        return Look(is_key=False, flow_hw2=flow_hw2)


def _unexplained(residual_hw: NDArray[np.uint8]) -> float:
    return float(np.count_nonzero(residual_hw > _EXPLAINED)) / residual_hw.size
