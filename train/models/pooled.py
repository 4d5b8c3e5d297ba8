"""The head that MobileNetV2's authors put on their DeepLab: no dilated branches."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.models.layers import conv_bn_relu, pooled_features


class PooledHead(nn.Module):
    """A 1x1 branch and the whole picture's mean, concatenated, fused by a 1x1 convolution.

    DeepLabV3 without its dilated 3x3 branches, as Sandler et al. 2018 (section 6.3) use it on
    MobileNetV2: they cost more than the backbone, and hardly helped. ``[N, c_in, h, w] ->
    [N, channels, h, w]``; both branches have 256 channels whatever `channels` is, so that weights
    trained in that form fit. `kernel` is that of the fusing convolution.
    """

    BRANCH = 256

    def __init__(self, c_in: int, channels: int, *, kernel: int = 1, dropout: float = 0.1) -> None:
        super().__init__()
        self.pooling = conv_bn_relu(c_in, self.BRANCH)
        self.branch = conv_bn_relu(c_in, self.BRANCH)
        self.fuse = conv_bn_relu(2 * self.BRANCH, channels, kernel)
        self.dropout = nn.Dropout2d(dropout)
        self.out_channels = channels

    def forward(self, x_NChw: Tensor) -> Tensor:
        """Both branches, concatenated, fused."""
        image = pooled_features(self.pooling, x_NChw.mean(dim=(2, 3), keepdim=True))
        image = image.expand(-1, -1, x_NChw.shape[2], x_NChw.shape[3])
        fused: Tensor = self.fuse(torch.cat([image, self.branch(x_NChw)], dim=1))
        out: Tensor = self.dropout(fused)
        return out
