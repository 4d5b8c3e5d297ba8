"""Lamp posts, bollards, traffic signs, and the soft shadows under things.

Draws textures once; knows nothing about where they will stand.
"""

from __future__ import annotations

import math
from typing import Literal

import cv2
import numpy as np

from streamseg.sample.canvas import POLE, SIGN, Texture
from streamseg.sample.surfaces import Colour, Image

DENSITY = 72.0
LAMP_HEIGHT = 7.4
LAMP_ARM = 1.7
_STEEL: Colour = (92, 96, 98)
_RED = (186, 34, 34, 255)
_BLUE = (28, 66, 150, 255)
_WHITE = (232, 232, 228, 255)
_BLACK = (20, 20, 22, 255)

SignKind = Literal["limit", "warning", "parking", "name", "left"]


def _sheet(width: float, height: float) -> Image:
    return np.zeros((round(height * DENSITY), round(width * DENSITY), 4), np.uint8)


def _post(image: Image, x: float, top: float, width: float, colour: Colour) -> None:
    """A round post: bright along one side, dark along the other (metres, from the top left)."""
    left, right = round((x - width / 2) * DENSITY), round((x + width / 2) * DENSITY)
    across = np.linspace(1.35, 0.55, max(right - left, 1), dtype=np.float32)[:, None]
    image[round(top * DENSITY) :, left:right, :3] = np.clip(across * np.array(colour), 0, 255)
    image[round(top * DENSITY) :, left:right, 3] = 255


def lamp_post() -> Texture:
    """The post of a street lamp; its arm is a texture of its own, or most of it would be empty."""
    image = _sheet(0.3, LAMP_HEIGHT)
    _post(image, 0.15, 0.0, 0.15, _STEEL)
    _post(image, 0.15, LAMP_HEIGHT - 1.4, 0.24, (70, 74, 76))
    return Texture(image, DENSITY, POLE)


def lamp_arm(*, right: bool) -> Texture:
    """The arm over the road, with the lamp; as long as `LAMP_ARM`."""
    image = _sheet(LAMP_ARM, 0.45)
    ink = (*_STEEL, 255)
    end = round((LAMP_ARM - 0.4) * DENSITY)
    cv2.line(image, (4, 24), (end, 12), ink, 7, cv2.LINE_AA)
    cv2.ellipse(image, (end, 14), (24, 8), -4, 0, 360, (150, 152, 150, 255), -1, cv2.LINE_AA)
    if not right:
        image = np.ascontiguousarray(image[:, ::-1])
    return Texture(image, DENSITY, POLE)


def bollard() -> Texture:
    """A black bollard with a pale band, 1 m high."""
    image = _sheet(0.3, 1.0)
    _post(image, 0.15, 0.05, 0.17, (40, 40, 42))
    image[14:22, :, :3] = np.where(image[14:22, :, 3:] > 0, 200, 0)
    return Texture(image, DENSITY, POLE)


def sign_post(height: float) -> Texture:
    """The post that carries a sign."""
    image = _sheet(0.3, height)
    _post(image, 0.15, 0.0, 0.09, _STEEL)
    return Texture(image, DENSITY, POLE)


def sign_plate(kind: SignKind) -> Texture:
    """The plate alone, as it is seen from the front."""
    image = _sheet(0.84, 0.84)
    middle, radius = (30, 30), 28
    solid = np.zeros(image.shape[:2], bool)
    if kind in ("limit", "left"):
        cv2.circle(image, middle, radius, _RED if kind == "limit" else _BLUE, -1, cv2.LINE_AA)
    if kind == "limit":
        cv2.circle(image, middle, 20, _WHITE, -1, cv2.LINE_AA)
        solid = image[..., 3] == 255
        cv2.putText(image, "30", (15, 38), cv2.FONT_HERSHEY_DUPLEX, 0.75, _BLACK, 2, cv2.LINE_AA)
    elif kind == "left":
        cv2.arrowedLine(image, (42, 18), (18, 42), _WHITE, 6, cv2.LINE_AA, tipLength=0.5)
    elif kind == "warning":
        for reach, ink in ((32, _RED), (19, _WHITE)):
            angles = [math.radians(a) for a in (-90, 30, 150)]
            corners = [(30 + reach * math.cos(a), 36 + reach * math.sin(a)) for a in angles]
            cv2.fillPoly(image, [np.array(corners, np.int32)], ink, cv2.LINE_AA)
        cv2.line(image, (30, 27), (30, 40), _BLACK, 4, cv2.LINE_AA)
    else:
        back = _BLUE if kind == "parking" else _WHITE
        top = 4 if kind == "parking" else 16
        cv2.rectangle(image, (3, top), (57, 60 - top), back, -1)
        solid = image[..., 3] == 255
        word, ink = ("P", _WHITE) if kind == "parking" else ("ELM ST", _BLACK)
        size, where = (1.6, (16, 46)) if kind == "parking" else (0.42, (6, 35))
        cv2.putText(image, word, where, cv2.FONT_HERSHEY_DUPLEX, size, ink, 1, cv2.LINE_AA)
    image[..., 3] = np.where(solid, 255, image[..., 3])  # cv2 5 writes letters as holes
    fade = np.linspace(1.0, 0.78, image.shape[0], dtype=np.float32)[:, None, None]
    image[..., :3] = (image[..., :3] * fade).astype(np.uint8)
    return Texture(image, DENSITY, SIGN)


def shadow(strength: float, softness: float) -> Texture:
    """A dark, blurred patch; stretched over the ground it grounds what stands on it."""
    image = np.zeros((64, 64, 4), np.uint8)
    inside = round(64 * softness)
    image[inside : 64 - inside, inside : 64 - inside, 3] = round(255 * strength)
    image[..., 3] = cv2.GaussianBlur(image[..., 3], (0, 0), 64 * softness * 0.55)
    return Texture(image, DENSITY, None)
