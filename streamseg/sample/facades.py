"""Fronts, end walls and roofs of houses and shops, and the boards of fences.

Draws textures once; knows nothing about where they will stand or how they will be seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from streamseg.sample.canvas import BUILDING, FENCE, Texture
from streamseg.sample.surfaces import (
    Colour,
    Image,
    brick_wall,
    cut_out,
    fractal,
    opaque,
    rect,
    render_wall,
    shade,
    tiles,
)

DENSITY = 48.0
"""Texels per metre: about what a pixel sees at the picture's edge."""
STOREY = 3.0
DEPTH = 8.0
"""How far a building reaches back from the street, metres."""

_BRICKS: tuple[Colour, ...] = ((150, 122, 92), (132, 84, 66), (164, 142, 108), (118, 92, 76))
_PLASTERS: tuple[Colour, ...] = ((204, 200, 188), (190, 176, 148), (172, 176, 178), (212, 206, 198))
_FASCIAS: tuple[Colour, ...] = (
    (28, 58, 44),
    (32, 40, 84),
    (122, 30, 34),
    (40, 40, 42),
    (196, 184, 150),
)
_DOORS: tuple[Colour, ...] = ((26, 52, 40), (90, 24, 26), (30, 36, 66), (40, 38, 38))
_NAMES = ("BOOKS", "CAFE", "BAKERY", "FLOWERS", "RECORDS", "TAILOR", "PHARMACY", "BICYCLES")
_STONE: Colour = (176, 168, 152)
_WHITE: Colour = (214, 212, 206)
_ROOFS: tuple[Colour, ...] = ((92, 94, 100), (112, 78, 64), (82, 80, 80))


@dataclass(frozen=True, slots=True, kw_only=True)
class Building:
    """The three planes of a house that a street shows."""

    front: Texture
    end: Texture
    roof: Texture | None
    """None: a flat roof behind a parapet."""
    width: float
    eaves: float
    """Metres above the ground."""
    ridge: float


def _glass(rng: np.random.Generator, image: Image, box: tuple[float, float, float, float]) -> None:
    """Dark glass that mirrors a little sky, sometimes with a curtain behind it."""
    x0, y0, x1, y1 = (round(value) for value in box)
    height, width = y1 - y0, x1 - x0
    fall = np.linspace(1.25, 0.6, height, dtype=np.float32)[:, None, None]
    base = np.array([44, 50, 56], np.float32) * rng.uniform(0.6, 1.25)
    pane = np.repeat(fall * base, width, axis=1)
    if rng.random() < 0.35:
        pane[:, : round(width * 0.22)] = pane[:, -round(width * 0.22) :] = (132, 128, 118)
    if rng.random() < 0.3:
        pane += np.clip(fractal(rng, height, width, 24, 2), 0, 2)[..., None] * 45
    image[y0:y1, x0:x1] = pane


def _window(
    rng: np.random.Generator, image: Image, middle: float, sill: float, size: tuple[float, float]
) -> None:
    """A sash window; `middle` and `sill` in texels, `size` in metres."""
    half, tall = size[0] * DENSITY / 2, size[1] * DENSITY
    x0, x1, y0 = middle - half, middle + half, sill - tall
    rect(image, x0 - 5, y0 - 11, x1 + 5, y0 - 2, _STONE)
    rect(image, x0, y0, x1, sill, _WHITE)
    _glass(rng, image, (x0 + 3, y0 + 4, x1 - 3, sill - 3))
    rect(image, x0, (y0 + sill) / 2 - 1.5, x1, (y0 + sill) / 2 + 1.5, _WHITE)
    rect(image, middle - 1, y0, middle + 1, sill, _WHITE)
    shade(image, x0, y0 - 2, x1, y0 + 7, 0.45)  # the reveal's shadow
    shade(image, x0, y0, x0 + 4, sill, 0.6)
    rect(image, x0 - 5, sill, x1 + 5, sill + 5, _STONE)
    shade(image, x0 - 4, sill + 5, x1 + 4, sill + 11, 0.7)


