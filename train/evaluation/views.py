"""Class probabilities of a picture from several looks at it: scales, mirror, sliding window.

Knows nothing about files or data sets. Shape legend: N batch, K classes, H and W the picture's
size, h and w the network's own output.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from train.data.transforms import GREY
from train.evaluation.predict import network_size, to_network

Scorer: TypeAlias = Callable[[NDArray[np.uint8]], Tensor]
"""``frames_NHWC uint8 -> scores float32 [N, K, h, w]`` before any softmax."""


@dataclass(kw_only=True, slots=True, frozen=True)
class Views:
    """How often, at which sizes and through which window the network sees a picture."""

    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    """Also look at the mirrored picture."""
    window: int | None = None
    """Side in pixels of a square window slid over the (scaled) picture; None: the whole picture.
    Multiples of 32 need no padding."""
    stride: int | None = None
    """Pixels from window to window; None: two thirds of the window (PSPNet's evaluation)."""
    fuse: Literal["mean", "max"] = "mean"
    """mean: of the softmax probabilities; max: of the scores, as DeepLabV2 and report 001 do."""

    def __post_init__(self) -> None:
        if not self.scales or not all(0.1 <= scale <= 4 for scale in self.scales):
            raise ValueError(f"scales must be within 0.1..4, got {self.scales}")
        if self.window is not None and self.window < 32:
            raise ValueError(f"the window must be at least 32 pixels, got {self.window}")
        if self.stride is not None:
            if self.window is None:
                raise ValueError("a stride is for a sliding window; give the window too")
            if not 1 <= self.stride <= self.window:
                raise ValueError(
                    f"the stride must be 1..{self.window} (the window), got {self.stride}: "
                    "a larger one would leave gaps"
                )
        if self.fuse not in ("mean", "max"):
            raise ValueError(f"fuse is {self.fuse!r}; known: mean, max")

    @property
    def step(self) -> int:
        """Pixels from window to window."""
        return self.stride or math.ceil((self.window or 0) * 2 / 3)

    @property
    def plain(self) -> bool:
        """One look at the whole picture at its own size: no scores need to be averaged."""
        return self.scales == (1.0,) and not self.flip and self.window is None


def probabilities(
    picture_HWC: NDArray[np.uint8],
    score: Scorer,
    views: Views,
    size: tuple[int, int] | None = None,
) -> Tensor:
    """Class probabilities float32 ``[K, H, W]`` of one RGB picture, at its own size.

    Args:
        picture_HWC: the picture.
        score: the network.
        views: what is fused.
        size: height and width that scale 1 means; None takes the picture's own.
    """
    height, width = picture_HWC.shape[:2]
    base = size or (height, width)
    fused: Tensor | None = None
    looks = [
        (scale, mirror) for scale in views.scales for mirror in (False, True)[: 1 + views.flip]
    ]
    for scale, mirror in looks:
        seen = np.ascontiguousarray(picture_HWC[:, ::-1]) if mirror else picture_HWC
        scaled = (max(1, round(base[0] * scale)), max(1, round(base[1] * scale)))
        if views.window is None:
            scores = score(to_network(seen, network_size(*scaled))[None])
            values = _values(_resize(scores, height, width), views)[0]
        else:
            values = _resize(_slide(_scaled(seen, scaled), score, views)[None], height, width)[0]
        values = values.flip(-1) if mirror else values
        if fused is None:
            fused = values
        else:
            fused = torch.maximum(fused, values) if views.fuse == "max" else fused + values
    assert fused is not None, "there is at least one scale"
    return fused.softmax(dim=0) if views.fuse == "max" else fused / len(looks)


def window_starts(length: int, window: int, stride: int) -> list[int]:
    """Where windows begin along one side; the last one ends flush with the border."""
    if length <= window:
        return [0]
    return [*range(0, length - window, stride), length - window]


def _slide(picture_HWC: NDArray[np.uint8], score: Scorer, views: Views) -> Tensor:
    """What is fused, ``[K, H, W]``, averaged where windows overlap.

    A window that hangs over a picture smaller than itself (or whose side is no multiple of 32) is
    padded with grey at the right and the bottom; scores there are thrown away.
    """
    assert views.window is not None
    height, width = picture_HWC.shape[:2]
    side = 32 * math.ceil(views.window / 32)
    total: Tensor | None = None
    count = torch.zeros(height, width)
    for y in window_starts(height, views.window, views.step):
        for x in window_starts(width, views.window, views.step):
            part = picture_HWC[y : y + views.window, x : x + views.window]
            h, w = part.shape[:2]
            frame = np.full((1, side, side, 3), GREY, dtype=np.uint8)
            frame[0, :h, :w] = part
            values = _values(_resize(score(frame), side, side), views)[0, :, :h, :w]
            if total is None:
                total = values.new_zeros((len(values), height, width))
            total[:, y : y + h, x : x + w] += values
            count[y : y + h, x : x + w] += 1
    assert total is not None, "there is at least one window"
    return total / count.to(total.device)


def _values(scores_NKhw: Tensor, views: Views) -> Tensor:
    return scores_NKhw if views.fuse == "max" else scores_NKhw.softmax(dim=1)


def _resize(values_NKhw: Tensor, height: int, width: int) -> Tensor:
    if values_NKhw.shape[-2:] == (height, width):
        return values_NKhw
    return F.interpolate(values_NKhw, (height, width), mode="bilinear", align_corners=False)


def _scaled(picture_HWC: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    height, width = size
    if picture_HWC.shape[:2] == size:
        return picture_HWC
    resized = cv2.resize(picture_HWC, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(resized, dtype=np.uint8)
