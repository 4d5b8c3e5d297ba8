"""The loss of scores against labels and soft labels.

Shape legend: N pictures, K classes, H and W the labels' size, h and w the soft labels'. ``z`` are
the scores, ``q`` the teachers' probabilities, ``T`` the temperature.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.data.pixels import IGNORE
from train.distil.data import SoftTruth
from train.fit.losses import SegmentationLoss
from train.settings.distil import DistilConfig

TRUSTED = 0.5
"""Teachers must give a pixel this much to classes of ours; below it nothing is learned there."""


def soft_cross_entropy(scores_NKhw: Tensor, soft_NKhw: Tensor, temperature: float) -> Tensor:
    """``T^2 * mean over pixels of -sum_k q_k^(1/T) / sum_j q_j^(1/T) * log softmax(z / T)_k``.

    Hinton et al. 2015. Its gradient is that of the Kullback-Leibler divergence; it differs from it
    by the teachers' own entropy. 0 where no pixel is trusted.

    Args:
        scores_NKhw: float, of any size: resized bilinearly to the soft labels'.
        soft_NKhw: uint8, 255 is certainty.
        temperature: T.
    """
    scores = F.interpolate(
        scores_NKhw.float(), size=soft_NKhw.shape[2:], mode="bilinear", align_corners=False
    )
    q = soft_NKhw.float() / 255
    trusted = q.sum(dim=1) >= TRUSTED
    if temperature != 1:
        q = q ** (1 / temperature)
    q = q / q.sum(dim=1, keepdim=True).clamp(min=1e-6)
    loss = -(q * (scores / temperature).log_softmax(dim=1)).sum(dim=1) * trusted
    return temperature**2 * loss.sum() / trusted.sum().clamp(min=1)


class DistilLoss(nn.Module):
    """`SegmentationLoss` where there are labels, plus the weighted `soft_cross_entropy`."""

    def __init__(self, labelled: SegmentationLoss, config: DistilConfig) -> None:
        super().__init__()
        self.labelled, self.config = labelled, config

    def mass(self, truth: Tensor | SoftTruth) -> Tensor:
        """What a part of a batch weighs in the whole: its pictures (of plain labels: see there)."""
        if isinstance(truth, Tensor):
            return self.labelled.mass(truth)
        return torch.tensor(float(len(truth.labels)), dtype=torch.float64).to(truth.labels.device)

    def term(self, scores_NKhw: Tensor, labels_NHW: Tensor) -> Tensor:
        """The loss against labels alone: what validation reports."""
        return self.labelled.term(scores_NKhw, labels_NHW)

    def forward(self, outputs: Tensor | Sequence[Tensor | None], truth: SoftTruth) -> Tensor:
        """The loss of scores, or of (scores, auxiliary ...); all of them learn from both."""
        main, *others = (outputs,) if isinstance(outputs, Tensor) else outputs
        assert main is not None, "a network always gives its main scores"
        loss = self._both(main, truth)
        share = self.labelled.config.auxiliary
        for other in others:
            if other is not None and share > 0:
                loss = loss + share * self._both(other, truth)
        return loss

    def _both(self, scores_NKhw: Tensor, truth: SoftTruth) -> Tensor:
        config = self.config
        loss = config.weight * soft_cross_entropy(scores_NKhw, truth.soft, config.temperature)
        if bool((truth.labels != IGNORE).any()):
            loss = loss + self.labelled.term(scores_NKhw, truth.labels)
        return loss
