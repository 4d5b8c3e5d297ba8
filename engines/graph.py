"""The network as it is deployed: uint8 frames in, uint8 labels out, written for speed.

The same function as `train.models` computes (a test compares them), rearranged where algebra makes
it cheaper. Knows nothing about files or ONNX.

- BatchNorm is folded into the convolutions, the scale of the pixels into the first of them.
- The pyramid's fusing convolution is linear, and so is upsampling: it is applied to the pooled bins
  (36 pixels) instead of their enlargements (see `DeployedPyramid`). Half of the network's most
  expensive convolution goes away.
- Ratios of feature-map sizes are constants, so that ONNX Runtime keeps its blocked layout through
  the enlargements.

Shape legend: N batch, C channels, K classes, H and W the input size in pixels (multiples of 32), h
and w a feature map's size, k a kernel's side, B all bins of one axis (1 + 2 + 3 + 6 = 12).
"""

from __future__ import annotations

import copy
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from train.models import Segmenter
from train.models.decoder import SkipDecoder
from train.models.layers import resize_like
from train.models.ocr import OcrHead
from train.models.pooled import PooledHead
from train.models.pyramid import PYRAMID_BINS, PyramidPooling
from train.models.segmenter import DECODER_MAPS, at_scale, normalise, shrink


def fold_batchnorm(module: nn.Module) -> None:
    """Fold every BatchNorm into the convolution before it, in place.

    Before it: in an `nn.Sequential`, or, in torchvision's ResNets, ``bn2`` after ``conv2``.
    """
    children = list(module.named_children())
    for _, child in children:
        fold_batchnorm(child)
    followers = {f"conv{digit}": f"bn{digit}" for digit in "123"}
    for (name, first), (next_name, second) in pairwise(children):
        follows = isinstance(module, nn.Sequential) or followers.get(name) == next_name
        if follows and isinstance(first, nn.Conv2d) and isinstance(second, nn.BatchNorm2d):
            setattr(module, name, fuse_conv_bn_eval(first, second))
            setattr(module, next_name, nn.Identity())


def fold_pixel_scale(conv: nn.Conv2d) -> float:
    """Scale the first convolution's weights in place; return what to add to its pixels first.

    `normalise` is a line, ``scale * p + offset``, so ``w * normalise(p)`` is
    ``(w * scale) * (p + offset / scale)``. The addition stays a step of its own: the picture is
    padded with zeros after it.
    """
    black, white = normalise(torch.tensor([0, 255], dtype=torch.uint8)).double().tolist()
    scale = (white - black) / 255
    conv.weight.data.mul_(scale)
    return float(black / scale)


