"""The road and its pavements: asphalt, slabs, kerbs, markings, and the houses' shadows on them.

Knows nothing about what stands on the ground; a frame of it is exact for one camera.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import cv2
import numpy as np

from streamseg.sample.canvas import FAR, PAVEMENT, ROAD, Canvas, haze_at, hazed
from streamseg.sample.surfaces import Image, fractal

KERB_LEFT = -2.7
KERB_RIGHT = 7.1
FRONT_LEFT = -5.7
"""Where the houses' fronts are; between kerb and front lies the pavement."""
FRONT_RIGHT = 10.1
CENTRE_LINE = 1.7
PERIOD = 240.0
"""The street repeats after so many metres, more than can be seen at once."""

_EDGE = 18.0  # metres to either side that the ground's texture covers
_DENSITY = 12
_GRAIN_SIZE = 384
_GRAIN_METRES = 4.0
_GRAIN_TILES = 6, 5  # across and along: wrapping around one tile takes cv2 five times as long
_GRAIN_SEEN = 16.0  # metres
_MARKING = (178, 178, 172)
_YELLOW = (164, 142, 70)
_KERB = (122, 120, 114)
_GUTTER = (58, 58, 60)


def _columns(x0: float, x1: float) -> slice:
    return slice(round((x0 + _EDGE) * _DENSITY), round((x1 + _EDGE) * _DENSITY))


def _asphalt(rng: np.random.Generator, rows: int, columns: int) -> Image:
    """One period of ground seen from above, z growing with the row; RGB float."""
    image = np.empty((rows, columns, 3), np.float32)
    image[:] = (92, 92, 92)
    road = _columns(KERB_LEFT, KERB_RIGHT)
    image[:, road] = (84, 86, 89)
    xs = np.arange(columns) / _DENSITY - _EDGE
    for lane in (0.0, 3.4):
        for track in (-0.75, 0.75):  # tyres polish and darken two tracks in a lane
            image *= (1 - 0.10 * np.exp(-(((xs - lane - track) / 0.28) ** 2)))[None, :, None]
        image *= (1 + 0.06 * np.exp(-(((xs - lane) / 0.3) ** 2)))[None, :, None]
    for _ in range(26):  # trenches that were filled with another asphalt
        x, z = rng.uniform(KERB_LEFT, KERB_RIGHT - 1.5), rng.uniform(0, rows)
        wide, long = rng.uniform(0.5, 1.6), rng.uniform(0.8, 7) * _DENSITY
        patch = np.s_[round(z) : round(z + long), _columns(x, min(x + wide, KERB_RIGHT))]
        image[patch] *= rng.choice([0.8, 0.88, 1.1])
    for x0, x1 in ((-_EDGE, KERB_LEFT), (KERB_RIGHT, _EDGE)):
        side = _columns(x0, x1)
        image[:, side] = (116, 112, 107)
        slab = round(0.6 * _DENSITY)
        z_index = np.arange(rows) // slab
        x_index = np.arange(columns)[side] // slab
        tones = rng.normal(1.0, 0.06, (z_index.max() + 1, x_index.max() + 1))
        image[:, side] *= tones[z_index[:, None], x_index[None, :]][..., None]
        image[np.arange(rows) % slab == 0, side] *= 0.84
        joints = np.arange(columns)[side][np.arange(columns)[side] % slab == 0]
        image[:, joints] *= 0.84
    return image * (1 + 0.07 * fractal(rng, rows, columns, 40))[..., None]


