r"""Training losses of class scores against labels.

Shape legend: N pictures, K classes, H and W the labels' size, P labelled pixels. ``p`` is the
softmax of the scores, ``y`` a pixel's label, ``w`` the class weights. Pixels whose
label is `IGNORE` take no part in any of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.data.pixels import IGNORE
from train.settings.fit import LossConfig

TINY = 1e-12


def class_weights(pixels_K: Tensor, balance: str) -> Tensor:
    """Class weights float ``[K]`` with mean 1, from labelled pixels per class.

    ``median``: median-frequency balancing (Eigen & Fergus 2015), ``median(f) / f``; ``sqrt``: its
    square root, which costs the frequent classes less; ``none``: ones. ``f`` is the share of all
    labelled pixels (the paper's, of the pictures that show the class). A class without a pixel has
    no part in the median and the largest weight of the others: nothing but label smoothing sees it.
    """
    present = pixels_K > 0
    if balance == "none" or not present.any():
        return torch.ones(len(pixels_K))
    frequency = pixels_K[present].to(torch.float64)
    shares = frequency.median() / frequency
    if balance == "sqrt":
        shares = shares.sqrt()
    weights = shares.max().repeat(len(pixels_K))
    weights[present] = shares
    return (weights / weights.mean()).to(torch.float32)


def pixel_weights(labels_NHW: Tensor, weights_K: Tensor) -> Tensor:
    """Each pixel's class weight, float ``[N, H, W]``; 0 where there is no label."""
    known = labels_NHW != IGNORE
    return weights_K[torch.where(known, labels_NHW, 0)] * known


def cross_entropy(
    scores_NKHW: Tensor, labels_NHW: Tensor, weights_K: Tensor, smoothing: float = 0.0
) -> Tensor:
    """Weighted cross-entropy: ``sum w[y] * -log p[y] / sum w[y]``; 0 without a labelled pixel.

    With smoothing ``s`` (Szegedy et al. 2016) the truth is ``1 - s`` on ``y`` plus ``s / K`` on
    every class.
    """
    total = F.cross_entropy(
        scores_NKHW,
        labels_NHW,
        weight=weights_K,
        ignore_index=IGNORE,
        reduction="sum",
        label_smoothing=smoothing,
    )
    return total / pixel_weights(labels_NHW, weights_K).sum().clamp(min=TINY)


def ohem_cross_entropy(
    scores_NKHW: Tensor,
    labels_NHW: Tensor,
    weights_K: Tensor,
    *,
    threshold: float,
    keep: float,
    smoothing: float = 0.0,
) -> Tensor:
    """Cross-entropy of the hard pixels alone (online hard example mining, Shrivastava et al. 2016).

    As segmentation uses it: pixels with ``p[y] < threshold``, or the share `keep` of the labelled
    pixels with the lowest ``p[y]`` if that is more. Mean over the kept, weighted as
    `cross_entropy`.
    """
    known = labels_NHW != IGNORE
    count = int(known.sum())
    if count == 0:
        return scores_NKHW.sum() * 0
    true = -F.cross_entropy(scores_NKHW.detach(), labels_NHW, ignore_index=IGNORE, reduction="none")
    log_p = true[known]
    least = max(1, math.ceil(keep * count))
    limit = log_p.kthvalue(least).values.clamp(min=math.log(threshold))
    kept = torch.where(known & (true <= limit), labels_NHW, IGNORE)
    return cross_entropy(scores_NKHW, kept, weights_K, smoothing)


def dice(scores_NKHW: Tensor, labels_NHW: Tensor) -> Tensor:
    """Soft Dice loss (Milletari et al. 2016, V-Net), over the classes that the batch's truth has.

    ``1 - mean_k (2 * sum p[k] g[k] + 1) / (sum p[k]^2 + sum g[k]^2 + 1)`` with ``g[k]`` 1 where the
    label is k; sums run over the labelled pixels of the whole batch.
    """
    classes = scores_NKHW.shape[1]
    known = (labels_NHW != IGNORE)[:, None]
    p = scores_NKHW.softmax(dim=1) * known
    truth = F.one_hot(torch.where(known[:, 0], labels_NHW, 0), classes).permute(0, 3, 1, 2) * known
    dims = (0, 2, 3)
    area_K = truth.sum(dim=dims)
    overlap_K = (p * truth).sum(dim=dims)
    score_K = (2 * overlap_K + 1) / (p.square().sum(dim=dims) + area_K + 1)
    present = area_K > 0
    return ((1 - score_K) * present).sum() / present.sum().clamp(min=1)


class SegmentationLoss(nn.Module):
    """A recipe's ``[loss]`` at the labels' size, plus the auxiliary outputs', scaled.

    Scores of any stride are resized bilinearly to the labels first. All of it is computed in
    float32, whatever the network ran in.
    """

    weights: Tensor

    def __init__(self, weights_K: Tensor, config: LossConfig) -> None:
        super().__init__()
        self.register_buffer("weights", weights_K)
        self.config = config

    def mass(self, labels_NHW: Tensor) -> Tensor:
        """What a part of a batch weighs in the whole's mean: its labelled pixels' class weights.

        The mean of parts, weighted by this, is exactly the cross-entropy of the whole; for ohem
        and Dice, which look at many pixels together, it is their mean over the parts.
        """
        return pixel_weights(labels_NHW, self.weights).sum(dtype=torch.float64)

    def term(self, scores_NKhw: Tensor, labels_NHW: Tensor) -> Tensor:
        """The loss of one output, without auxiliary ones."""
        config = self.config
        full = F.interpolate(
            scores_NKhw.float(), size=labels_NHW.shape[1:], mode="bilinear", align_corners=False
        )
        if config.name == "dice":
            return dice(full, labels_NHW)
        if config.name == "ohem":
            return ohem_cross_entropy(
                full,
                labels_NHW,
                self.weights,
                threshold=config.ohem_threshold,
                keep=config.ohem_keep,
                smoothing=config.label_smoothing,
            )
        loss = cross_entropy(full, labels_NHW, self.weights, config.label_smoothing)
        if config.name == "cross_entropy+dice":
            loss = loss + config.dice_weight * dice(full, labels_NHW)
        return loss

    def forward(self, outputs: Tensor | Sequence[Tensor | None], labels_NHW: Tensor) -> Tensor:
        """The loss of scores, or of (scores, auxiliary ...), against labels int64 ``[N, H, W]``."""
        main, *others = (outputs,) if isinstance(outputs, Tensor) else outputs
        assert main is not None, "a network always gives its main scores"
        loss = self.term(main, labels_NHW)
        if self.config.auxiliary > 0:
            for other in others:
                if other is not None:
                    loss = loss + self.config.auxiliary * self.term(other, labels_NHW)
        return loss
