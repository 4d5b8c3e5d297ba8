"""Atrous spatial pyramid pooling in its three forms: concatenated, DeepLabV3's, DeepLabV2's.

Every head here maps ``[N, c_in, h, w]`` to ``[N, out_channels, h, w]``. Shape legend: N batch, C
channels, h and w the feature map's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from train.models.layers import conv_bn_relu


class PlainAspp(nn.Module):
    """Parallel dilated 3x3 convolutions, concatenated, then fused (report 000: rates 1, 2, 3, 6).

    The pooling branches of `PyramidPooling` replaced by dilated ones: each has c_in / 4 channels,
    and the input is concatenated too, so that the two heads differ in nothing else.
    """

    def __init__(
        self,
        c_in: int,
        channels: int,
        *,
        rates: Sequence[int] = (1, 2, 3, 6),
        kernel: int = 3,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        branch = c_in // len(rates)
        self.branches = nn.ModuleList(
            conv_bn_relu(c_in, branch, 3, dilation=rate) for rate in rates
        )
        self.fuse = conv_bn_relu(c_in + branch * len(rates), channels, kernel)
        self.dropout = nn.Dropout2d(dropout)
        self.out_channels = channels

    def forward(self, x_NChw: Tensor) -> Tensor:
        """Dilated branches beside the input, fused."""
        maps = [x_NChw, *(branch(x_NChw) for branch in self.branches)]
        out: Tensor = self.dropout(self.fuse(torch.cat(maps, dim=1)))
        return out


class DeepLabV3Head(nn.Module):
    """DeepLabV3's ASPP (Chen et al. 2017, section 3.3): 1x1, dilated 3x3s and image pooling.

    The branches are concatenated and projected by a 1x1. `kernel` 3 adds the 3x3 convolution that
    torchvision's DeepLabV3 has before its classifier (its pretrained weights need it); 1 leaves it
    out, as the paper does. Rates are for output stride 16; the paper doubles them at stride 8.
    """

    def __init__(
        self,
        c_in: int,
        channels: int,
        *,
        rates: Sequence[int] = (6, 12, 18),
        kernel: int = 1,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [
                conv_bn_relu(c_in, channels),
                *(conv_bn_relu(c_in, channels, 3, dilation=rate) for rate in rates),
            ]
        )
        self.pooling = conv_bn_relu(c_in, channels)
        self.project = conv_bn_relu(channels * (len(rates) + 2), channels)
        self.dropout = nn.Dropout(dropout)
        self.refine: nn.Module = (
            conv_bn_relu(channels, channels, 3) if kernel == 3 else nn.Identity()
        )
        self.out_channels = channels

    def _image_features(self, x_NChw: Tensor) -> Tensor:
        pooled = x_NChw.mean(dim=(2, 3), keepdim=True)
        norm = cast(nn.BatchNorm2d, self.pooling[1])
        # One value a channel has no variance: BatchNorm cannot train on a batch of one picture
        # here, its running statistics serve instead.
        training = norm.training
        norm.train(training and x_NChw.shape[0] > 1)
        image: Tensor = self.pooling(pooled)
        norm.train(training)
        return image.expand(-1, -1, x_NChw.shape[2], x_NChw.shape[3])

    def forward(self, x_NChw: Tensor) -> Tensor:
        """All branches, concatenated, projected."""
        maps = [branch(x_NChw) for branch in self.branches]
        joined = torch.cat([*maps, self._image_features(x_NChw)], dim=1)
        out: Tensor = self.refine(self.dropout(self.project(joined)))
        return out


class AsppL(nn.Module):
    """DeepLabV2's ASPP-L (Chen et al. 2018, section 3.2): dilated 3x3, two 1x1, a sum.

    Rates 6, 12, 18, 24. The second 1x1 of each branch gives class scores, and scores are summed.
    That sum is one 1x1 convolution over the concatenated branches, so this module stops before it
    and the network's classifier is it: exactly the same function, one convolution instead of four.
    Its ``[N, 4 * channels, h, w]`` are that concatenation. As in the paper there is no BatchNorm,
    and dropout of 0.5 after both layers.
    """

    def __init__(
        self,
        c_in: int,
        channels: int,
        *,
        rates: Sequence[int] = (6, 12, 18, 24),
        kernel: int = 3,
        dropout: float = 0.5,
    ) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(c_in, channels, kernel, padding=rate * (kernel // 2), dilation=rate),
                nn.ReLU(inplace=True),
                nn.Dropout2d(dropout),
                nn.Conv2d(channels, channels, 1),
                nn.ReLU(inplace=True),
                nn.Dropout2d(dropout),
            )
            for rate in rates
        )
        self.out_channels = channels * len(rates)

    def forward(self, x_NChw: Tensor) -> Tensor:
        """Branches, concatenated for the classifier that sums them."""
        return torch.cat([branch(x_NChw) for branch in self.branches], dim=1)
