"""A picture and its label map, painted together from far to near.

Every layer is premultiplied RGBA of one class: a pixel takes the class of a layer that covers at
least half of it, so edges are smooth in the picture and hard, yet exact, in the labels.
Knows nothing about streets: only about textures, planes, boxes of pixels and one forward camera.

World: metres, x right, y up, z forward. Screen: pixels, u right, v down.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.models.palette import CAMVID

Image = NDArray[Any]

(SKY, BUILDING, POLE, ROAD, PAVEMENT, TREE, SIGN, FENCE, CAR, PEDESTRIAN, BICYCLIST) = range(
    len(CAMVID)
)

NEAR = 0.6
"""Metres in front of the camera where planes are cut."""
FAR = 150.0
"""Nothing further away than this is drawn one by one; the skyline stands for it."""
HAZE_RGB = np.array([206, 212, 216], np.float32)
_HAZE_LENGTH = 320.0  # metres after which 63 % of the light is haze
_HAZE_STEPS = 24
_HALF = 128
_MIP_BIAS = 0.35  # a little sharper than one texel for one pixel; the final blur takes the rest
_MAX_LEVEL = 6


@dataclass(frozen=True, slots=True)
class Camera:
    """Looks along +z from `height` above the road; `horizon` moves with the car's pitch."""

    width: int
    height: int
    focal: float
    """Pixels."""
    horizon: float
    """Screen row of the horizon, pixels."""
    x: float
    eye: float
    """Metres above the road."""
    z: float

    def u(self, x: float, depth: float) -> float:
        """Screen column of world x at a depth (metres in front of the camera)."""
        return self.width / 2 + self.focal * (x - self.x) / depth

    def v(self, y: float, depth: float) -> float:
        """Screen row of world y at a depth."""
        return self.horizon - self.focal * (y - self.eye) / depth

    def matrix(self, origin: tuple[float, float, float], columns: Image) -> Image:
        """Homography from plane coordinates (s, t, 1) to pixel indices.

        The plane is origin + s * columns[:, 0] + t * columns[:, 1], with origin's z a depth.
        """
        intrinsics = np.array(
            [
                [self.focal, 0, self.width / 2 - 0.5],
                [0, -self.focal, self.horizon - 0.5],
                [0, 0, 1],
            ]
        )
        x, y, depth = origin
        plane = np.column_stack([columns, [x - self.x, y - self.eye, depth]])
        return np.asarray(intrinsics @ plane)


def haze_at(depth: float) -> int:
    """Haze at a depth, in steps: few enough that hazed textures can be kept."""
    return round(_HAZE_STEPS * (1 - math.exp(-max(depth, 0.0) / _HAZE_LENGTH)))


def hazed(rgba: Image, step: int) -> Image:
    """Premultiplied RGBA seen through `step` of haze."""
    if step == 0:
        return rgba
    share = step / _HAZE_STEPS
    out = rgba.astype(np.float32)
    out[..., :3] += share * (out[..., 3:] * (HAZE_RGB / 255) - out[..., :3])
    return np.asarray(out + 0.5).astype(np.uint8)


@dataclass(slots=True)
class Texture:
    """Premultiplied RGBA at some pixels per metre, with smaller and hazier copies made once."""

    rgba: Image = field(repr=False)
    density: float
    """Pixels per metre."""
    label: int | None
    """The class it paints; None leaves the labels as they are (a shadow)."""
    _levels: dict[tuple[int, int, int], Image] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.rgba = premultiplied(self.rgba)

    @property
    def size_m(self) -> tuple[float, float]:
        """Width and height, metres."""
        height, width = self.rgba.shape[:2]
        return width / self.density, height / self.density

    def level(self, shrink_x: float, shrink_y: float, haze: int) -> Image:
        """The copy for so many texels a pixel."""
        level_x, level_y = (
            min(max(math.floor(math.log2(max(s, 1e-6)) + _MIP_BIAS), 0), _MAX_LEVEL)
            for s in (shrink_x, shrink_y)
        )
        key = level_x, level_y, haze
        if key not in self._levels:
            height, width = self.rgba.shape[:2]
            size = max(width >> level_x, 2), max(height >> level_y, 2)
            small = cv2.resize(self.rgba, size, interpolation=cv2.INTER_AREA)
            self._levels[key] = hazed(small, haze)
        return self._levels[key]


def premultiplied(rgba: Image) -> Image:
    """Colour times opacity, the form in which layers can be filtered and added."""
    if rgba[..., 3].min() == 255:
        return rgba
    out = rgba.astype(np.float32)
    out[..., :3] *= out[..., 3:] / 255
    return np.asarray(np.clip(out + 0.5, 0, 255)).astype(np.uint8)


