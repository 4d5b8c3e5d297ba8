"""The whole network: backbone -> head -> optional decoder -> class scores.

Knows nothing about optimisers, data sets or files. Shape legend: N batch, K classes, H and W the
input size in pixels; every size a multiple of 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.models.backbones import BACKBONES
from train.models.heads import HEADS, SkipDecoder, conv_bn_relu


@dataclass(kw_only=True, slots=True, frozen=True)
class ModelSpec:
    """What `build_model` needs; a recipe's ``[model]`` table and a checkpoint's header hold it."""

    classes: int = 0
    """Number of classes, K; 0 until the data set has said it."""
    backbone: str = "mobilenet_v2"
    output_stride: int = 16
    """Picture pixels per pixel of the backbone's last feature map: 8 or 16."""
    head: str = "ppm"
    head_channels: int = 256
    head_kernel: int = 3
    decoder: Literal["none", "skip"] = "none"
    decoder_channels: int = 128
    decoder_depth: int = 1
    label_stride: int = 1
    """Picture pixels per decided label: scores are resized to H / label_stride, argmax is taken
    there, and labels are repeated. 1 is exact and slow, 4 fast."""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("backbone", self.backbone, list(BACKBONES)),
            ("head", self.head, list(HEADS)),
            ("decoder", self.decoder, ["none", "skip"]),
            ("output_stride", self.output_stride, [8, 16, 32]),
            ("label_stride", self.label_stride, [1, 2, 4, 8]),
            ("head_kernel", self.head_kernel, [1, 3]),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}; known: {known}")
        for name, number in (
            ("head_channels", self.head_channels),
            ("decoder_channels", self.decoder_channels),
            ("decoder_depth", self.decoder_depth),
        ):
            if number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}")
        if self.classes != 0 and not 2 <= self.classes <= 255:
            raise ValueError(f"classes must be 2..255 (255 means ignore), got {self.classes}")


class Segmenter(nn.Module):
    """A semantic-segmentation network of a backbone, a head and, optionally, a decoder.

    `forward` takes normalised pictures ``[N, 3, H, W]`` float in [-1, 1] and returns scores
    ``[N, K, H/s, W/s]`` (s: 4 with a decoder, else the output stride), with, while training, the
    auxiliary scores (PSPNet, section 4) as the second of a pair.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = BACKBONES[spec.backbone](output_stride=spec.output_stride)
        self.head = HEADS[spec.head](
            self.backbone.out_channels, spec.head_channels, kernel=spec.head_kernel
        )
        channels = self.head.out_channels
        self.decoder: SkipDecoder | None = None
        if spec.decoder == "skip":
            self.decoder = SkipDecoder(
                channels,
                self.backbone.low_channels,
                spec.decoder_channels,
                depth=spec.decoder_depth,
            )
            channels = self.decoder.out_channels
        self.classifier = nn.Conv2d(channels, spec.classes, 1)
        self.auxiliary = nn.Sequential(
            conv_bn_relu(self.backbone.aux_channels, 96, 3),
            nn.Dropout2d(0.1),
            nn.Conv2d(96, spec.classes, 1),
        )

    def scores(self, maps: dict[str, Tensor]) -> Tensor:
        """Class scores at the network's own stride, from the backbone's feature maps."""
        x = self.head(maps["out"])
        if self.decoder is not None:
            x = self.decoder(x, maps["low"])
        out: Tensor = self.classifier(x)
        return out

    def forward(self, pictures_NCHW: Tensor) -> Tensor | tuple[Tensor, Tensor]:
        """Scores; while training, a pair with the auxiliary scores."""
        maps = self.backbone(pictures_NCHW)
        if self.training:
            return self.scores(maps), self.auxiliary(maps["aux"])
        return self.scores(maps)


def normalise(pictures: Tensor) -> Tensor:
    """uint8 0..255 to float32 in [-1, 1]: the one place that knows what the networks are fed."""
    return pictures.to(torch.float32) * (1 / 127.5) - 1.0


def build_model(spec: ModelSpec) -> Segmenter:
    """A network with random weights; load a backbone's or a checkpoint's into it afterwards.

    Raises:
        ValueError: the number of classes is not known yet.
    """
    if not spec.classes:
        raise ValueError("the number of classes is not known: open the data set first")
    return Segmenter(spec)


def low_resolution_argmax(scores_NKhw: Tensor, height: int, width: int, stride: int) -> Tensor:
    """Labels uint8 ``[N, height, width]`` decided at 1/stride of the size, then repeated.

    Scores are resized bilinearly to ``height // stride`` by ``width // stride``.
    """
    small = F.interpolate(
        scores_NKhw, size=(height // stride, width // stride), mode="bilinear", align_corners=False
    )
    labels = small.argmax(dim=1, keepdim=True).to(torch.float32)
    if stride > 1:
        labels = F.interpolate(labels, size=(height, width), mode="nearest")
    return labels.squeeze(1).to(torch.uint8)
