"""The decoder of DeepLabV3+."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from train.models.layers import conv_bn_relu, resize_like, separable_conv


class SkipDecoder(nn.Module):
    """The decoder of DeepLabV3+ (Chen et al. 2018): stride-4 features to 48 channels, concatenated.

    ``head [N, c, h, w], low [N, c_low, H/4, W/4] -> [N, channels, H/4, W/4]``. The 3x3 convolutions
    that follow are dense, as in the paper's section 4, or depthwise-separable, as in its Xception
    variant.
    """

    def __init__(
        self, c_head: int, c_low: int, channels: int, *, depth: int = 1, separable: bool = True
    ) -> None:
        super().__init__()
        self.project = conv_bn_relu(c_low, 48)
        sizes = list(pairwise([c_head + 48] + [channels] * depth))
        self.fuse = nn.Sequential(
            *(separable_conv(a, b) if separable else conv_bn_relu(a, b, 3) for a, b in sizes)
        )
        self.out_channels = channels

    def forward(self, head_NCHW: Tensor, low_NCHW: Tensor) -> Tensor:
        """Enlarge the head's output, join the low features, fuse."""
        low = self.project(low_NCHW)
        fused: Tensor = self.fuse(torch.cat([resize_like(head_NCHW, low), low], dim=1))
        return fused
