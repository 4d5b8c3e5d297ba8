"""Layers that several networks share. Everything here exports to ONNX with a dynamic picture size.

Pooling modules of PyTorch only export where the bins divide the map; pooling is two small matrix
products instead. Shape legend: N batch, C channels, h and w a feature map's size.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


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


def pooled_features(branch: nn.Sequential, pooled_NC11: Tensor) -> Tensor:
    """A `conv_bn_relu` on one value a channel: the mean of each whole picture.

    A single value has no variance: BatchNorm cannot train on a batch of one picture here, its
    running statistics serve instead.
    """
    norm = branch[1]
    alone = norm.training and pooled_NC11.shape[0] == 1
    if alone:
        norm.eval()
    features: Tensor = branch(pooled_NC11)
    if alone:
        norm.train()
    return features


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