class DeployedPyramid(nn.Module):
    """`PyramidPooling` with the pooled branches' share of the fusing convolution done on the bins.

    The head computes ``relu(conv(concat(x, up(y_1), up(y_2), ...)))``. Convolution is a sum over
    its input channels and over its k * k taps, a tap is a 1x1 convolution and a shift, and a 1x1
    convolution commutes with enlarging. So the share of ``y_b`` is
    ``sum over taps of shift(up(conv1x1(y_b)))``; shift and enlargement along each axis are one
    matrix ``[h, k * b]``, that of all bins ``[h, k * B]``. Exact, up to the order of additions.
    """

    row_bins: Tensor
    tap_bins: Tensor
    tap_index: Tensor
    tap_shift: Tensor
    bin_index: Tensor

    def __init__(self, head: PyramidPooling) -> None:
        super().__init__()
        conv = cast(nn.Conv2d, head.fuse[0])
        self.kernel, channels = conv.kernel_size[0], conv.out_channels
        assert conv.bias is not None, "fold BatchNorm first"
        self.branches = head.branches
        c_in = conv.in_channels - sum(cast(nn.Conv2d, b[0]).out_channels for b in self.sequences())
        self.fuse = nn.Conv2d(c_in, channels, self.kernel, padding=self.kernel // 2)
        self.fuse.weight.data = conv.weight.data[:, :c_in].clone()
        self.fuse.bias = conv.bias
        taps, start = [], c_in
        for branch in self.sequences():
            width = cast(nn.Conv2d, branch[0]).out_channels
            share = conv.weight.data[:, start : start + width]
            tap = nn.Conv2d(width, channels * self.kernel**2, 1, bias=False)
            tap.weight.data = share.permute(0, 2, 3, 1).reshape(-1, width, 1, 1).clone()
            taps.append(tap)
            start += width
        self.taps = nn.ModuleList(taps)
        # Multiplies by 1. As a convolution's output the share is in ONNX Runtime's blocked layout,
        # so that its addition and everything after it stay there (measured: 2 ms of 57).
        self.join = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
        self.join.weight.data.fill_(1)
        pooled = [(float(bins), float(i)) for bins in PYRAMID_BINS for i in range(bins)]
        spread = [
            (float(bins), float(i), float(tap - self.kernel // 2))
            for bins in PYRAMID_BINS
            for tap in range(self.kernel)
            for i in range(bins)
        ]
        self.register_buffer("row_bins", torch.tensor([b for b, _ in pooled])[:, None])
        self.register_buffer("bin_index", torch.tensor([i for _, i in pooled])[:, None])
        self.register_buffer("tap_bins", torch.tensor([b for b, _, _ in spread])[None, :])
        self.register_buffer("tap_index", torch.tensor([i for _, i, _ in spread])[None, :])
        self.register_buffer("tap_shift", torch.tensor([s for _, _, s in spread])[None, :])

    def sequences(self) -> list[nn.Sequential]:
        """The branches, typed."""
        return [cast(nn.Sequential, branch) for branch in self.branches]

    def pooling_matrix(self, size: Tensor, cells: Tensor) -> Tensor:
        """``[B, size]``: the adaptive average pooling matrices of all bins, one under another.

        In floats, because they export to few operators; exact as long as a map's side is below
        2 ** 20 pixels.
        """
        start = torch.floor(self.bin_index * size / self.row_bins)
        stop = torch.ceil((self.bin_index + 1) * size / self.row_bins)
        inside = (cells - start + 1).clamp(0, 1) * (stop - cells).clamp(0, 1)
        return inside / (stop - start)

    def spreading_matrix(self, size: Tensor, cells: Tensor) -> Tensor:
        """``[size, k * B]``: bilinear enlargement from each bin, shifted by each tap.

        A bin's weight falls from 1 at its centre to 0 at the next centre; beyond the outermost
        centres it stays 1 (edges repeat); a tap that reads outside the map reads zero padding.
        """
        read = cells[:, None] + self.tap_shift
        source = (read + 0.5) * self.tap_bins / size - 0.5
        source = torch.minimum(source.clamp(min=0), self.tap_bins - 1)
        hat = (1 - (source - self.tap_index).abs()).clamp(min=0)
        return hat * (read + 1).clamp(0, 1) * (size - read).clamp(0, 1)

    def forward(self, x_NChw: Tensor) -> Tensor:
        """``[N, c_in, h, w] -> [N, channels, h, w]``, as `PyramidPooling.forward`."""
        down, spread = [], []
        for axis in (2, 3):
            cells = torch.arange(x_NChw.shape[axis], device=x_NChw.device).to(x_NChw.dtype)
            size = cells[-1:] + 1  # a tensor: a symbolic number would export to many more operators
            down.append(self.pooling_matrix(size, cells))
            spread.append(self.spreading_matrix(size, cells))
        k = self.kernel
        pooled = torch.matmul(down[0], torch.matmul(x_NChw, down[1].transpose(0, 1)))
        rows, start = [], 0
        for bins, branch, tap in zip(PYRAMID_BINS, self.branches, self.taps, strict=True):
            stop = start + bins
            y = tap(branch(pooled[:, :, start:stop, start:stop]))
            y = y.reshape(-1, self.fuse.out_channels, k, k, bins, bins)
            y = y.permute(0, 1, 2, 4, 3, 5)
            y = y.reshape(-1, self.fuse.out_channels, k * bins, k * bins)
            rows.append(torch.matmul(spread[0][:, k * start : k * stop], y))
            start = stop
        share = torch.matmul(torch.cat(rows, dim=3), spread[1].transpose(0, 1))
        return F.relu(self.fuse(x_NChw) + self.join(share))


class DeployedPooled(nn.Module):
    """`PooledHead` with the picture's mean fused as one vector, not as a map of equal pixels.

    Exact for a 1x1 fusion; a larger kernel, which sees padding at the borders, keeps the map.
    """

    def __init__(self, head: PooledHead) -> None:
        super().__init__()
        self.pooling, self.branch, self.whole = head.pooling, head.branch, head
        conv = cast(nn.Conv2d, head.fuse[0])
        self.apart = conv.kernel_size == (1, 1)
        if self.apart:
            del self.whole
            assert conv.bias is not None, "fold BatchNorm first"
            half = head.BRANCH
            self.fuse = nn.Conv2d(half, conv.out_channels, 1)
            self.fuse.weight.data, self.fuse.bias = conv.weight.data[:, half:].clone(), conv.bias
            self.vector = nn.Conv2d(half, conv.out_channels, 1, bias=False)
            self.vector.weight.data = conv.weight.data[:, :half].clone()

    def forward(self, x_NChw: Tensor) -> Tensor:
        """As `PooledHead.forward`."""
        if not self.apart:
            out: Tensor = self.whole(x_NChw)
            return out
        image = self.vector(self.pooling(x_NChw.mean(dim=(2, 3), keepdim=True)))
        return F.relu(self.fuse(self.branch(x_NChw)) + image)


class DeployedSkip(nn.Module):
    """`SkipDecoder` whose enlargement is a constant."""

    def __init__(self, decoder: SkipDecoder, factor: int) -> None:
        super().__init__()
        self.project, self.fuse, self.factor = decoder.project, decoder.fuse, factor
        self.reduce = decoder.reduce

    def forward(self, head_NChw: Tensor, low_NChw: Tensor) -> Tensor:
        """As `SkipDecoder.forward`."""
        low = self.project(low_NChw)
        fused: Tensor = self.fuse(
            torch.cat([enlarge(self.reduce(head_NChw), self.factor), low], dim=1)
        )
        return fused


def enlarge(x_NChw: Tensor, factor: float) -> Tensor:
    """Bilinear (half-pixel centres) by a constant factor."""
    if factor == 1:
        return x_NChw
    return F.interpolate(x_NChw, scale_factor=float(factor), mode="bilinear", align_corners=False)


class DeployedNetwork(nn.Module):
    """Frames uint8 ``[N, H, W, 3]`` RGB to labels uint8 ``[N, H, W]``; the model file's contract.

    Args:
        model: the trained network; it is copied, not changed.
        label_stride: picture pixels per decided label; None takes the network's own.
    """

    def __init__(self, model: Segmenter, *, label_stride: int | None = None) -> None:
        super().__init__()
        model = copy.deepcopy(model).eval().requires_grad_(False)
        fold_batchnorm(model)
        stride = model.spec.output_stride
        self.backbone = model.backbone
        first = next(m for m in self.backbone.modules() if isinstance(m, nn.Conv2d))
        self.pixel_offset = fold_pixel_scale(first)
        self.head: nn.Module = model.head
        if isinstance(model.head, PyramidPooling):
            self.head = DeployedPyramid(model.head)
        elif isinstance(model.head, PooledHead):
            self.head = DeployedPooled(model.head)
        self.decoder: DeployedSkip | None = None
        if model.decoder is not None:
            self.decoder = DeployedSkip(model.decoder, stride // model.spec.decoder_stride)
            stride = model.spec.decoder_stride
        self.low = DECODER_MAPS[model.spec.decoder_stride]
        self.classifier = model.classifier
        # The OCR head's soft regions are the auxiliary head's scores; others only train with it.
        self.regions = model.auxiliary if isinstance(model.head, OcrHead) else None
        self.scales = model.spec.scales
        self.input_scale = model.spec.input_scale
        self.label_stride = label_stride or model.spec.label_stride
        self.score_factor = stride / self.label_stride

    def forward(self, frames_NHWC: Tensor) -> Tensor:
        """Labels of frames."""
        height, width = frames_NHWC.shape[1:3]
        x = frames_NHWC.to(torch.float32).permute(0, 3, 1, 2) + self.pixel_offset
        x = shrink(x, self.input_scale)
        if not self.scales:
            return self.labels(self.scores(x), height, width)
        largest = self.scores(x)
        fused = largest
        for scale in self.scales:
            if scale != 1:
                smaller = self.scores(at_scale(x, scale))
                fused = torch.maximum(fused, resize_like(smaller, largest))
        return self.labels(fused, height, width)

    def scores(self, x_NCHW: Tensor) -> Tensor:
        """`Segmenter.scores` of pictures, at the network's own stride."""
        maps = self.backbone(x_NCHW)
        x = maps["out"]
        if self.regions is not None:
            x = self.head(x, resize_like(self.regions(maps["aux"]), x))
        else:
            x = self.head(x)
        if self.decoder is not None:
            x = self.decoder(x, maps[self.low])
        out: Tensor = self.classifier(x)
        return out

    def labels(self, scores_NKhw: Tensor, height: int, width: int) -> Tensor:
        """`train.models.low_resolution_argmax`, with constant factors where there are any."""
        if self.input_scale == 1:
            scores = enlarge(scores_NKhw, self.score_factor)
        else:
            size = (height // self.label_stride, width // self.label_stride)
            scores = F.interpolate(scores_NKhw, size=size, mode="bilinear", align_corners=False)
        labels = scores.argmax(dim=1, keepdim=True).to(torch.float32)
        if self.label_stride > 1:
            labels = F.interpolate(labels, scale_factor=float(self.label_stride), mode="nearest")
        return labels.squeeze(1).to(torch.uint8)