def _shop(rng: np.random.Generator, image: Image, ground: int) -> None:
    """Plate glass under a painted fascia with the shop's name, and a recessed door."""
    width = image.shape[1]
    top = ground - round(STOREY * DENSITY)
    colour = _FASCIAS[rng.integers(len(_FASCIAS))]
    rect(image, 0, top, width, ground, tuple(0.8 * c for c in colour))  # type: ignore[arg-type]
    rect(image, 4, top + 6, width - 4, top + 36, colour)
    shade(image, 4, top + 36, width - 4, top + 50, 0.4)
    name = str(rng.choice(_NAMES))
    ink = (60, 50, 40) if sum(colour) > 400 else (226, 218, 190)
    letters = np.zeros((36, width), np.uint8)
    where = (round(width / 2 - 9.5 * len(name)), 29)
    cv2.putText(letters, name, where, cv2.FONT_HERSHEY_DUPLEX, 0.9, (255,), 2, cv2.LINE_AA)
    image[top : top + 36] += letters[..., None] / 255 * (np.array(ink) - image[top : top + 36])
    panes = max(round(width / DENSITY / 2.2), 2)
    edges = np.linspace(10, width - 10, panes + 1)
    door = int(rng.integers(panes))
    for index, (x0, x1) in enumerate(pairwise(edges.tolist())):
        bottom = ground - (4 if index == door else 26)
        _glass(rng, image, (x0 + 4, top + 42, x1 - 4, bottom))
        if index == door:
            rect(image, (x0 + x1) / 2 - 2, top + 60, (x0 + x1) / 2 + 2, bottom, colour)
            shade(image, x0 + 4, top + 42, x1 - 4, bottom, 0.6)
            continue
        for _ in range(7):  # goods, posters and lamps inside
            x, y = rng.uniform(x0 + 8, x1 - 22), rng.uniform(top + 50, bottom - 30)
            tone = rng.uniform(0.3, 0.85) * rng.uniform(90, 230, 3)
            size = rng.uniform(5, 20, 2)
            rect(image, x, y, x + size[0], y + size[1], (tone[0], tone[1], tone[2]))


def _house(rng: np.random.Generator, image: Image, ground: int, slots: int) -> None:
    """A door with steps and the ground floor's windows."""
    width = image.shape[1]
    door = int(rng.integers(slots))
    for slot in range(slots):
        middle = (slot + 0.5) * width / slots
        if slot != door:
            _window(rng, image, middle, ground - 0.85 * DENSITY, (1.1, 1.6))
            continue
        x0, x1, y0 = middle - 0.5 * DENSITY, middle + 0.5 * DENSITY, ground - 2.3 * DENSITY
        rect(image, x0 - 8, y0 - 10, x1 + 8, ground, _STONE)
        rect(image, x0, y0, x1, ground - 6, _DOORS[rng.integers(len(_DOORS))])
        _glass(rng, image, (x0 + 4, y0 + 4, x1 - 4, y0 + 20))
        shade(image, x0, y0, x0 + 6, ground - 6, 0.5)
        shade(image, x0, y0, x1, y0 + 8, 0.5)


def front(
    rng: np.random.Generator, wall: Image, *, storeys: int, shop: bool, light: float
) -> Image:
    """A whole front over a wall that is already masonry; `light` is the sun's share."""
    height, width = wall.shape[:2]
    image = wall.copy()
    slots = max(round(width / DENSITY / 2.4), 2)
    for storey in range(1, storeys):
        sill = height - (storey * STOREY + 0.8) * DENSITY
        for slot in range(slots):
            tall = 1.7 if storey == 1 else 1.4
            _window(rng, image, (slot + 0.5) * width / slots, sill, (1.0, tall))
    if shop:
        _shop(rng, image, height)
    else:
        _house(rng, image, height, slots)
    rect(image, 0, 0, width, 8, _STONE)
    shade(image, 0, 8, width, 16, 0.55)
    rect(image, width - 9, 8, width - 4, height, (46, 46, 48))  # downpipe
    shade(image, width - 14, 8, width - 9, height, 0.75)
    rise = np.linspace(1.06, 0.86, height, dtype=np.float32)[:, None, None]
    stains = 1 - 0.1 * np.clip(fractal(rng, height, width, 48), 0, 1.5)[..., None]
    return np.asarray(image * rise * stains * light)


