"""Heads: what turns a backbone's last feature map into class scores.

Everything here exports to ONNX with a dynamic picture size: no adaptive pooling modules (they only
export where the bins divide the map), pooling is two small matrix products instead.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PYRAMID_BINS = (1, 2, 3, 6)


def conv_bn_relu(
    c_in: int, c_out: int, kernel: int = 1, *, groups: int = 1, dilation: int = 1
) -> nn.Sequential:
    """A convolution that keeps the size, then BatchNorm and ReLU."""
    return nn.Sequential(
        nn.Conv2d(
            c_in,
            c_out,
            kernel,
            padding=dilation * (kernel // 2),
            groups=groups,
            dilation=dilation,
            bias=False,
        ),
        nn.BatchNorm2d(c_out),
        nn.ReLU(inplace=True),
    )


def separable_conv(c_in: int, c_out: int, *, dilation: int = 1) -> nn.Sequential:
    """Depthwise 3x3 then 1x1, each with BatchNorm and ReLU (DeepLabV3+, section 3.1)."""
    return nn.Sequential(
        conv_bn_relu(c_in, c_in, 3, groups=c_in, dilation=dilation),
        conv_bn_relu(c_in, c_out, 1),
    )


def pooling_matrix(size: int, bins: int, *, like: Tensor) -> Tensor:
    """The matrix `[bins, size]` whose product averages as `adaptive_avg_pool1d` does.

    Row i averages ``floor(i * size / bins)`` up to ``ceil((i + 1) * size / bins)``. Written with
    ranges and comparisons only, so that `size` may be a symbol while a graph is exported.
    """
    cells = torch.arange(size, device=like.device)[None, :]
    rows = torch.arange(bins, device=like.device)[:, None]
    start = (rows * size) // bins
    stop = ((rows + 1) * size + bins - 1) // bins
    inside = (cells >= start) & (cells < stop)
    return inside.to(like.dtype) / (stop - start).to(like.dtype)


def adaptive_avg_pool(x_NCHW: Tensor, bins: int) -> Tensor:
    """`F.adaptive_avg_pool2d(x, bins)` as two matrix products: exact, exports at any size."""
    if bins == 1:
        return x_NCHW.mean(dim=(2, 3), keepdim=True)
    rows = pooling_matrix(x_NCHW.shape[2], bins, like=x_NCHW)
    columns = pooling_matrix(x_NCHW.shape[3], bins, like=x_NCHW)
    return torch.matmul(torch.matmul(rows, x_NCHW), columns.transpose(0, 1))


def resize_like(x_NCHW: Tensor, reference: Tensor) -> Tensor:
    """Bilinear resize (half-pixel centres) to the height and width of `reference`."""
    return F.interpolate(x_NCHW, size=reference.shape[2:], mode="bilinear", align_corners=False)


class PyramidPooling(nn.Module):
    """Pyramid pooling module (PSPNet, Zhao et al. 2017): bins 1, 2, 3 and 6, concatenated.

    ``[N, c_in, h, w] -> [N, channels, h, w]`` for any h, w >= 1. `kernel` is that of the fusing
    convolution: 3 as in the paper, 1 for speed.
    """

    def __init__(self, c_in: int, channels: int, *, kernel: int = 3, dropout: float = 0.1) -> None:
        super().__init__()
        branch = c_in // len(PYRAMID_BINS)
        # A bin of one pixel and a batch of one has no variance: BatchNorm cannot train on it, so
        # that branch has a bias instead.
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Conv2d(c_in, branch, 1), nn.ReLU(inplace=True))
            if bins == 1
            else conv_bn_relu(c_in, branch)
            for bins in PYRAMID_BINS
        )
        self.fuse = conv_bn_relu(c_in + branch * len(PYRAMID_BINS), channels, kernel)
        self.dropout = nn.Dropout2d(dropout)
        self.out_channels = channels

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Pool, enlarge, concatenate, fuse."""
        pyramid = [
            resize_like(branch(adaptive_avg_pool(x_NCHW, bins)), x_NCHW)
            for bins, branch in zip(PYRAMID_BINS, self.branches, strict=True)
        ]
        fused: Tensor = self.fuse(torch.cat([x_NCHW, *pyramid], dim=1))
        out: Tensor = self.dropout(fused)
        return out


class SkipDecoder(nn.Module):
    """The decoder of DeepLabV3+ (Chen et al. 2018): stride-4 features to 48 channels, concatenated.

    ``head [N, c, h, w], low [N, c_low, H/4, W/4] -> [N, channels, H/4, W/4]``. The paper's two 3x3
    convolutions are depthwise-separable here, as in the paper's own Xception variant.
    """

    def __init__(self, c_head: int, c_low: int, channels: int, *, depth: int = 1) -> None:
        super().__init__()
        self.project = conv_bn_relu(c_low, 48)
        sizes = [c_head + 48] + [channels] * depth
        self.fuse = nn.Sequential(*(separable_conv(a, b) for a, b in pairwise(sizes)))
        self.out_channels = channels

    def forward(self, head_NCHW: Tensor, low_NCHW: Tensor) -> Tensor:
        """Enlarge the head's output, join the low features, fuse."""
        low = self.project(low_NCHW)
        fused: Tensor = self.fuse(torch.cat([resize_like(head_NCHW, low), low], dim=1))
        return fused


HEADS: dict[str, Callable[..., PyramidPooling]] = {"ppm": PyramidPooling}
