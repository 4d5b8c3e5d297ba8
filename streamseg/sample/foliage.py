"""Trees, hedges and the skyline, made of thousands of leaf blobs, and the sky behind them.

Draws textures once; knows nothing about where they will stand.
"""

from __future__ import annotations

import math

import cv2
import numpy as np

from streamseg.sample.canvas import BUILDING, HAZE_RGB, TREE, Texture, premultiplied
from streamseg.sample.surfaces import Colour, Image, cut_out, fractal, rect

DENSITY = 56.0
_LEAVES: tuple[Colour, ...] = ((70, 82, 40), (58, 72, 44), (88, 88, 46), (50, 62, 38))
_BARK: Colour = (74, 64, 54)


def _branch(
    rng: np.random.Generator,
    image: Image,
    start: tuple[float, float],
    heading: float,
    length: float,
    thickness: float,
) -> list[tuple[float, float]]:
    """Draw a branch and its children; return where the thin ones end."""
    end = (start[0] + length * math.sin(heading), start[1] - length * math.cos(heading))
    tone = rng.uniform(0.75, 1.15)
    ink = (*(tone * c for c in _BARK), 255.0)
    points = [(round(x), round(y)) for x, y in (start, end)]
    cv2.line(image, points[0], points[1], ink, max(round(thickness), 1), cv2.LINE_AA)
    if thickness < 2.2:
        return [end]
    tips: list[tuple[float, float]] = [end]
    for _ in range(3):
        turn = heading + rng.uniform(-0.75, 0.75)
        reach = length * rng.uniform(0.6, 0.85)
        tips += _branch(rng, image, end, turn, reach, thickness * 0.62)
    return tips


def _leaves(
    rng: np.random.Generator, image: Image, clusters: Image, colour: Colour, per_cluster: int
) -> None:
    """Dab leaves around each cluster (x, y, radius): dark ones first, sunlit ones last."""
    count = len(clusters) * per_cluster
    which = rng.integers(len(clusters), size=count)
    angle, reach = rng.uniform(0, 2 * math.pi, count), np.sqrt(rng.random(count))
    radius = clusters[which, 2]
    xs = clusters[which, 0] + radius * reach * np.cos(angle)
    ys = clusters[which, 1] + radius * reach * np.sin(angle)
    # light falls from the upper left on every cluster, and on the crown as a whole
    lit = -0.3 * reach * np.cos(angle) - 0.55 * reach * np.sin(angle)
    crown = (clusters[:, 1].mean() - clusters[which, 1]) / (np.ptp(clusters[:, 1]) + 1)
    brightness = np.clip(0.75 + 0.55 * lit + 0.35 * crown + rng.normal(0, 0.2, count), 0.18, 2.0)
    sizes = rng.integers(1, 4, count)
    order = np.argsort(brightness + rng.normal(0, 0.25, count))
    for index in order:
        tone = brightness[index]
        ink = (tone * colour[0], tone * colour[1], tone * colour[2], 255.0)
        where = (int(xs[index]), int(ys[index]))
        cv2.circle(image, where, int(sizes[index]), ink, -1, cv2.LINE_AA)


def tree(rng: np.random.Generator, *, height: float, spread: float, dense: bool) -> Texture:
    """A street tree: trunk, branches, and a crown with holes where the sky shows through."""
    rows, columns = round(height * DENSITY), round(spread * DENSITY)
    image = np.zeros((rows, columns, 4), np.uint8)
    image[..., :3] = _BARK
    foot = (columns / 2, rows - 1.0)
    thickness = 0.3 * DENSITY
    tips = _branch(rng, image, foot, rng.uniform(-0.05, 0.05), 0.27 * rows, thickness)
    colour = _LEAVES[rng.integers(len(_LEAVES))]
    tips = [t for t in tips if t[1] < 0.66 * rows]
    crown_count = 70 if dense else 45
    angle, reach = rng.uniform(0, 2 * math.pi, crown_count), np.sqrt(rng.random(crown_count))
    crown = np.column_stack(
        [
            columns * (0.5 + 0.36 * reach * np.cos(angle)),
            rows * (0.36 + 0.27 * reach * np.sin(angle)),
            rng.uniform(0.06, 0.12, crown_count) * rows,
        ]
    )
    ends = np.array([(x, y, rng.uniform(0.04, 0.07) * rows) for x, y in tips[::2]])
    keep = np.abs(ends[:, 0] - columns / 2) < 0.42 * columns
    clusters = np.concatenate([crown, ends[keep & (ends[:, 1] > 0.08 * rows)]])
    _leaves(rng, image, clusters, colour, 110 if dense else 65)
    return Texture(image, DENSITY, TREE)


