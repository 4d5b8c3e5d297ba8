"""One frame of the sample street at any time, with the class of every pixel.

Every frame is computed from its number alone, so frames can be asked for in any order.
Knows nothing about files or sound.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from streamseg.sample.canvas import FAR, SKY, Camera, Canvas, Image
from streamseg.sample.foliage import sky, skyline
from streamseg.sample.ground import PERIOD
from streamseg.sample.spec import SampleSpec
from streamseg.sample.street import build_street

_SPEED = 8.0  # metres a second
_EYE = 1.4
_FOCAL = 0.86  # of the width of a 16:9 picture: about 60 degrees across
_HORIZON = 0.47
_PITCH = 0.0016  # of the focal length: how far the horizon moves up and down
_SWAY = 0.10  # metres to either side
_SKYLINE = 0.075  # of the focal length
_NOISE_SIGMA = 2.4
_NOISE_ROOM = 64  # the noise field is so much larger than the picture, and cut elsewhere each time
_SOFTNESS = 0.6  # the lens, pixels
_BEHIND = 14.0  # metres behind the camera where things leave, to appear again far ahead


def ahead(z: float, camera_z: float) -> float:
    """Metres in front of the camera of something at z, in a street that repeats."""
    return (z - camera_z + _BEHIND) % PERIOD - _BEHIND


class StreetScene:
    """A street seen from a driving car; equal specs give equal pixels and labels."""

    def __init__(self, spec: SampleSpec) -> None:
        self.spec = spec
        self._street = build_street(spec.seed)
        self._focal = _FOCAL * math.sqrt(spec.width * spec.height * 16 / 9)
        rng = np.random.default_rng((spec.seed, 1))
        room = math.ceil(self._focal * _PITCH) + 1
        self._horizon = spec.height * _HORIZON
        self._sky = sky(rng, spec.width, math.ceil(self._horizon) + 2 * room)
        self._sky_room = room
        tall = max(round(_SKYLINE * self._focal), 4)
        self._skyline, self._skyline_labels = skyline(rng, spec.width, tall)
        shape = spec.height + _NOISE_ROOM, spec.width + _NOISE_ROOM, 3
        noise = rng.standard_normal(shape, dtype=np.float32)
        self._noise = np.round(128 + _NOISE_SIGMA * noise).astype(np.uint8)

    def __repr__(self) -> str:
        return f"StreetScene({self.spec})"

    def frame(self, index: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Draw frame `index`: RGB ``[H, W, 3]`` and, of every pixel, the class ``[H, W]``."""
        seconds = float(index / self.spec.rate)
        camera = self._camera(seconds)
        canvas = self._background(camera)
        self._street.ground.draw(canvas, camera.z % PERIOD)
        row = [(ahead(part.z, camera.z), part) for part in self._street.row]
        for depth, part in sorted(row, key=lambda pair: -pair[0]):
            if depth < FAR:
                part.draw(canvas, depth)
        things = [(ahead(t.place(seconds), camera.z), t) for t in self._street.things]
        things = [pair for pair in things if pair[0] < FAR]
        for depth, thing in things:
            thing.shadow(canvas, self._street.shadow, depth)
        for depth, thing in sorted(things, key=lambda pair: -pair[0]):
            thing.draw(canvas, depth, seconds)
        return self._developed(canvas.rgba, index), canvas.labels

    def _camera(self, seconds: float) -> Camera:
        bounce = 0.6 * math.sin(5.1 * seconds) + 0.4 * math.sin(8.3 * seconds + 1)
        return Camera(
            width=self.spec.width,
            height=self.spec.height,
            focal=self._focal,
            horizon=self._horizon + _PITCH * self._focal * bounce,
            x=_SWAY * math.sin(0.9 * seconds),
            eye=_EYE,
            z=_SPEED * seconds,
        )

    def _background(self, camera: Camera) -> Canvas:
        """The sky and what closes the street at its end."""
        rgba = np.zeros((camera.height, camera.width, 4), np.uint8)
        labels = np.full((camera.height, camera.width), SKY, np.uint8)
        shift = self._sky_room - round(camera.horizon - self._horizon)
        rows = min(self._sky.shape[0] - shift, camera.height)
        rgba[:rows] = self._sky[shift : shift + rows]
        canvas = Canvas(camera, rgba, labels)
        bottom = min(math.floor(camera.v(0, FAR)) + 1, camera.height)
        top = max(bottom - self._skyline.shape[0], 0)
        strip = self._skyline[-(bottom - top) :]
        canvas.blend(strip, 0, top, None)
        solid = strip[..., 3] > 0
        np.copyto(labels[top:bottom], self._skyline_labels[-(bottom - top) :], where=solid)
        return canvas

    def _developed(self, rgba: Image, index: int) -> NDArray[np.uint8]:
        """What the lens and the sensor make of it."""
        rgb = cv2.cvtColor(rgba, cv2.COLOR_RGBA2RGB)
        rgb = cv2.GaussianBlur(rgb, (3, 3), _SOFTNESS)
        y, x = np.random.default_rng((self.spec.seed, 2, index)).integers(_NOISE_ROOM, size=2)
        noise = self._noise[y : y + self.spec.height, x : x + self.spec.width]
        return np.asarray(cv2.addWeighted(rgb, 1.0, noise, 1.0, -128.0)).astype(np.uint8)
