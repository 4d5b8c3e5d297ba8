"""Cars and vans: closed shells lofted through cross-sections, shaded once, drawn every frame.

Knows nothing about where they drive. A vehicle's own frame: metres, x right, y up from the road,
z forward from its middle.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from streamseg.sample.canvas import CAR, FAR, NEAR, Canvas, haze_at, hazed
from streamseg.sample.surfaces import Colour, Image

_SUN = np.array([-0.45, 0.75, -0.48]) / math.sqrt(0.45**2 + 0.75**2 + 0.48**2)
_GLASS: Colour = (24, 28, 32)
_TRIM: Colour = (32, 33, 35)
_TYRE: Colour = (20, 20, 21)
_HUB: Colour = (132, 134, 136)
_PLATE_REAR: Colour = (206, 180, 44)
_PLATE_FRONT: Colour = (212, 212, 208)
_FLOOR = 0.24
_SHIFT = 4  # cv2's fixed-point bits: corners keep a sixteenth of a pixel
_SMALL = 60  # a vehicle narrower than this many pixels is drawn at 4x, others at 2x

PAINTS: tuple[Colour, ...] = (
    (36, 44, 74), (122, 24, 24), (142, 146, 150), (34, 36, 38), (196, 198, 198), (52, 74, 62),
    (150, 128, 92), (84, 92, 104),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Section:
    """A cross-section at `z`: half-widths and heights of its belt line and of its roof."""

    z: float
    half: float
    belt: float
    roof: float
    roof_half: float
    glass: str = ""
    """What lies between here and the next section: "side" windows, a "screen", or paint."""


HATCHBACK = (
    Section(-1.98, 0.70, 0.62, 0.64, 0.62),
    Section(-1.94, 0.78, 0.90, 0.93, 0.70),
    Section(-1.86, 0.81, 0.95, 1.00, 0.68, "screen"),
    Section(-1.52, 0.83, 0.95, 1.38, 0.58),
    Section(-1.40, 0.83, 0.94, 1.42, 0.58, "side"),
    Section(-0.55, 0.84, 0.93, 1.46, 0.60),
    Section(-0.47, 0.84, 0.93, 1.46, 0.60, "side"),
    Section(0.30, 0.84, 0.91, 1.43, 0.58, "both"),
    Section(0.98, 0.83, 0.88, 0.98, 0.70),
    Section(1.10, 0.83, 0.87, 0.93, 0.68),
    Section(1.70, 0.79, 0.76, 0.80, 0.62),
    Section(1.92, 0.72, 0.62, 0.66, 0.56),
    Section(1.98, 0.62, 0.50, 0.54, 0.50),
)
SALOON = (
    Section(-2.25, 0.74, 0.66, 0.68, 0.66),
    Section(-2.20, 0.80, 0.92, 0.97, 0.72),
    Section(-1.62, 0.84, 0.94, 1.02, 0.72, "screen"),
    Section(-1.05, 0.85, 0.94, 1.38, 0.58, "side"),
    Section(-0.40, 0.86, 0.93, 1.43, 0.60),
    Section(-0.32, 0.86, 0.93, 1.43, 0.60, "side"),
    Section(0.40, 0.86, 0.91, 1.40, 0.58, "both"),
    Section(1.05, 0.85, 0.90, 0.98, 0.72),
    Section(1.20, 0.85, 0.88, 0.95, 0.70),
    Section(1.95, 0.81, 0.76, 0.82, 0.64),
    Section(2.20, 0.72, 0.62, 0.66, 0.56),
    Section(2.25, 0.62, 0.50, 0.54, 0.50),
)
VAN = (
    Section(-2.45, 0.88, 1.10, 2.05, 0.78),
    Section(-2.40, 0.93, 1.12, 2.12, 0.82),
    Section(0.55, 0.94, 1.12, 2.14, 0.82),
    Section(0.62, 0.94, 1.12, 2.14, 0.82, "side"),
    Section(1.25, 0.94, 1.10, 2.00, 0.78, "both"),
    Section(1.85, 0.92, 1.06, 1.16, 0.80),
    Section(2.25, 0.88, 0.88, 0.96, 0.74),
    Section(2.42, 0.80, 0.66, 0.72, 0.64),
    Section(2.46, 0.70, 0.50, 0.56, 0.56),
)
_WHEEL_INSET = 0.74  # metres from either end to the axle


@dataclass(slots=True)
class _Shell:
    """Polygons as they are collected: corners, outward normals, colours, painting order."""

    corners: list[Image]
    normals: list[Image]
    colours: list[Image]
    ranks: list[int]

    def add(self, corners: Image, colour: Image | Colour, rank: int, normal: Image) -> None:
        self.corners.append(corners)
        self.normals.append(normal)
        self.colours.append(np.asarray(colour, np.float64))
        self.ranks.append(rank)


def _normal(quad: Image, outward: Image) -> Image:
    """Unit normal of a quad, on the side of `outward`."""
    cross = np.cross(quad[2] - quad[0], quad[3] - quad[1])
    unit = cross / (np.linalg.norm(cross) + 1e-9)
    return np.asarray(unit if unit @ outward >= 0 else -unit)


def _lit(colour: Colour, normal: Image, *, glass: bool = False) -> Image:
    """Sun, sky and, for paint and glass, the bright sky mirrored by what faces up."""
    up = max(float(normal[1]), 0.0)
    diffuse = max(float(normal @ _SUN), 0.0)
    base = np.array(colour) * (0.42 + 0.22 * normal[1] + 0.55 * diffuse)
    mirror = (105 if glass else 62) * up**1.4
    return np.asarray(base + mirror * np.array([0.95, 1.0, 1.06]))


def _ring(section: Section) -> Image:
    """Points of one cross-section from the left sill over the roof to the right sill."""
    s = section
    right = [
        (0.0, s.roof + 0.015),
        (0.7 * s.roof_half, s.roof),
        (s.roof_half, s.roof - 0.05),
        (0.97 * s.half, s.belt),
        (s.half, min(0.68, s.belt - 0.04)),
        (0.98 * s.half, 0.44),
        (0.9 * s.half, _FLOOR),
    ]
    points = [(-x, y) for x, y in reversed(right[1:])] + right
    return np.array([(x, y, s.z) for x, y in points])


_BANDS = ("trim", "door", "door", "window", "top", "top", "top", "top", "window", "door", "door",
          "trim")  # fmt: skip


def _body(shell: _Shell, sections: tuple[Section, ...], paint: Colour) -> None:
    rings = [_ring(s) for s in sections]
    for section, one, two in zip(sections, rings[:-1], rings[1:], strict=False):
        for band, kind in enumerate(_BANDS):
            quad = np.array([one[band], one[band + 1], two[band + 1], two[band]])
            middle = quad.mean(axis=0)
            normal = _normal(quad, middle - np.array([0.0, 0.65, 0.6 * middle[2]]))
            side = kind == "window" and section.glass in ("side", "both")
            screen = kind == "top" and section.glass in ("screen", "both")
            if side or screen:
                colour = _lit(_GLASS, normal, glass=True)
            else:
                colour = _lit(_TRIM if kind == "trim" else paint, normal)
            shell.add(quad, colour, 1, normal)
    for ring, way in ((rings[0], -1.0), (rings[-1], 1.0)):
        normal = np.array([0.0, 0.0, way])
        for low in range(len(ring) // 2):
            quad = np.array([ring[low], ring[low + 1], ring[-2 - low], ring[-1 - low]])
            shade = 1.12 - 0.06 * low if low else 0.75
            shell.add(quad, shade * _lit(paint, normal), 1, normal)


def _panel(
    shell: _Shell, x: tuple[float, float], y: tuple[float, float], z: float, colour: Colour
) -> None:
    """A rectangle on the vehicle's front or back: a lamp, a plate, a window."""
    quad = np.array([(x[0], y[0], z), (x[1], y[0], z), (x[1], y[1], z), (x[0], y[1], z)])
    shell.add(quad, colour, 2, np.array([0.0, 0.0, math.copysign(1.0, z)]))


