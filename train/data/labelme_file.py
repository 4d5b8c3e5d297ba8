"""One JSON file of labelme: its shapes, its picture, and how a shape is drawn.

Points are ``[x, y]`` in pixels of the upright picture. What is drawn equals labelme's own
`shape_to_mask`: outlines belong to the shape, lines are 10 wide, points are discs of radius 5.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from train.data.pixels import decode_picture
from train.errors import TrainError

LINE_WIDTH = 10
POINT_RADIUS = 5


def read_json(path: Path) -> dict[str, Any]:
    """The parsed file.

    Raises:
        TrainError: unreadable, or not one of labelme's.
    """
    try:
        content = json.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise TrainError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(content, dict) or not isinstance(content.get("shapes"), list):
        raise TrainError(f"{path}: not a file of labelme (it has no list of shapes)")
    return content


def shapes_of(content: dict[str, Any], path: Path) -> list[dict[str, Any]]:
    """The shapes, each with a label and at least one point.

    Raises:
        TrainError: a shape without them.
    """
    shapes: list[dict[str, Any]] = content["shapes"]
    for number, shape in enumerate(shapes):
        try:
            good = bool(shape["label"]) and isinstance(shape["label"], str)
            good = good and all(math.isfinite(x) and math.isfinite(y) for x, y in shape["points"])
            good = good and len(shape["points"]) > 0
        except (KeyError, TypeError, ValueError):
            good = False
        if not good:
            raise TrainError(f"{path}: shape {number} has no label, or points that are not [x, y]")
    return shapes


def read_embedded_picture(path: Path) -> NDArray[np.uint8]:
    """RGB uint8 ``[H, W, 3]`` of the picture inside a JSON file.

    Raises:
        TrainError: there is none, or it cannot be read.
    """
    data = read_json(path).get("imageData")
    if not data:
        raise TrainError(f"{path}: has no picture in it (imageData)")
    return decode_picture(_unpack(data, path), path, upright=True)


def _unpack(text: Any, path: Path) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise TrainError(f"{path}: embedded data is not base64 ({error})") from error


def picture_size(content: dict[str, Any], path: Path) -> tuple[int, int]:
    """Width and height that the file says its picture has.

    Raises:
        TrainError: it does not say.
    """
    width, height = content.get("imageWidth"), content.get("imageHeight")
    if not all(isinstance(value, int) and 0 < value <= 1 << 16 for value in (width, height)):
        raise TrainError(f"{path}: imageWidth and imageHeight are missing or wrong")
    assert isinstance(width, int)
    assert isinstance(height, int)
    return width, height


def draw_shape(labels: Image.Image, shape: dict[str, Any], value: int, path: Path) -> None:
    """Draw one shape into a picture of mode L.

    Raises:
        TrainError: an unknown kind, or too few points for it.
    """
    kind = shape.get("shape_type") or "polygon"
    points = [(float(x), float(y)) for x, y in shape["points"]]
    needed = {"circle": 2, "rectangle": 2, "line": 2, "linestrip": 2, "point": 1, "points": 1}
    needed |= {"polygon": 3, "mask": 2, "oriented_rectangle": 4}
    if kind not in needed:
        raise TrainError(f"{path}: shape {kind!r} is unknown; known: {', '.join(needed)}")
    if len(points) < needed[kind]:
        raise TrainError(
            f"{path}: a {kind} ({shape['label']}) has {len(points)} points, needs {needed[kind]}"
        )
    _require_inside(labels, points, f"{path}: a {kind} ({shape['label']})", kind)
    draw = ImageDraw.Draw(labels)
    (x0, y0), (x1, y1) = points[0], points[-1]
    if kind == "circle":
        _disc(draw, x0, y0, math.hypot(x0 - x1, y0 - y1), value)
    elif kind == "rectangle":
        box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
        draw.rectangle(box, outline=value, fill=value)
    elif kind in ("line", "linestrip"):
        draw.line(points, fill=value, width=LINE_WIDTH)
    elif kind in ("point", "points"):
        for x, y in points:
            _disc(draw, x, y, POINT_RADIUS, value)
    elif kind == "mask":
        _paste_mask(labels, shape, value, path)
    else:
        draw.polygon(points, outline=value, fill=value)


def _require_inside(
    labels: Image.Image, points: list[tuple[float, float]], what: str, kind: str
) -> None:
    """Refuse a shape of which nothing would be seen; what merely hangs over is cut off.

    Raises:
        TrainError: it lies beside the picture.
    """
    (x0, y0), (x1, y1) = points[0], points[-1]
    reach = math.hypot(x0 - x1, y0 - y1) if kind == "circle" else 0.0
    centre = points[:1] if kind == "circle" else points
    beside = any(
        max(values) + reach < 0 or min(values) - reach > side
        for values, side in zip(zip(*centre, strict=True), labels.size, strict=True)
    )
    if beside:
        raise TrainError(
            f"{what} lies beside the picture of {labels.width}x{labels.height}; was the picture "
            "resized after it was labelled?"
        )


def _disc(draw: ImageDraw.ImageDraw, x: float, y: float, radius: float, value: int) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), outline=value, fill=value)


def _paste_mask(labels: Image.Image, shape: dict[str, Any], value: int, path: Path) -> None:
    """A mask's PNG lies with its upper left corner at the first point."""
    picture = decode_picture(_unpack(shape.get("mask"), path), path)
    mask = Image.fromarray(picture[..., 0] > 0)
    left, top = (round(value) for value in shape["points"][0])
    labels.paste(value, (left, top), mask)