def hedge(rng: np.random.Generator, *, width: float, height: float) -> Texture:
    """Bushes behind a fence, or the trees of a garden seen from the street."""
    rows, columns = round(height * 40), round(width * 40)
    image = np.zeros((rows, columns, 4), np.uint8)
    image[..., :3] = (40, 46, 30)
    tops = rows * (0.24 + 0.09 * fractal(rng, 1, columns, 60, 3)[0])
    image[np.arange(rows)[:, None] > tops[None, :] + 14, 3] = 255
    count = round(width * height * 5)
    xs = rng.uniform(0, columns, count)
    ys = rng.uniform(0, 1, count) * rows
    ys = np.maximum(ys, tops[xs.astype(int)] + 10)
    clusters = np.column_stack([xs, ys, rng.uniform(12, 26, count)])
    _leaves(rng, image, clusters, _LEAVES[rng.integers(len(_LEAVES))], 30)
    return Texture(image, 40, TREE)


def skyline(rng: np.random.Generator, width: int, height: int) -> tuple[Image, Image]:
    """What stands at the end of the street: RGBA in pixels of the screen, and its labels."""
    image = np.zeros((height, width, 4), np.uint8)
    labels = np.full((height, width), TREE, np.uint8)
    tops = height * (0.55 + 0.1 * fractal(rng, 1, width, max(width // 12, 2), 4)[0])
    body = np.arange(height)[:, None] > tops[None, :]
    grain = fractal(rng, height, width, max(height // 5, 2), 4)
    tone = np.clip(1 + 0.28 * grain, 0.4, 1.7)[..., None]
    image[..., :3] = np.clip(tone * np.array([78, 86, 62], np.float32), 0, 255).astype(np.uint8)
    image[..., 3] = np.where(body, 255, 0)
    for _ in range(9):
        wide, tall = rng.uniform(0.02, 0.06) * width, rng.uniform(0.3, 0.62) * height
        x = rng.uniform(0, width)
        house = np.s_[round(height - tall) :, round(x) : round(x + wide)]
        colour = rng.uniform(0.7, 1.1) * np.array([134, 118, 100])
        image[house] = (*np.clip(colour, 0, 255).astype(int), 255)
        labels[house] = BUILDING
        patch = image[house]
        rect(patch, 0, 0, wide, 0.16 * tall, (96, 90, 88, 255))  # type: ignore[arg-type]
    rgb = image[..., :3].astype(np.float32)
    image[..., :3] = (rgb + 0.3 * (HAZE_RGB - rgb)).astype(np.uint8)
    return premultiplied(image), labels


def sky(rng: np.random.Generator, width: int, height: int) -> Image:
    """A bright winter sky, `height` pixels from the top to the horizon: RGB uint8."""
    fall = np.linspace(0, 1, height, dtype=np.float32)[:, None, None] ** 0.8
    top, low = np.array([158, 196, 234], np.float32), np.array([236, 241, 243], np.float32)
    image = np.broadcast_to(top + fall * (low - top), (height, width, 3)).copy()
    # clouds: noise squeezed vertically, as clouds near the horizon are
    cell = max(width // 5, 4)
    noise = fractal(rng, height * 2 + 2, width, cell, 6)
    flat = cv2.resize(noise, (width, height), interpolation=cv2.INTER_AREA)
    cover = np.clip(flat * 0.75 + 0.1, 0, 1)[..., None]
    image += cover * (np.array([250, 250, 250], np.float32) - image)
    image -= 10 * np.clip(flat - 0.8, 0, 1)[..., None]
    return cut_out(image, np.full((height, width), 255, np.float32))