def _ends(shell: _Shell, sections: tuple[Section, ...]) -> None:
    """Lamps, plates, bumpers and a van's rear windows."""
    back, front = sections[0], sections[-1]
    van = back.roof > 1.5
    rear, nose = back.z - 0.01, front.z + 0.01
    low = 0.80 if van else 0.66
    _panel(shell, (-0.96 * back.half, 0.96 * back.half), (0.26, 0.46), rear, _TRIM)
    _panel(shell, (-0.27, 0.27), (0.49, 0.60), rear, _PLATE_REAR)
    for side in (-1, 1):
        lamp = sorted((side * back.half * 0.98, side * (back.half - 0.17)))
        _panel(shell, (lamp[0], lamp[1]), (low - 0.10, low + 0.26), rear - 0.05, (140, 18, 16))
        bright = sorted((side * front.half * 1.12, side * (front.half - 0.2)))
        _panel(shell, (bright[0], bright[1]), (0.50, 0.66), nose - 0.02, (206, 208, 206))
        if van:
            pane = sorted((side * 0.08, side * 0.68))
            _panel(shell, (pane[0], pane[1]), (1.25, 1.85), rear, (40, 44, 48))
    if van:
        _panel(shell, (-0.02, 0.02), (0.5, 2.0), rear, _TRIM)
    _panel(shell, (-0.42, 0.42), (0.44, 0.60), nose, (24, 24, 26))
    _panel(shell, (-0.7 * front.half, 0.7 * front.half), (0.26, 0.36), nose, _TRIM)
    _panel(shell, (-0.26, 0.26), (0.36, 0.46), nose + 0.01, _PLATE_FRONT)


