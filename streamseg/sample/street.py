"""Which houses, trees, signs, vehicles and people a street has, and where.

Knows nothing about frames: a place is metres along a street that repeats after `PERIOD`, and what
moves has a speed.
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
from streamseg.sample.ground import (
    FRONT_LEFT,
    FRONT_RIGHT,
    KERB_LEFT,
    KERB_RIGHT,
    PERIOD,
    Ground,
)
from streamseg.sample.people import PHASES, cyclist, walker
from streamseg.sample.vehicles import HATCHBACK, PAINTS, SALOON, VAN, Vehicle, vehicle

_SHADE = 0.56  # the sun stands behind the houses on the left
_SUNLIT = 1.08
_SUN_REACH = 0.72  # metres of shadow for a metre of house
_LOT = 13.0  # metres of garden between two houses
_LOTS_LEFT = (38.0, 104.0, 170.0)
_LOTS_RIGHT = (26.0, 86.0, 150.0, 205.0)
_HOUSES = 7  # different ones on each side
_WALKERS = 4
_OVERLAP = 0.12  # no sky between neighbours
_SMALL_SEEN = 105.0  # metres; further away posts and people are a pixel or two
_SHADOWS_SEEN = 60.0  # metres; further away a shadow is thinner than a pixel
_ONCOMING = 3.45
_PARKED = 6.0


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """Something that stands or moves in front of the houses."""

    look: Vehicle | tuple[Texture, ...]
    """Several textures are the phases of a movement."""
    x: float
    z: float
    y: float = 0.0
    speed: float = 0.0
    """Metres a second along the street."""
    phases_per_second: float = 0.0
    nearer: float = 0.0
    """Metres towards us from z: a plate in front of its post."""
    sway: float = 0.0
    """How far a vehicle falls back and catches up, metres."""

    def place(self, seconds: float) -> float:
        """z at a time."""
        return self.z - self.nearer + self.speed * seconds + self.sway * math.sin(0.7 * seconds)

    def shadow(self, canvas: Canvas, shadow: Texture, depth: float) -> None:
        """The dark ground below it."""
        if depth > _SHADOWS_SEEN:
            return
        if isinstance(self.look, Vehicle):
            half, long = self.look.half + 0.28, self.look.length / 2 + 0.35
            canvas.flat(shadow, (self.x - half, self.x + half + 0.5), (depth - long, depth + long))
        elif self.phases_per_second:
            canvas.flat(shadow, (self.x - 0.3, self.x + 0.6), (depth - 0.25, depth + 0.25))

    def draw(self, canvas: Canvas, depth: float, seconds: float) -> None:
        """Paint it at `depth`."""
        if isinstance(self.look, Vehicle):
            self.look.draw(canvas, self.x, depth)
            return
        if depth > _SMALL_SEEN:
            return
        phase = int(seconds * self.phases_per_second + self.z) % len(self.look)
        canvas.billboard(self.look[phase], self.x, self.y, depth)


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


def _posts_and_trees(rng: np.random.Generator) -> list[Thing]:
    left, right = KERB_LEFT - 0.45, KERB_RIGHT + 0.5
    things: list[Thing] = []
    lamp = (furniture.lamp_post(),)
    for x, inward, first in ((left, 1, 17.0), (right, -1, 33.0)):
        arm = (furniture.lamp_arm(right=inward > 0),)
        middle = x + inward * furniture.LAMP_ARM / 2
        top = furniture.LAMP_HEIGHT - 0.2
        for index in range(7):
            z = first + index * 34
            things.append(Thing(look=lamp, x=x, z=z))
            things.append(Thing(look=arm, x=middle, z=z, y=top, nearer=0.01))
    post = (furniture.sign_post(2.9),)
    kinds: list[furniture.SignKind] = ["limit", "warning", "parking", "left"]
    plates = {kind: (furniture.sign_plate(kind),) for kind in kinds}
    for index in range(10):
        kind = kinds[index % 4]
        z = 13.5 + index * 23 + float(rng.uniform(-1, 1))
        for x in (left, right) if kind == "parking" else (left,):
            things.append(Thing(look=post, x=x, z=z))
            things.append(Thing(look=plates[kind], x=x, z=z, y=2.1, nearer=0.06))
    bollard = (furniture.bollard(),)
    for index in range(6):
        things.append(Thing(look=bollard, x=left, z=39.0 + 2.2 * index))
        things.append(Thing(look=bollard, x=right, z=70.0 + 2.2 * index))
    trees = [
        (tree(rng, height=float(rng.uniform(6.5, 8)), spread=5.0, dense=bool(k % 2)),)
        for k in range(3)
    ]
    for index in range(9):
        things.append(Thing(look=trees[index % 3], x=right + 0.3, z=24.0 + index * 26))
        if index % 2:
            things.append(Thing(look=trees[(index + 1) % 3], x=left - 0.2, z=9.0 + index * 26))
    return things


def _vehicles(rng: np.random.Generator) -> list[Thing]:
    def make(index: int, *, away: bool) -> Vehicle:
        shape = (HATCHBACK, SALOON, HATCHBACK, VAN, SALOON)[index % 5]
        paint = PAINTS[rng.integers(len(PAINTS))] if shape is not VAN else PAINTS[4]
        return vehicle(shape, paint, away=away)

    stand = [make(index, away=bool(index % 2)) for index in range(6)]
    come = [make(index, away=False) for index in (1, 0, 3, 2)]
    things = [
        Thing(look=vehicle(HATCHBACK, PAINTS[1], away=True), x=0.1, z=17.0, speed=8.0, sway=1.5),
        Thing(look=make(3, away=True), x=0.0, z=46.0, speed=8.0, sway=2.0),
    ]
    z, index = 14.0, 0
    while z < PERIOD:
        x = _PARKED + float(rng.uniform(-0.1, 0.1))
        things.append(Thing(look=stand[int(rng.integers(6))], x=x, z=z))
        z += float(rng.choice([6.2, 6.4, 12.5, 19.0]))
        index += 1
    for look, place in zip(come, (40.0, 84.0, 118.0, 175.0), strict=True):
        things.append(Thing(look=look, x=_ONCOMING, z=place, speed=-9.0))
    return things


def _people(rng: np.random.Generator) -> list[Thing]:
    away = [walker(rng, facing=False) for _ in range(_WALKERS)]
    towards = [walker(rng, facing=True) for _ in range(_WALKERS)]
    things: list[Thing] = []
    z = 12.0
    while z < PERIOD:
        on_left = bool(rng.random() < 0.6)
        across = (FRONT_LEFT + 0.5, KERB_LEFT - 0.9)
        if not on_left:
            across = (KERB_RIGHT + 1.0, FRONT_RIGHT - 0.6)
        facing = bool(rng.random() < 0.5)
        looks = towards if facing else away
        speed = float(rng.uniform(1.1, 1.6)) * (-1 if facing else 1)
        things.append(
            Thing(
                look=looks[int(rng.integers(_WALKERS))],
                x=float(rng.uniform(*across)),
                z=z,
                speed=speed,
                phases_per_second=PHASES * 0.95,
            )
        )
        z += float(rng.uniform(3.0, 13.0))
    riders = [cyclist(rng) for _ in range(2)]
    for index, place in enumerate((23.0, 71.0, 150.0)):
        things.append(
            Thing(
                look=riders[index % 2],
                x=KERB_LEFT + 0.85,
                z=place,
                speed=5.4,
                phases_per_second=PHASES * 1.2,
            )
        )
    return things


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
    things = _posts_and_trees(rng) + _vehicles(rng) + _people(rng)
    return Street(
        ground=Ground.build(rng, shadows),
        shadow=furniture.shadow(0.85, 0.1),
        row=(*left, *right),
        things=tuple(things),
    )