@dataclass(slots=True)
class Canvas:
    """Where one frame is painted."""

    camera: Camera
    rgba: Image = field(repr=False)
    labels: NDArray[np.uint8] = field(repr=False)

    def blend(self, layer: Image, left: int, top: int, label: int | None) -> None:
        """Lay premultiplied RGBA over the picture; (left, top) must be inside it."""
        height, width = layer.shape[:2]
        box = np.s_[top : top + height, left : left + width]
        alpha = cv2.extractChannel(layer, 3)
        through = cv2.merge([cv2.bitwise_not(alpha)] * 4)
        view = self.rgba[box]
        cv2.add(cv2.multiply(view, through, scale=1 / 255), layer, dst=view)
        if label is not None:
            np.copyto(self.labels[box], np.uint8(label), where=np.asarray(alpha) >= _HALF)

    def clipped(
        self, u0: float, v0: float, u1: float, v1: float
    ) -> tuple[int, int, int, int] | None:
        """The pixels of a rectangle that are on the screen: left, top, width, height."""
        left, top = max(math.floor(u0) - 1, 0), max(math.floor(v0) - 1, 0)
        right = min(math.ceil(u1) + 1, self.camera.width)
        bottom = min(math.ceil(v1) + 1, self.camera.height)
        if right <= left or bottom <= top:
            return None
        return left, top, right - left, bottom - top

    def billboard(self, texture: Texture, x: float, y: float, depth: float) -> None:
        """Stand a texture upright and facing us, the middle of its lower edge at (x, y)."""
        if not NEAR < depth < FAR:
            return
        camera = self.camera
        width_m, height_m = texture.size_m
        u0, u1 = camera.u(x - width_m / 2, depth), camera.u(x + width_m / 2, depth)
        v0, v1 = camera.v(y + height_m, depth), camera.v(y, depth)
        box = self.clipped(u0, v0, u1, v1)
        if box is None:
            return
        shrink = texture.density * depth / camera.focal
        image = texture.level(shrink, shrink, haze_at(depth))
        left, top, width, height = box
        step_x, step_y = (u1 - u0) / image.shape[1], (v1 - v0) / image.shape[0]
        # texel centre i + 0.5 goes to pixel centre u + 0.5
        matrix = np.array(
            [
                [step_x, 0, u0 - left - 0.5 + step_x / 2],
                [0, step_y, v0 - top - 0.5 + step_y / 2],
            ]
        )
        layer = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR)
        self.blend(layer, left, top, texture.label)

    def plane(
        self,
        image: Image,
        matrix: Image,
        box: tuple[int, int, int, int],
        border: int = cv2.BORDER_CONSTANT,
    ) -> Image:
        """Texels of a plane, with (s, t) running 0..1 over the image, for a box of pixels."""
        left, top, width, height = box
        rows, columns = image.shape[:2]
        texel_to_plane = np.array(
            [[1 / columns, 0, 0.5 / columns], [0, 1 / rows, 0.5 / rows], [0, 0, 1]]
        )
        to_box = np.array([[1, 0, -left], [0, 1, -top], [0, 0, 1]])
        whole = to_box @ matrix @ texel_to_plane
        return np.asarray(
            cv2.warpPerspective(
                image, whole, (width, height), flags=cv2.INTER_LINEAR, borderMode=border
            )
        )

    def along(
        self,
        texture: Texture,
        top_edge: tuple[float, float],
        bottom_edge: tuple[float, float],
        depths: tuple[float, float],
    ) -> None:
        """Hang a texture between two lines that run along the street, each given as (x, y)."""
        camera = self.camera
        start, stop = depths
        near, far = max(start, NEAR), min(stop, FAR)
        if far <= near:
            return
        us = [camera.u(x, z) for x, _ in (top_edge, bottom_edge) for z in (near, far)]
        vs = [camera.v(y, z) for _, y in (top_edge, bottom_edge) for z in (near, far)]
        box = self.clipped(min(us), min(vs), max(us), max(vs))
        if box is None:
            return
        # what is left of the screen's edge has no say in how sharp the rest must be
        sideways = abs(bottom_edge[0] - camera.x)
        seen_from = max(near, sideways * camera.focal / (camera.width / 2))
        middle = math.sqrt(max(seen_from, near) * far) if far > seen_from else far
        shrink_x = texture.density * middle * middle / (camera.focal * max(sideways, 0.5))
        shrink_y = texture.density * middle / camera.focal
        image = texture.level(shrink_x, shrink_y, haze_at(middle))
        columns = np.array(
            [
                [0, bottom_edge[0] - top_edge[0]],
                [0, bottom_edge[1] - top_edge[1]],
                [stop - start, 0],
            ]
        )
        matrix = camera.matrix((*top_edge, start), columns)
        layer = self.plane(image, matrix, box)
        self.blend(layer, box[0], box[1], texture.label)

    def flat(self, texture: Texture, x: tuple[float, float], depths: tuple[float, float]) -> None:
        """Lay a texture on the ground, its upper edge furthest away."""
        camera = self.camera
        near, far = max(depths[0], NEAR), min(depths[1], FAR)
        if far <= near:
            return
        us = [camera.u(side, z) for side in x for z in (near, far)]
        box = self.clipped(min(us), camera.v(0, far), max(us), camera.v(0, near))
        if box is None:
            return
        columns = np.array([[x[1] - x[0], 0], [0, 0], [0, depths[0] - depths[1]]])
        matrix = camera.matrix((x[0], 0, depths[1]), columns)
        image = texture.level(1, 1, 0)
        self.blend(self.plane(image, matrix, box), box[0], box[1], texture.label)
