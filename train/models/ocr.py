"""Object-contextual representations (Yuan et al. 2020)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.models.layers import conv_bn_relu


def _two_layers(c_in: int, c_out: int) -> nn.Sequential:
    return nn.Sequential(conv_bn_relu(c_in, c_out), conv_bn_relu(c_out, c_out))


class OcrHead(nn.Module):
    """Object-contextual representations (OCR; Yuan et al. 2020, section 3.2).

    ``x [N, c_in, h, w], regions [N, K, h, w] -> [N, channels, h, w]``; `regions` are the auxiliary
    head's class scores, the soft object regions:

    1. gather: each region's representation is the mean of the pixels' features, weighted by the
       softmax of its scores over the picture;
    2. attend: each pixel takes the regions' representations weighted by its similarity to them;
    3. the pixel's features and its context are concatenated and fused.

    Keys and values have channels / 2, as in the authors' code.
    """

    def __init__(self, c_in: int, channels: int, *, kernel: int = 3, dropout: float = 0.05) -> None:
        super().__init__()
        self.key_channels = max(channels // 2, 1)
        self.pixels = conv_bn_relu(c_in, channels, kernel)
        self.query = _two_layers(channels, self.key_channels)
        # 1x1 convolutions on K regions are matrix products; as convolutions they keep BatchNorm
        self.key = _two_layers(channels, self.key_channels)
        self.value = conv_bn_relu(channels, self.key_channels)
        self.expand = conv_bn_relu(self.key_channels, channels)
        self.fuse = conv_bn_relu(2 * channels, channels)
        self.dropout = nn.Dropout2d(dropout)
        self.out_channels = channels

    @staticmethod
    def gather(features_NChw: Tensor, regions_NKhw: Tensor) -> Tensor:
        """Region representations ``[N, C, K, 1]``."""
        weights = regions_NKhw.flatten(2).softmax(dim=2)
        return torch.matmul(features_NChw.flatten(2), weights.transpose(1, 2)).unsqueeze(3)

    def forward(self, x_NChw: Tensor, regions_NKhw: Tensor) -> Tensor:
        """Gather, attend, fuse."""
        features = self.pixels(x_NChw)
        objects = self.gather(features, regions_NKhw)
        query = self.query(features).flatten(2).transpose(1, 2)
        key = self.key(objects).flatten(2)
        value = self.value(objects).flatten(2).transpose(1, 2)
        similarity = torch.matmul(query, key) * self.key_channels**-0.5
        context = torch.matmul(similarity.softmax(dim=2), value).transpose(1, 2)
        context = context.reshape(-1, self.key_channels, x_NChw.shape[2], x_NChw.shape[3])
        joined = torch.cat([self.expand(context), features], dim=1)
        out: Tensor = self.dropout(self.fuse(joined))
        return out