def _end_wall(
    rng: np.random.Generator, colour: Colour, eaves: float, ridge: float, light: float
) -> Texture:
    """The wall that faces along the street: a gable with a chimney, or a plain rectangle."""
    chimney = 1.1 if ridge > eaves else 0.0
    width, height = round(DEPTH * DENSITY), round((ridge + chimney) * DENSITY)
    wall = brick_wall(rng, height, width, colour, DENSITY) * light * 0.8
    mask = np.zeros((height, width), np.uint8)
    eaves_row = height - round(eaves * DENSITY)
    if chimney:
        apex = (width // 2, round(chimney * DENSITY))
        outline = [(0, eaves_row), apex, (width - 1, eaves_row), (width - 1, height), (0, height)]
        cv2.fillPoly(mask, [np.array(outline)], (255,))
        half = round(0.45 * DENSITY)
        mask[8 : apex[1] + half, width // 2 - half : width // 2 + half] = 255
        for pot in (-12, 6):
            mask[0:10, width // 2 + pot : width // 2 + pot + 8] = 255
    else:
        mask[:] = 255
    return Texture(cut_out(wall, mask), DENSITY, BUILDING)


def building(
    rng: np.random.Generator, width: float, *, storeys: int, light: float, sunny: bool
) -> Building:
    """A house or shop of the given width (metres) and storeys.

    `sunny` houses stand on the right: their fronts run towards us from left to right, so the
    picture is turned for shop names to stay readable.
    """
    pitched = storeys < 4 and rng.random() < 0.75
    eaves = storeys * STOREY + (0.35 if pitched else 0.8)
    ridge = eaves + (3.9 if pitched else 0.0)
    size = round(eaves * DENSITY), round(width * DENSITY)
    brick = rng.random() < 0.68
    colour = _BRICKS[rng.integers(len(_BRICKS))]
    if brick:
        wall = brick_wall(rng, *size, colour, DENSITY)
    else:
        wall = render_wall(rng, *size, _PLASTERS[rng.integers(len(_PLASTERS))])
    shop = bool(rng.random() < 0.55)
    face = front(rng, wall, storeys=storeys, shop=shop, light=light)
    if sunny:
        face = face[:, ::-1]
    roof = None
    if pitched:
        slates = tiles(rng, 200, size[1], _ROOFS[rng.integers(len(_ROOFS))])
        roof = Texture(opaque(slates * (1.15 if sunny else 0.8)), DENSITY, BUILDING)
    return Building(
        front=Texture(opaque(face), DENSITY, BUILDING),
        end=_end_wall(rng, colour, eaves, ridge, light),
        roof=roof,
        width=width,
        eaves=eaves,
        ridge=ridge,
    )


def board_fence(rng: np.random.Generator, width: float, light: float) -> Texture:
    """Weathered upright boards with posts and a rail, 1.9 m high."""
    height, columns, board = round(1.9 * DENSITY), round(width * DENSITY), 7
    xs = np.arange(columns)
    tones = rng.normal(1.0, 0.12, columns // board + 1).astype(np.float32)[xs // board]
    image = np.ones((height, columns, 3), np.float32) * np.array([112, 94, 74], np.float32)
    image *= tones[None, :, None]
    image[:, xs % board == 0] *= 0.4
    image *= (1 + 0.1 * fractal(rng, height, columns, 16))[..., None]
    for rail in (0.18, 0.75):
        rect(image, 0, rail * height, columns, rail * height + 5, (92, 78, 62))
        shade(image, 0, rail * height + 5, columns, rail * height + 9, 0.6)
    image[:, xs % round(2 * DENSITY) < 6] = (84, 74, 62)
    image *= np.linspace(1.1, 0.75, height, dtype=np.float32)[:, None, None] * light
    return Texture(opaque(image), DENSITY, FENCE)
