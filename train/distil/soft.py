"""One picture's soft labels: what teachers say at several scales, mirrored, mapped, averaged.

Shape legend: H and W the picture's size, K our classes, T a teacher's, h and w the soft labels'
size, a `stride`-th of the picture's.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from train.data.pixels import IGNORE
from train.distil.guided import guided_filter
from train.distil.teacher import Teacher
from train.errors import TrainError
from train.settings.distil import DistilConfig

Map = NDArray[np.float32]


def class_matrix(
    teacher: tuple[str, ...], ours: tuple[str, ...], pairs: tuple[tuple[str, str], ...]
) -> Map:
    """``[K, T]``: 1 where a teacher's class is one of ours, by `pairs` or else by equal names.

    Raises:
        TrainError: a pair names a class of ours that is not there, or no class is shared.
    """
    named = dict(pairs)
    if unknown := sorted({own for own in named.values() if own not in ours}):
        raise TrainError(
            f"distil.map names {', '.join(unknown)}, which is no class of this network; "
            f"it has {', '.join(ours)}"
        )
    matrix = np.zeros((len(ours), len(teacher)), dtype=np.float32)
    for column, name in enumerate(teacher):
        own = named.get(name, name)
        if own in ours:
            matrix[ours.index(own), column] = 1
    if not matrix.any():
        raise TrainError(
            f"a teacher's classes ({', '.join(teacher)}) share no name with this network's "
            f"({', '.join(ours)}); see distil.map"
        )
    return matrix


def working_size(shape: Sequence[int], side: int, stride: int) -> tuple[int, int]:
    """Height and width a picture of `shape` [H, W, …] is brought to, multiples of 2 strides.

    Its longer side becomes `side`; with 0 it keeps its size.
    """
    height, width = shape[:2]
    factor = side / max(height, width) if side else 1.0
    step = 2 * stride
    return (
        max(step, round(height * factor / step) * step),
        max(step, round(width * factor / step) * step),
    )


def resize(picture_HWC: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """A picture at a size: by area where it shrinks, bilinear where it grows."""
    if picture_HWC.shape[:2] == (height, width):
        return picture_HWC
    way = cv2.INTER_AREA if width < picture_HWC.shape[1] else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture_HWC, (width, height), interpolation=way), np.uint8)


def resize_labels(labels_HW: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Labels at a size, from the nearest centre."""
    if labels_HW.shape == (height, width):
        return labels_HW
    way = cv2.INTER_NEAREST_EXACT
    return np.asarray(cv2.resize(labels_HW, (width, height), interpolation=way), np.uint8)


def resize_maps(maps_KHW: Map, height: int, width: int) -> Map:
    """Maps at a size, one by one: OpenCV takes four channels at most."""
    if maps_KHW.shape[1:] == (height, width):
        return maps_KHW
    way = cv2.INTER_AREA if height < maps_KHW.shape[1] else cv2.INTER_LINEAR
    return np.stack([cv2.resize(m, (width, height), interpolation=way) for m in maps_KHW])


def hard_labels(soft_Khw: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """The most probable class, decided at a size after bilinear enlargement.

    `IGNORE` where less than half is given to classes of ours.
    """
    maps = resize_maps(np.asarray(soft_Khw, dtype=np.float32), height, width)
    found = np.asarray(maps.argmax(axis=0), dtype=np.uint8)
    found[maps.sum(axis=0) < 128] = IGNORE
    return found


def softmax(scores_KHW: Map) -> Map:
    """Over the classes."""
    powers = np.exp(scores_KHW - scores_KHW.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0), dtype=np.float32)


def teacher_probabilities(
    teacher: Teacher, picture_HWC: NDArray[np.uint8], config: DistilConfig, size: tuple[int, int]
) -> Map:
    """Mean class probabilities ``[T, *size]`` of one teacher over scales and mirrors."""
    total: Map | None = None
    looks = 0
    for scale in config.scales:
        sides = [
            max(config.multiple, round(n * scale / config.multiple) * config.multiple)
            for n in picture_HWC.shape[:2]
        ]
        scaled = resize(picture_HWC, *sides)
        for mirrored in (False, True) if config.flip else (False,):
            scores = teacher.scores(scaled[:, ::-1] if mirrored else scaled)
            scores = np.ascontiguousarray(scores[..., ::-1] if mirrored else scores)
            found = softmax(resize_maps(scores, *size))
            total = found if total is None else total + found
            looks += 1
    assert total is not None, "scales are not empty"
    return np.asarray(total / looks, dtype=np.float32)


def soft_labels(
    picture_HWC: NDArray[np.uint8],
    teachers: list[tuple[Teacher, Map]],
    config: DistilConfig,
) -> NDArray[np.uint8]:
    """Soft labels uint8 ``[K, h, w]`` (255 is certainty) of a picture at its working size.

    Where they do not add up to 255, the rest is of classes that go nowhere.

    Args:
        picture_HWC: RGB, at `working_size`.
        teachers: each with its `class_matrix`.
        config: scales, mirrors, refinement, stride.
    """
    height, width = picture_HWC.shape[:2]
    # The filter works at half the picture's size: a quarter of the time, edges to two pixels.
    size = (height // 2, width // 2)
    mapped = [
        np.tensordot(matrix, teacher_probabilities(teacher, picture_HWC, config, size), axes=1)
        for teacher, matrix in teachers
    ]
    mean = np.asarray(np.mean(mapped, axis=0), dtype=np.float32)
    if config.refine:
        mass = mean.sum(axis=0)
        guide = resize(picture_HWC, *size).astype(np.float32) * np.float32(1 / 255)
        mean = np.asarray(guided_filter(guide, mean) * mass, dtype=np.float32)
    small = resize_maps(mean, height // config.stride, width // config.stride)
    return np.rint(small * 255).clip(0, 255).astype(np.uint8)
