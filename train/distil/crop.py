"""Random scale, crop, mirror and colours of a picture together with its soft labels and labels.

The soft labels lie on a coarser grid than the picture, so one transform of coordinates is drawn
and every map is sampled once where it lies; nothing is resized as a whole. Shape legend: H and W
the picture's size, K classes, h and w the soft labels' size, C the crop's side.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.transforms.v2 import ColorJitter

from train.data.config import DataConfig
from train.data.pixels import IGNORE
from train.data.transforms import GREY, both_sides, draw_factor

Map = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a crop lies in a picture: ``crop = (picture - offset) * factor``, then mirrored."""

    factor: float
    top: float
    left: float
    mirrored: bool
    height: int
    width: int

    def sample(self, values: Map, stride: int, way: int, outside: int) -> Map:
        """A map ``[H / stride, W / stride(, channels)]`` at the crop's size over `stride`.

        Args:
            values: with at most four channels.
            stride: picture pixels per pixel of the map; centres lie in the middle of their cell.
            way: OpenCV's interpolation.
            outside: what is beyond the picture.
        """
        height, width = self.height // stride, self.width // stride

        def shift(offset: float) -> float:
            return (0.5 * stride - offset) * self.factor / stride - 0.5

        matrix = np.array(
            [[self.factor, 0, shift(self.left)], [0, self.factor, shift(self.top)]], np.float64
        )
        if self.mirrored:
            matrix[0] = [-self.factor, 0, width - 1 - shift(self.left)]
        fill = (outside,) * 4
        out = cv2.warpAffine(
            values, matrix, (width, height), flags=way, borderMode=cv2.BORDER_CONSTANT,
            borderValue=fill,
        )  # fmt: skip
        return np.asarray(out, dtype=np.uint8)


def draw_placement(shape: Sequence[int], config: DataConfig) -> Placement:
    """A random placement of a crop, as ``[data]`` says, in a picture of `shape` [H, W, …]."""
    height, width = shape[:2]
    factor = draw_factor(*config.scale, config.scales, config.scale_law)
    crop_height, crop_width = both_sides(config.crop)

    def offset(size: int, crop: int) -> float:
        free = size - crop / factor
        return float(torch.rand(())) * free  # negative where the picture is the smaller one

    return Placement(
        factor=factor,
        top=offset(height, crop_height),
        left=offset(width, crop_width),
        mirrored=config.flip and bool(torch.rand(()) < 0.5),
        height=crop_height,
        width=crop_width,
    )


def crop(
    picture_HWC: Map,
    labels_HW: Map | None,
    soft_Khw: Map,
    stride: int,
    config: DataConfig,
) -> tuple[Tensor, Tensor, Tensor]:
    """A training sample: picture uint8 ``[3, C, C]``, labels int64, soft labels uint8 ``[K, …]``.

    Without labels all of them are `IGNORE`. Outside the picture soft labels are 0.
    """
    place = draw_placement(picture_HWC.shape, config)
    source = picture_HWC
    if place.factor < 1:  # bilinear sampling alone would skip pixels
        source = np.asarray(cv2.GaussianBlur(picture_HWC, (0, 0), 0.35 / place.factor), np.uint8)
    picture = torch.from_numpy(place.sample(source, 1, cv2.INTER_LINEAR, GREY)).permute(2, 0, 1)
    if config.jitter > 0:
        jitter = config.jitter
        picture = ColorJitter(brightness=jitter, contrast=jitter, saturation=jitter)(picture)
    if labels_HW is None:
        labels = np.full((place.height, place.width), IGNORE, np.uint8)
    else:
        labels = place.sample(labels_HW, 1, cv2.INTER_NEAREST, IGNORE)
    soft = np.stack([place.sample(m, stride, cv2.INTER_LINEAR, 0) for m in soft_Khw])
    return picture, torch.from_numpy(labels).to(torch.int64), torch.from_numpy(soft)
