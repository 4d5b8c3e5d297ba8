"""Pyramid pooling (PSPNet)."""

from __future__ import annotations

from typing import Literal, TypeAlias, cast

import torch
from torch import Tensor, nn

from train.models.layers import adaptive_avg_pool, conv_bn_relu, pooled_features, resize_like

PYRAMID_BINS = (1, 2, 3, 6)

Bin1: TypeAlias = Literal["norm", "bias"]
"""What follows the convolution of the pyramid's bin of one pixel."""


class PyramidPooling(nn.Module):
    """Pyramid pooling module (PSPNet, Zhao et al. 2017): bins 1, 2, 3 and 6, concatenated.

    ``[N, c_in, h, w] -> [N, channels, h, w]`` for any h, w >= 1. `kernel` is that of the fusing
    convolution: 3 as in the paper, 1 for speed. `bin1`: BatchNorm after each branch's convolution
    as in the authors' code ("norm"), or a bias instead of it in the branch of one pixel ("bias").
    """

    def __init__(
        self,
        c_in: int,
        channels: int,
        *,
        kernel: int = 3,
        dropout: float = 0.1,
        bin1: Bin1 = "norm",
    ) -> None:
        super().__init__()
        branch = c_in // len(PYRAMID_BINS)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c_in, branch, 1), nn.ReLU(inplace=True))
            if bins == 1 and bin1 == "bias"
            else conv_bn_relu(c_in, branch)
            for bins in PYRAMID_BINS
        )
        self.fuse = conv_bn_relu(c_in + branch * len(PYRAMID_BINS), channels, kernel)
        self.dropout = nn.Dropout2d(dropout)
        self.out_channels = channels

    def _pooled(self, x_NCHW: Tensor, bins: int, branch: nn.Sequential) -> Tensor:
        pooled = adaptive_avg_pool(x_NCHW, bins)
        if bins == 1 and len(branch) == 3:
            return pooled_features(branch, pooled)
        features: Tensor = branch(pooled)
        return features

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Pool, enlarge, concatenate, fuse."""
        pyramid = [
            resize_like(self._pooled(x_NCHW, bins, cast(nn.Sequential, branch)), x_NCHW)
            for bins, branch in zip(PYRAMID_BINS, self.branches, strict=True)
        ]
        fused: Tensor = self.fuse(torch.cat([x_NCHW, *pyramid], dim=1))
        out: Tensor = self.dropout(fused)
        return out