def _wheels(shell: _Shell, sections: tuple[Section, ...]) -> None:
    """Tyres and hubs seen from the side, and the tyres' treads under the bumpers."""
    angles = np.linspace(0, 2 * math.pi, 16, endpoint=False)
    half = max(s.half for s in sections)
    for axle in (sections[0].z + _WHEEL_INSET, sections[-1].z - _WHEEL_INSET):
        for side in (-1, 1):
            normal = np.array([float(side), 0.0, 0.0])
            for radius, colour, out in (
                (0.37, (14, 14, 15), 0.0),
                (0.31, _TYRE, 0.005),
                (0.20, _HUB, 0.01),
                (0.07, _TRIM, 0.012),
            ):
                x = np.full(16, side * (0.985 * half + out))
                disc = (x, 0.31 + radius * np.sin(angles), axle + radius * np.cos(angles))
                shell.add(np.column_stack(disc), colour, 2, normal)
            inner, outer = side * (half - 0.24), side * (half - 0.04)
            for way in (-1.0, 1.0):
                z = axle + way * 0.25
                tread = [(inner, 0.0, z), (outer, 0.0, z), (outer, 0.4, z), (inner, 0.4, z)]
                shell.add(np.array(tread), _TYRE, 0, np.array([0.0, 0.0, way]))


@dataclass(frozen=True, slots=True)
class Vehicle:
    """A finished vehicle that heads one way along the street."""

    corners: Image
    """Every polygon's corners, one after the other ``[V, 3]``."""
    starts: tuple[int, ...]
    """Where each polygon's corners start, and where the last one's end."""
    middles: Image
    normals: Image
    colours: Image
    ranks: Image
    half: float
    length: float
    tall: float

    def draw(self, canvas: Canvas, x: float, depth: float) -> None:
        """Paint it with its middle at (x, depth)."""
        camera = canvas.camera
        if depth - self.length / 2 < NEAR or depth > FAR:
            return
        at = self.corners + np.array([x - camera.x, -camera.eye, depth])
        u = camera.width / 2 + camera.focal * at[:, 0] / at[:, 2]
        v = camera.horizon - camera.focal * at[:, 1] / at[:, 2]
        box = canvas.clipped(u.min(), v.min(), u.max(), v.max())
        if box is None:
            return
        left, top, width, height = box
        scale = 4 if u.max() - u.min() < _SMALL else 2
        sheet = np.zeros((height * scale, width * scale, 4), np.uint8)
        points = np.column_stack([(u - left) * scale - 0.5, (v - top) * scale - 0.5])
        fixed = np.round(points * (1 << _SHIFT)).astype(np.int32)
        eye = np.array([camera.x - x, camera.eye, -depth])
        towards = eye - self.middles
        facing = np.einsum("ij,ij->i", towards, self.normals) > 0
        distance = np.einsum("ij,ij->i", towards, towards)
        order = np.lexsort((-distance, self.ranks))
        colours = hazed(self.colours, haze_at(depth)).tolist()
        for index in order[facing[order]].tolist():
            polygon = fixed[self.starts[index] : self.starts[index + 1]]
            cv2.fillConvexPoly(sheet, polygon, colours[index], cv2.LINE_8, _SHIFT)
        layer = cv2.resize(sheet, (width, height), interpolation=cv2.INTER_AREA)
        canvas.blend(layer, left, top, CAR)


def vehicle(sections: tuple[Section, ...], paint: Colour, *, away: bool) -> Vehicle:
    """Build a vehicle; `away` heads along +z, so that we see its back."""
    shell = _Shell([], [], [], [])
    _body(shell, sections, paint)
    _ends(shell, sections)
    _wheels(shell, sections)
    turn = np.array([1.0, 1.0, 1.0]) if away else np.array([-1.0, 1.0, -1.0])
    colours = np.clip(np.array(shell.colours), 0, 255)
    return Vehicle(
        corners=np.concatenate(shell.corners) * turn,
        starts=tuple(np.cumsum([0] + [len(c) for c in shell.corners]).tolist()),
        middles=np.array([c.mean(axis=0) for c in shell.corners]) * turn,
        normals=np.array(shell.normals) * turn,
        colours=np.column_stack([colours, np.full(len(colours), 255.0)]),
        ranks=np.array(shell.ranks),
        half=max(s.half for s in sections),
        length=sections[-1].z - sections[0].z,
        tall=max(s.roof for s in sections),
    )
