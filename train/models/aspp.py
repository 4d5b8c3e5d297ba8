"""Atrous spatial pyramid pooling: concatenated, DeepLabV3's, and DeepLabV2's two forms.

Heads map ``[N, c_in, h, w]`` to ``[N, out_channels, h, w]``; DeepLabV2's short form is a
classifier. Shape legend: N batch, C channels, K classes, h and w the feature map's size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from train.models.layers import conv_bn_relu, pooled_features


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
        image = pooled_features(self.pooling, x_NChw.mean(dim=(2, 3), keepdim=True))
        return image.expand(-1, -1, x_NChw.shape[2], x_NChw.shape[3])

    def forward(self, x_NChw: Tensor) -> Tensor:
        """All branches, concatenated, projected."""
        maps = [branch(x_NChw) for branch in self.branches]
        joined = torch.cat([*maps, self._image_features(x_NChw)], dim=1)
        out: Tensor = self.refine(self.dropout(self.project(joined)))
        return out


class AsppL(nn.Module):
    """DeepLabV2's ASPP-L on VGG-16 (Chen et al. 2018, figure 7): dilated 3x3, two 1x1, a sum.

    Rates 6, 12, 18, 24; the form that report 001 describes. On ResNet-101 the paper's own network
    and the code behind that report leave the 1x1 layers out: `AsppSum`. The second 1x1 of each
    branch gives class scores, and scores are summed. That sum is one 1x1 convolution over the
    concatenated branches, so this module stops before it and the network's classifier is it:
    exactly the same function, one convolution instead of four. Its ``[N, 4 * channels, h, w]`` are
    that concatenation. As in the paper there is no BatchNorm, and dropout of 0.5 after both layers.
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


class AsppSum(nn.Module):
    """DeepLabV2's ASPP on ResNet-101: dilated 3x3 straight to the classes, their scores added.

    ``[N, c_in, h, w] -> [N, K, h, w]``: a classifier, with no head before it. What the authors' and
    report 001's code run (44.0 M parameters on ResNet-101 with 21 classes), and what DeepLabV2's
    published weights fit.
    """

    def __init__(self, c_in: int, classes: int, *, rates: Sequence[int] = (6, 12, 18, 24)) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            nn.Conv2d(c_in, classes, 3, padding=rate, dilation=rate) for rate in rates
        )
        for branch in self.branches:
            nn.init.normal_(cast(nn.Conv2d, branch).weight, std=0.01)
            nn.init.zeros_(cast(Tensor, branch.bias))

    @property
    def bias(self) -> Tensor:
        """One of the biases that add up to a class's: what changes a class's score changes it."""
        return cast(Tensor, self.branches[0].bias)

    def forward(self, x_NChw: Tensor) -> Tensor:
        """The branches' scores, added."""
        first, *others = self.branches
        scores: Tensor = first(x_NChw)
        for branch in others:
            scores = scores + branch(x_NChw)
        return scores
