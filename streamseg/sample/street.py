"""A whole street: the ground, both rows of houses and gardens, and the things in between.

Knows nothing about frames: a place is metres along a street that repeats after `PERIOD`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from streamseg.sample import furniture
from streamseg.sample.canvas import Canvas, Texture
from streamseg.sample.facades import DEPTH, Building, board_fence, building
from streamseg.sample.foliage import hedge, tree
from streamseg.sample.ground import FRONT_LEFT, FRONT_RIGHT, PERIOD, Ground
from streamseg.sample.things import Thing, passers_by, posts_and_trees, traffic

_SHADE = 0.56  # the sun stands behind the houses on the left
_SUNLIT = 1.08
_SUN_REACH = 0.72  # metres of shadow for a metre of house
_LOT = 13.0  # metres of garden between two houses
_LOTS_LEFT = (38.0, 104.0, 170.0)
_LOTS_RIGHT = (26.0, 86.0, 150.0, 205.0)
_HOUSES = 7  # different ones on each side
_OVERLAP = 0.12  # no sky between neighbours


@dataclass(frozen=True, slots=True)
class House:
    """A building at its place."""

    building: Building
    front: float
    """The front's x."""
    z: float
    shows_end: bool
    """Its nearer neighbour is lower, or a garden."""

    def draw(self, canvas: Canvas, depth: float) -> None:
        """Paint it, its near end at `depth`."""
        b, x = self.building, self.front
        back = math.copysign(1.0, x)
        span = depth, depth + b.width + _OVERLAP
        if b.roof is not None:
            top = x + back * DEPTH / 2, b.ridge
            canvas.along(b.roof, top, (x, b.eaves), span)
        canvas.along(b.front, (x, b.eaves), (x, 0.0), span)
        if self.shows_end:
            canvas.billboard(b.end, x + back * DEPTH / 2, 0.0, depth)


@dataclass(frozen=True, slots=True)
class Lot:
    """A garden behind a fence."""

    fence: Texture
    bushes: Texture
    trees: tuple[tuple[Texture, float, float], ...]
    """Texture, metres behind the fence, metres from the near end; furthest first."""
    front: float
    z: float

    def draw(self, canvas: Canvas, depth: float) -> None:
        """Paint it, its near end at `depth`."""
        back = math.copysign(1.0, self.front)
        for texture, behind, along in self.trees:
            canvas.billboard(texture, self.front + back * behind, 0.0, depth + along)
        x = self.front + back * 0.8
        width, height = self.fence.size_m[0], self.bushes.size_m[1]
        canvas.along(self.bushes, (x, height), (x, 0.0), (depth, depth + width))
        height = self.fence.size_m[1]
        canvas.along(self.fence, (self.front, height), (self.front, 0.0), (depth, depth + width))


@dataclass(frozen=True, slots=True)
class Street:
    """Everything there is."""

    ground: Ground
    shadow: Texture
    row: tuple[House | Lot, ...]
    """Both sides' houses and gardens; a nearer one hides what is behind it."""
    things: tuple[Thing, ...]


def _row(
    rng: np.random.Generator, front: float, lots: tuple[float, ...], light: float
) -> list[House | Lot]:
    """One side of the street, without gaps from 0 to PERIOD."""
    houses = [
        building(
            rng,
            float(rng.uniform(6.0, 10.0)),
            storeys=int(rng.choice([2, 2, 3, 3, 4])),
            light=light * float(rng.uniform(0.9, 1.1)),
            sunny=light > 1,
        )
        for _ in range(_HOUSES)
    ]
    trees = [tree(rng, height=8.5, spread=6.0, dense=True) for _ in range(2)]
    bushes = [hedge(rng, width=_LOT, height=height) for height in (2.5, 3.3)]
    row: list[House | Lot] = []
    z, index, waiting = 0.0, 0, list(lots)
    order = rng.permutation(_HOUSES)
    while z < PERIOD:
        house = houses[order[index % _HOUSES]]
        rest = PERIOD - z
        garden = bool(waiting) and z >= waiting[0]
        if garden or rest < house.width:
            length = min(_LOT, rest)
            stand = tuple(
                (trees[k % 2], float(rng.uniform(2.5, 6.0)), length * (2.5 - k) / 3)
                for k in range(3)
            )
            fence = board_fence(rng, length, max(light, 0.8))
            row.append(Lot(fence, bushes[len(row) % 2], stand, front, z))
            waiting = waiting[1:] if garden else waiting
            z += length
            continue
        before = row[-1] if row else None
        hidden = isinstance(before, House) and before.building.eaves >= house.ridge
        row.append(House(house, front, z, not hidden))
        z += house.width
        index += 1
    return row


@lru_cache(maxsize=2)
def build_street(seed: int) -> Street:
    """The street of a seed; kept, as its textures take a second or two to draw."""
    rng = np.random.default_rng(seed)
    left = _row(rng, FRONT_LEFT, _LOTS_LEFT, _SHADE)
    right = _row(rng, FRONT_RIGHT, _LOTS_RIGHT, _SUNLIT)
    shadows = [
        (h.z, h.z + h.building.width, FRONT_LEFT + _SUN_REACH * h.building.eaves)
        for h in left
        if isinstance(h, House)
    ]
    things = posts_and_trees(rng) + traffic(rng) + passers_by(rng)
    return Street(
        ground=Ground.build(rng, shadows),
        shadow=furniture.shadow(0.85, 0.1),
        row=(*left, *right),
        things=tuple(things),
    )
