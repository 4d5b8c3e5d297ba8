"""Validation: a network or a deployed engine against labelled pictures.

Both go the way a video frame goes: the picture is resized to the network's size (multiples of 32),
labels come back at that size and are resized (nearest) to the truth.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from train.data.dataset import SegmentationData
from train.metrics import ConfusionMatrix, Scores
from train.models import low_resolution_argmax
from train.models.segmenter import Segmenter, normalise

Labeller: TypeAlias = Callable[[NDArray[np.uint8]], NDArray[np.uint8]]
"""``frames_NHWC uint8 -> labels_NHW uint8``, at the network's size."""


def network_size(height: int, width: int) -> tuple[int, int]:
    """The multiples of 32 nearest to a picture's height and width, at least 32."""
    return max(32, 32 * round(height / 32)), max(32, 32 * round(width / 32))


def to_network(
    picture_HWC: NDArray[np.uint8], size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """The picture at `size` (height, width; None: `network_size`), bilinear."""
    height, width = size or network_size(*picture_HWC.shape[:2])
    if picture_HWC.shape[:2] == (height, width):
        return picture_HWC
    resized = cv2.resize(picture_HWC, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)


def to_picture(labels_HW: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Labels at a picture's size, from the nearest centre.

    OpenCV's plain "nearest" rounds down: labels would lie up to half a pixel up and left.
    """
    if labels_HW.shape == (height, width):
        return labels_HW
    resized = cv2.resize(labels_HW, (width, height), interpolation=cv2.INTER_NEAREST_EXACT)
    return np.asarray(resized, dtype=np.uint8)


def label_picture(
    picture_HWC: NDArray[np.uint8], label: Labeller, size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """Labels uint8 ``[H, W]`` of one RGB picture, run at `size` (height, width)."""
    height, width = picture_HWC.shape[:2]
    return to_picture(label(to_network(picture_HWC, size)[None])[0], height, width)


def torch_labeller(model: nn.Module, label_stride: int, device: torch.device) -> Labeller:
    """Run a `Segmenter` (in evaluation mode) the way its exported file runs."""

    @torch.inference_mode()
    def label(frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        frames = torch.from_numpy(frames_NHWC).to(device)
        scores = model(normalise(frames.permute(0, 3, 1, 2)))
        height, width = frames.shape[1:3]
        return low_resolution_argmax(scores, height, width, label_stride).cpu().numpy()

    return label


def evaluate(
    samples: Iterable[tuple[NDArray[np.uint8], NDArray[np.uint8]]],
    label: Labeller,
    *,
    classes: int,
    size: tuple[int, int] | None = None,
) -> Scores:
    """Metrics of a labeller over `(picture [H, W, 3], truth [H, W])` pairs.

    Raises:
        ValueError: no sample has a labelled pixel.
    """
    matrix = ConfusionMatrix(classes)
    for picture, truth in samples:
        matrix.update(truth, label_picture(picture, label, size))
    return matrix.scores()


def evaluate_network(
    model: Segmenter,
    dataset: SegmentationData,
    device: torch.device,
    module: nn.Module | None = None,
) -> Scores:
    """Metrics of a network on a split; `module` runs in its stead (its moving average)."""
    runner = model if module is None else module
    was_training = runner.training
    runner.eval()
    label = torch_labeller(runner, model.spec.label_stride, device)
    scores = evaluate(dataset.pairs(), label, classes=model.spec.classes)
    runner.train(was_training)
    return scores
