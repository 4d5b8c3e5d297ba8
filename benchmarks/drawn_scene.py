"""Scenes whose every pixel has a known class, drawn with NumPy and OpenCV.

A camera over a ground with a road, buildings, cars and poles; it drives on and sways, or stands,
and cars pass. Sensor noise on top. Nothing of it looks like a street: it is for what moves.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

SIZE = (512, 288)
_WORLD = (2400, 700)


class Scene:
    """Frames RGB uint8 ``[H, W, 3]`` and their classes uint8 ``[H, W]``.

    Args:
        moving: the camera drives; else it stands.
        seed: of the textures and of the noise.
    """

    def __init__(self, *, moving: bool, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._moving = moving
        width, height = _WORLD
        self._classes = np.zeros((height, width), np.uint8)  # 0: sky
        self._classes[400:] = 1  # ground
        self._classes[470:600] = 2  # road
        for left in range(0, width, 170):
            tall = int(self._random.integers(60, 260))
            self._classes[400 - tall : 400, left : left + 110] = 3  # a building
        for left in range(40, width, 120):
            self._classes[300:430, left : left + 4] = 4  # a pole
        texture = self._random.normal(size=(height // 3, width // 3)).astype(np.float32)
        texture = np.asarray(cv2.resize(texture, _WORLD, interpolation=cv2.INTER_CUBIC), np.float32)
        colours = np.asarray([[150, 190, 230], [90, 130, 70], [95, 95, 100], [150, 110, 90]])
        colours = np.vstack([colours, [[60, 60, 60]]])
        world = np.clip(colours[self._classes] + 12 * texture[..., None], 0, 255)
        self._world = world.astype(np.float32)
        self._cars = [
            (float(x), 2.5 + i, 480 + 28 * i) for i, x in enumerate((-80, 300, 900, 1500))
        ]

    def frame(self, number: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Frame and classes number 0, 1 ..."""
        width, height = SIZE
        scale = 1 + (0.002 * number if self._moving else 0)
        left = 200 + (3.2 * number if self._moving else 0)
        top = 250 + (6 * np.sin(number / 5) if self._moving else 0)
        matrix = np.asarray([[scale, 0, -left * scale], [0, scale, -top * scale]], np.float64)
        picture = self._seen(self._world, matrix, cv2.INTER_LINEAR)
        classes = self._seen(self._classes, matrix, cv2.INTER_NEAREST)
        for start, step, line in self._cars:
            x = (start + step * number - left) * scale
            y, w, h = (line - top) * scale, 90 * scale, 44 * scale
            box = [int(v) for v in (x, y, x + w, y + h)]
            cv2.rectangle(picture, box[:2], box[2:], (170, 40, 40), -1)
            cv2.rectangle(
                picture, (box[0] + 8, box[1] + 5), (box[2] - 8, box[1] + 16), (40,) * 3, -1
            )
            cv2.rectangle(classes, box[:2], box[2:], 5, -1)
        noise = self._random.normal(0, 3, (height, width, 3))
        return np.clip(picture + noise, 0, 255).astype(np.uint8), classes.astype(np.uint8)

    @staticmethod
    def _seen(world: NDArray[Any], matrix: NDArray[np.float64], how: int) -> NDArray[Any]:
        return np.asarray(
            cv2.warpAffine(world, matrix, SIZE, flags=how, borderMode=cv2.BORDER_REPLICATE)
        )
