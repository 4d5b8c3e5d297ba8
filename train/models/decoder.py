"""The decoder of DeepLabV3+."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from train.models.layers import conv_bn_relu, resize_like, separable_conv


class SkipDecoder(nn.Module):
    """The decoder of DeepLabV3+ (Chen et al. 2018): low features to 48 channels, concatenated.

    ``head [N, c, h, w], low [N, c_low, H/s, W/s] -> [N, channels, H/s, W/s]`` with s 4 as
    in the paper, or 8. The 3x3 convolutions that follow are dense, as in the paper's section 4, or
    depthwise-separable, as in its Xception variant.
    """

    def __init__(
        self,
        c_head: int,
        c_low: int,
        channels: int,
        *,
        low_channels: int = 48,
        head_channels: int = 0,
        depth: int = 1,
        separable: bool = True,
    ) -> None:
        super().__init__()
        self.project = conv_bn_relu(c_low, low_channels)
        self.reduce: nn.Module = nn.Identity()
        if head_channels:
            self.reduce, c_head = conv_bn_relu(c_head, head_channels), head_channels
        sizes = list(pairwise([c_head + low_channels] + [channels] * depth))
        self.fuse = nn.Sequential(
            *(separable_conv(a, b) if separable else conv_bn_relu(a, b, 3) for a, b in sizes)
        )
        self.out_channels = channels

    def forward(self, head_NCHW: Tensor, low_NCHW: Tensor) -> Tensor:
        """Enlarge the head's output, join the low features, fuse."""
        low = self.project(low_NCHW)
        fused: Tensor = self.fuse(torch.cat([resize_like(self.reduce(head_NCHW), low), low], dim=1))
        return fused