@dataclass(slots=True)
class Ground:
    """The ground of a whole street, ready to be drawn from any place in it."""

    _levels: list[Image] = field(repr=False)
    """The period twice over, at a half, a quarter … of the rows."""
    _grain: Image = field(repr=False)
    """Grey 128 with a little noise, added to what is near; it repeats, tile by tile."""
    _hazed: dict[tuple[int, int], Image] = field(default_factory=dict, repr=False)

    @classmethod
    def build(cls, rng: np.random.Generator, shadows: list[tuple[float, float, float]]) -> Ground:
        """Lay the ground; `shadows` are (z0, z1, reach) of what keeps the sun off from the left.

        A reach is where the shadow's edge falls, as an x.
        """
        rows, columns = round(PERIOD * _DENSITY), round(2 * _EDGE * _DENSITY)
        image = _asphalt(rng, rows, columns)
        dark = np.zeros((rows, columns), np.float32)
        for z0, z1, reach in shadows:
            span = slice(max(round(z0 * _DENSITY), 0), round(z1 * _DENSITY))
            dark[span, _columns(-_EDGE, reach)] = 1
        soft = cv2.GaussianBlur(dark, (0, 0), 2.5)
        cool = np.array([0.46, 0.42, 0.37], np.float32)
        image *= 1.08 - soft[..., None] * cool
        twice = np.clip(np.concatenate([image, image]), 0, 255).astype(np.uint8)
        twice = cv2.cvtColor(twice, cv2.COLOR_RGB2RGBA)
        levels = [twice]
        for _ in range(6):
            size = (twice.shape[1], levels[-1].shape[0] // 2)
            levels.append(cv2.resize(levels[-1], size, interpolation=cv2.INTER_AREA))
        noise = rng.standard_normal((_GRAIN_SIZE, _GRAIN_SIZE)).astype(np.float32)
        coarse = np.tile(fractal(rng, _GRAIN_SIZE // 2, _GRAIN_SIZE // 2, 8, 3), (2, 2))
        grain = np.clip(128 + 15 * noise + 13 * coarse, 0, 255).astype(np.uint8)
        return cls(levels, np.tile(grain, _GRAIN_TILES[::-1]))

    def draw(self, canvas: Canvas, offset: float) -> None:
        """Cover everything under the horizon; `offset` is the camera's z within the period."""
        camera = canvas.camera
        top = max(math.floor(camera.v(0, FAR)), 0)
        rows = np.arange(top, camera.height)
        depth = camera.focal * camera.eye / np.maximum(rows + 0.5 - camera.horizon, 1e-3)
        self._surface(canvas, top, depth, offset)
        self._lines(canvas, offset)
        self._stones(canvas, top + int(np.searchsorted(-depth, -_GRAIN_SEEN)), offset)
        canvas.labels[top:] = PAVEMENT
        for side in (KERB_LEFT, KERB_RIGHT):
            edges = camera.width / 2 + camera.focal * (side - camera.x) / depth
            whole = np.clip(np.round(edges), 0, camera.width).astype(int)
            label = ROAD if side == KERB_LEFT else PAVEMENT
            for row, first in zip(rows.tolist(), whole.tolist(), strict=True):
                canvas.labels[row, first:] = label

    def _surface(self, canvas: Canvas, top: int, depth: Image, offset: float) -> None:
        """Asphalt and slabs; rows further away come from levels with fewer rows."""
        camera = canvas.camera
        columns = np.array([[2 * _EDGE, 0], [0, 0], [0, 2 * PERIOD]])
        matrix = camera.matrix((-_EDGE, 0.0, -offset), columns)
        texels = _DENSITY * depth * depth / (camera.focal * camera.eye)  # along z, for one pixel
        level = np.clip(np.log2(np.maximum(texels, 1)) + 0.3, 0, len(self._levels) - 1).astype(int)
        for number in np.unique(level):
            inside = np.flatnonzero(level == number)
            first, last = int(inside[0]), int(inside[-1]) + 1
            box = 0, top + first, camera.width, last - first
            key = int(number), haze_at(float(depth[(first + last) // 2]))
            if key not in self._hazed:
                self._hazed[key] = hazed(self._levels[key[0]], key[1])
            band = canvas.plane(self._hazed[key], matrix, box, cv2.BORDER_REPLICATE)
            canvas.rgba[top + first : top + last] = band

    def _stones(self, canvas: Canvas, top: int, offset: float) -> None:
        """The asphalt's grain, where we are close enough to see it."""
        camera = canvas.camera
        if top >= camera.height:
            return
        across, along = (_GRAIN_METRES * tiles for tiles in _GRAIN_TILES)
        columns = np.array([[across, 0], [0, 0], [0, along]])
        matrix = camera.matrix((-across / 2, 0.0, -(offset % _GRAIN_METRES)), columns)
        box = 0, top, camera.width, camera.height - top
        grain = canvas.plane(self._grain, matrix, box, cv2.BORDER_REPLICATE)
        view = canvas.rgba[top:]
        four = cv2.merge([grain, grain, grain, np.full_like(grain, 128)])
        cv2.addWeighted(view, 1.0, four, 0.5, -64, dst=view)

    def _lines(self, canvas: Canvas, offset: float) -> None:
        """Kerbs and markings, sharp at any distance."""
        nearest = 1.5
        for x0, x1, colour in (
            (KERB_LEFT - 0.16, KERB_LEFT, _KERB),
            (KERB_LEFT, KERB_LEFT + 0.1, _GUTTER),
            (KERB_RIGHT, KERB_RIGHT + 0.16, _KERB),
            (KERB_RIGHT - 0.1, KERB_RIGHT, _GUTTER),
            (KERB_LEFT + 0.3, KERB_LEFT + 0.38, _YELLOW),
            (KERB_LEFT + 0.5, KERB_LEFT + 0.58, _YELLOW),
        ):
            _stripe(canvas, (x0, x1), (nearest, FAR), colour)
        for index in range(int(PERIOD / 6) * 2):
            start = index * 6.0 - offset
            if -4 < start < 70:
                _stripe(
                    canvas, (CENTRE_LINE - 0.06, CENTRE_LINE + 0.06), (start, start + 4), _MARKING
                )
        for index in range(int(PERIOD / 6) * 2):  # the parking bays' edges
            start = index * 6.0 + 1.5 - offset
            if -1 < start < 50:
                _stripe(canvas, (KERB_RIGHT - 2.1, KERB_RIGHT - 2.02), (start, start + 1), _MARKING)


def _stripe(
    canvas: Canvas, x: tuple[float, float], z: tuple[float, float], colour: tuple[int, int, int]
) -> None:
    """A painted strip along the road; its labels stay those of the ground below."""
    near, far = max(z[0], 1.5), min(z[1], FAR)
    if far <= near:
        return
    camera = canvas.camera
    corners = [(x[0], near), (x[1], near), (x[1], far), (x[0], far)]
    points = np.array([(camera.u(a, b), camera.v(0, b)) for a, b in corners])
    if points[1, 0] - points[0, 0] < 0.7:
        return
    fixed = np.round((points - 0.5) * 16).astype(np.int32)
    cv2.fillConvexPoly(canvas.rgba, fixed, (*colour, 255), cv2.LINE_AA, 4)
