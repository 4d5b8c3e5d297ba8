"""Training losses."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.data import IGNORE


def class_weights(pixels_K: Tensor, balance: str) -> Tensor:
    """Class weights float ``[K]`` with mean 1, from labelled pixels per class.

    ``median``: median-frequency balancing (Eigen & Fergus 2015), ``median(f) / f``; ``sqrt``: its
    square root, which costs the frequent classes less; ``none``: ones. A class without a pixel
    counts as if it had one.
    """
    if balance == "none":
        return torch.ones(len(pixels_K))
    frequency = pixels_K.clamp(min=1).to(torch.float64) / pixels_K.sum().clamp(min=1)
    weights = frequency.median() / frequency
    if balance == "sqrt":
        weights = weights.sqrt()
    return (weights / weights.mean()).to(torch.float32)


class SegmentationLoss(nn.Module):
    """Weighted cross-entropy at the labels' size, plus the auxiliary head's, scaled.

    Scores of any stride are resized bilinearly to the labels first.
    """

    weights: Tensor

    def __init__(self, weights_K: Tensor, *, auxiliary: float) -> None:
        super().__init__()
        self.register_buffer("weights", weights_K)
        self.auxiliary = auxiliary

    def _cross_entropy(self, scores_NKhw: Tensor, labels_NHW: Tensor) -> Tensor:
        full = F.interpolate(
            scores_NKhw.float(), size=labels_NHW.shape[1:], mode="bilinear", align_corners=False
        )
        return F.cross_entropy(full, labels_NHW, weight=self.weights, ignore_index=IGNORE)

    def forward(self, outputs: tuple[Tensor, Tensor], labels_NHW: Tensor) -> Tensor:
        """The loss of (scores, auxiliary scores) against labels int64 ``[N, H, W]``."""
        main, auxiliary = outputs
        loss = self._cross_entropy(main, labels_NHW)
        if self.auxiliary > 0:
            loss = loss + self.auxiliary * self._cross_entropy(auxiliary, labels_NHW)
        return loss
