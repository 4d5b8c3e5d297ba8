"""What stands and moves in front of the houses: posts, trees, vehicles and people, and where.

Knows nothing about frames: a place is metres along a street that repeats after `PERIOD`, and what
moves has a speed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from streamseg.sample import furniture
from streamseg.sample.canvas import Canvas, Texture
from streamseg.sample.foliage import tree
from streamseg.sample.ground import FRONT_LEFT, FRONT_RIGHT, KERB_LEFT, KERB_RIGHT, PERIOD
from streamseg.sample.people import PHASES, cyclist, walker
from streamseg.sample.vehicles import HATCHBACK, PAINTS, SALOON, VAN, Vehicle, vehicle

_WALKERS = 4
_SMALL_SEEN = 105.0  # metres; further away posts and people are a pixel or two
_SHADOWS_SEEN = 60.0  # metres; further away a shadow is thinner than a pixel
_ONCOMING = 3.45
_PARKED = 6.0


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


def posts_and_trees(rng: np.random.Generator) -> list[Thing]:
    """Lamps, signs, bollards and trees along both kerbs."""
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


def traffic(rng: np.random.Generator) -> list[Thing]:
    """Cars and vans: ahead of us, coming towards us, and parked on the right."""

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


def passers_by(rng: np.random.Generator) -> list[Thing]:
    """Pedestrians on both pavements and bicyclists along the left kerb."""
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
