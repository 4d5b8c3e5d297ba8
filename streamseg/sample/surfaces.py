"""Noise, masonry and the small drawing helpers that every texture is made with.

Knows nothing about the world or the camera. Colours are RGB 0..255; textures under construction
are float32 ``[H, W, 3]``.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[Any]
Colour = tuple[float, float, float]


def fractal(
    rng: np.random.Generator, height: int, width: int, cell: int, octaves: int = 4
) -> Image:
    """Smooth noise around 0, roughly -1..1, whose largest blobs are `cell` pixels."""
    total = np.zeros((height, width), np.float32)
    weight = 0.6
    for octave in range(octaves):
        size = max(cell >> octave, 1)
        grid = rng.standard_normal((height // size + 2, width // size + 2)).astype(np.float32)
        big = (grid.shape[1] * size, grid.shape[0] * size)
        fine = cv2.resize(grid, big, interpolation=cv2.INTER_CUBIC) if size > 1 else grid
        total += weight * fine[:height, :width]
        weight *= 0.55
    return total


def plain(height: int, width: int, colour: Colour) -> Image:
    """One colour everywhere."""
    return np.full((height, width, 3), colour, np.float32)


def render_wall(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Image:
    """Painted plaster: nearly plain, with blotches and a fine grain."""
    tone = 1 + 0.045 * fractal(rng, height, width, 64) + 0.02 * fractal(rng, height, width, 2, 1)
    return plain(height, width, colour) * tone[..., None]


def brick_wall(
    rng: np.random.Generator, height: int, width: int, colour: Colour, density: float
) -> Image:
    """Courses of bricks, each with its own tone, between paler joints."""
    course, length = max(round(0.078 * density), 2), max(round(0.23 * density), 4)
    rows = np.arange(height)[:, None]
    course_index = rows // course
    shifted = np.arange(width)[None, :] + (course_index % 2) * (length // 2)
    tones = rng.normal(1.0, 0.13, (height // course + 1, width // length + 3)).astype(np.float32)
    warmth = rng.normal(0.0, 0.05, tones.shape).astype(np.float32)
    brick = np.broadcast_to(course_index, (height, width)), shifted // length
    wall = plain(height, width, colour) * tones[brick][..., None]
    wall[..., 0] *= 1 + warmth[brick]
    wall[..., 2] *= 1 - warmth[brick]
    joint = (rows % course == 0) | (shifted % length == 0)
    mortar = np.array([150, 143, 132], np.float32)
    wall = np.where(joint[..., None], 0.55 * wall + 0.45 * mortar, wall)
    return np.asarray(wall * (1 + 0.06 * fractal(rng, height, width, 96))[..., None])


def tiles(rng: np.random.Generator, height: int, width: int, colour: Colour) -> Image:
    """A roof of slates: rows with a dark lower edge."""
    row, column = 10, 12
    ys, xs = np.arange(height)[:, None], np.arange(width)[None, :]
    shifted = xs + (ys // row % 2) * (column // 2)
    tones = rng.normal(1.0, 0.09, (height // row + 1, width // column + 2)).astype(np.float32)
    roof = plain(height, width, colour)
    roof *= tones[np.broadcast_to(ys // row, (height, width)), shifted // column][..., None]
    edge = (ys % row >= row - 2) | (shifted % column == 0)
    roof = np.where(edge[..., None], 0.72 * roof, roof)
    return np.asarray(roof * (1 + 0.08 * fractal(rng, height, width, 64))[..., None])


def rect(image: Image, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
    """Fill a rectangle (pixels, any order of magnitude outside the image is cut)."""
    rows = slice(max(round(y0), 0), max(round(y1), 0))
    image[rows, max(round(x0), 0) : max(round(x1), 0)] = colour


def shade(image: Image, x0: float, y0: float, x1: float, y1: float, factor: float) -> None:
    """Multiply a rectangle: a shadow below 1, a highlight above."""
    rows = slice(max(round(y0), 0), max(round(y1), 0))
    image[rows, max(round(x0), 0) : max(round(x1), 0)] *= factor


def opaque(rgb: Image) -> Image:
    """RGB to RGBA uint8 without holes."""
    alpha = np.full((*rgb.shape[:2], 1), 255, np.float32)
    return np.asarray(np.clip(np.concatenate([rgb, alpha], axis=2), 0, 255)).astype(np.uint8)


def cut_out(rgb: Image, mask: Image) -> Image:
    """RGB and a 0..255 mask to RGBA uint8."""
    both = np.concatenate([rgb, mask[..., None].astype(np.float32)], axis=2)
    return np.asarray(np.clip(both, 0, 255)).astype(np.uint8)
