"""Pedestrians and bicyclists seen from the front or the back, one picture for each step phase.

Draws textures once; knows nothing about where they will go.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from streamseg.sample.canvas import BICYCLIST, PEDESTRIAN, Texture
from streamseg.sample.surfaces import Colour, Image, fractal

DENSITY = 110.0
PHASES = 8
_COATS: tuple[Colour, ...] = ((34, 36, 48), (60, 30, 32), (40, 46, 38), (84, 78, 66), (28, 28, 30))
_TROUSERS: tuple[Colour, ...] = ((32, 36, 52), (26, 26, 28), (62, 58, 50))
_HAIR: tuple[Colour, ...] = ((42, 32, 26), (24, 22, 22), (92, 76, 52))
_SKIN: Colour = (176, 132, 110)
_SHOE: Colour = (22, 20, 20)


class _Figure:
    """A sheet to draw limbs on, in metres: x from the middle, y above the ground."""

    def __init__(self, width: float, height: float) -> None:
        shape = round(height * DENSITY), round(width * DENSITY), 4
        self.image: Image = np.zeros(shape, np.uint8)

    def at(self, x: float, y: float) -> tuple[int, int]:
        """Texel of a point."""
        rows, columns = self.image.shape[:2]
        return round(columns / 2 + x * DENSITY), round(rows - 1 - y * DENSITY)

    def limb(self, points: list[tuple[float, float]], thick: float, colour: Colour) -> None:
        """A chain of round-ended strokes, darker at its edge than in its middle."""
        chain = np.array([self.at(*p) for p in points])
        for share, tone in ((1.0, 0.72), (0.6, 1.0), (0.25, 1.12)):
            ink = (*(min(tone * c, 255) for c in colour), 255)
            width = max(round(thick * share * DENSITY), 1)
            cv2.polylines(self.image, [chain], False, ink, width, cv2.LINE_AA)

    def oval(self, x: float, y: float, size: tuple[float, float], colour: Colour) -> None:
        """A filled ellipse of half-axes `size`."""
        axes = round(size[0] * DENSITY), round(size[1] * DENSITY)
        cv2.ellipse(self.image, self.at(x, y), axes, 0, 0, 360, (*colour, 255), -1, cv2.LINE_AA)

    def shape(self, points: list[tuple[float, float]], colour: Colour) -> None:
        """A filled polygon, mirrored left to right when given its right half."""
        outline = points + [(-x, y) for x, y in reversed(points)]
        chain = np.array([self.at(*p) for p in outline])
        cv2.fillPoly(self.image, [chain], (*colour, 255), cv2.LINE_AA)

    def texture(self, rng: np.random.Generator, label: int) -> Texture:
        """Finished: folds in the cloth and light from one side."""
        rows, columns = self.image.shape[:2]
        side = np.linspace(1.2, 0.72, columns, dtype=np.float32)[None, :]
        folds = 1 + 0.16 * fractal(rng, rows, columns, 20, 3)
        rgb = self.image[..., :3] * (side * folds)[..., None]
        self.image[..., :3] = np.clip(rgb, 0, 255).astype(np.uint8)
        # strokes on an empty sheet are premultiplied already; a texture expects plain colour
        alpha = np.maximum(self.image[..., 3:].astype(np.float32), 1)
        straight = self.image[..., :3] * (255 / alpha)
        self.image[..., :3] = np.clip(straight, 0, 255).astype(np.uint8)
        return Texture(self.image, DENSITY, label)


def walker(rng: np.random.Generator, *, facing: bool) -> tuple[Texture, ...]:
    """A pedestrian walking along the street, one texture for each phase of two steps."""
    coat = _COATS[rng.integers(len(_COATS))]
    trousers = _TROUSERS[rng.integers(len(_TROUSERS))]
    hair = _HAIR[rng.integers(len(_HAIR))]
    hem = float(rng.uniform(0.68, 0.9))
    bag = bool(rng.random() < 0.5)
    seed = int(rng.integers(1 << 30))
    frames = []
    for phase in range(PHASES):
        swing = math.sin(2 * math.pi * phase / PHASES)
        bob = 0.02 * math.cos(4 * math.pi * phase / PHASES)
        body = _Figure(0.95, 1.86)
        for side in (-1, 1):
            lift = max(0.0, side * swing) * 0.13
            knee = (side * 0.11, 0.5 + 0.5 * lift)
            foot = (side * 0.10, 0.07 + lift)
            body.limb([(side * 0.09, 0.9), knee, foot], 0.155, trousers)
            body.limb([foot, (foot[0] + side * 0.03, foot[1] - 0.03)], 0.10, _SHOE)
            hand = (side * 0.29, 0.84 + 0.05 * side * swing)
            body.limb([(side * 0.2, 1.4 + bob), (side * 0.27, 1.12), hand], 0.115, coat)
            body.oval(hand[0], hand[1] - 0.05, (0.04, 0.05), _SKIN)
        body.limb([(0, 1.38 + bob), (0, 1.52 + bob)], 0.12, _SKIN)
        half = [(0.08, 1.5), (0.2, 1.43), (0.22, 1.2), (0.19, 1.02), (0.22, hem)]
        body.shape([(x, y + bob) for x, y in half], coat)
        light = tuple(1.22 * c for c in coat)
        body.shape([(0.02, 1.45 + bob), (0.05, 1.1), (0.04, hem + 0.04)], light)  # type: ignore[arg-type]
        if bag:
            body.limb([(-0.16, 1.42 + bob), (0.2, 0.95)], 0.03, (60, 44, 30))
            body.shape([(0.13, 1.0), (0.13, 0.8)], (66, 46, 32))
        body.oval(0, 1.66 + bob, (0.085, 0.125), hair)
        if facing:
            body.oval(0, 1.635 + bob, (0.072, 0.1), _SKIN)
        frames.append(body.texture(np.random.default_rng(seed), PEDESTRIAN))
    return tuple(frames)


def cyclist(rng: np.random.Generator) -> tuple[Texture, ...]:
    """A bicyclist riding away from us, one texture for each phase of a turn of the pedals."""
    coat: Colour = (44, 50, 84) if rng.random() < 0.5 else (110, 34, 34)
    trousers = _TROUSERS[rng.integers(len(_TROUSERS))]
    seed = int(rng.integers(1 << 30))
    frames = []
    for phase in range(PHASES):
        turn = 2 * math.pi * phase / PHASES
        rider = _Figure(1.0, 1.9)
        rider.limb([(-0.28, 1.04), (0.28, 1.04)], 0.035, (40, 40, 42))
        rider.limb([(0, 0.03), (0, 0.66)], 0.06, (26, 26, 28))
        rider.limb([(0, 0.34), (0, 0.98)], 0.045, (64, 64, 70))
        rider.limb([(-0.06, 0.62), (0.06, 0.62)], 0.06, (120, 24, 20))
        for side in (-1, 1):
            pedal = 0.32 + 0.17 * math.sin(turn + (math.pi if side > 0 else 0))
            knee = (side * 0.19, pedal + 0.43)
            rider.limb([(side * 0.11, 0.98), knee, (side * 0.13, pedal + 0.06)], 0.15, trousers)
            rider.limb([(side * 0.13, pedal + 0.03), (side * 0.15, pedal)], 0.10, _SHOE)
            rider.limb([(side * 0.2, 1.48), (side * 0.31, 1.25), (side * 0.27, 1.06)], 0.1, coat)
        rider.shape([(0.1, 1.56), (0.21, 1.5), (0.22, 1.25), (0.18, 0.98)], coat)
        rider.limb([(-0.17, 0.96), (0.17, 0.96)], 0.2, trousers)
        rider.shape([(0.18, 1.3), (0.18, 1.26)], (196, 200, 60))
        rider.limb([(0, 1.5), (0, 1.6)], 0.12, _SKIN)
        rider.oval(0, 1.71, (0.1, 0.13), (60, 44, 36))
        rider.oval(0, 1.76, (0.115, 0.1), (54, 56, 62))
        frames.append(rider.texture(np.random.default_rng(seed), BICYCLIST))
    return tuple(frames)
