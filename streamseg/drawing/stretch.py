"""Labels, and what is looked up from them, at another size."""

from __future__ import annotations

from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

Samples = TypeVar("Samples", bound=np.generic)


def stretch(plane: NDArray[Samples], width: int, height: int) -> NDArray[Samples]:
    """A plane ``[H, W]`` or ``[H, W, C]`` resized, each pixel from the nearest centre."""
    if plane.shape[:2] == (height, width):
        return plane
    # The plain "nearest" rounds down: everything would lie up to half a pixel up and left.
    samples: Any = plane
    resized: Any = cv2.resize(samples, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized, dtype=plane.dtype)
