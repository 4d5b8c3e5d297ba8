"""The whole network: backbone -> head -> optional decoder -> class scores.

Knows nothing about optimisers, data sets or files. Shape legend: N batch, K classes, H and W the
input size in pixels; every size a multiple of 32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from train.models.backbones import BACKBONES
from train.models.decoder import SkipDecoder
from train.models.heads import HEADS, RATED, build_head
from train.models.layers import conv_bn_relu, resize_like
from train.models.ocr import OcrHead
from train.models.resnet import RESNETS, BlockStrides


@dataclass(kw_only=True, slots=True, frozen=True)
class ModelSpec:
    """What `build_model` needs; a recipe's ``[model]`` table and a checkpoint's header hold it."""

    classes: int = 0
    """Number of classes, K; 0 until the data set has said it."""
    backbone: str = "mobilenet_v2"
    output_stride: int = 16
    """Picture pixels per pixel of the backbone's last feature map: 8, 16 or 32."""
    multi_grid: tuple[int, int, int] = (1, 1, 1)
    """ResNet: factors on the dilation of layer4's blocks (DeepLabV3)."""
    block_strides: BlockStrides = "resnet"
    """ResNet: where the strides lie; see `ResNetBackbone`."""
    dilation_rule: Literal["auto", "keep", "dilate"] = "auto"
    """Whether the block that lost its stride keeps its dilation; auto: a MobileNet's does, a
    ResNet's does not (PSPNet)."""
    last_conv: bool = False
    """MobileNet: keep the 1x1 layer before the classifier (1280, 960 or 576 channels)."""
    head: str = "ppm"
    head_channels: int = 256
    head_kernel: int = 3
    """Of the head's fusing convolution; deeplabv3: 3 adds torchvision's 3x3 after the ASPP."""
    rates: tuple[int, ...] = ()
    """Dilation rates of the ASPP heads; empty takes the paper's."""
    decoder: Literal["none", "skip"] = "none"
    decoder_channels: int = 128
    decoder_depth: int = 1
    decoder_stride: int = 4
    """Picture pixels per pixel of the backbone's map that the decoder joins; 8 costs a quarter."""
    decoder_low_channels: int = 48
    """Channels that map is projected to first (DeepLabV3+: 48)."""
    decoder_head_channels: int = 0
    """Channels the head's output is projected to before it is enlarged; 0: as it is."""
    decoder_separable: bool = True
    """Depthwise-separable 3x3 convolutions in the decoder; false: dense ones."""
    auxiliary: bool = True
    """An auxiliary head for training (PSPNet); the OCR head's soft regions need it anyway."""
    scales: tuple[float, ...] = ()
    """Sizes the network sees a picture at, fused by the maximum of their scores (DeepLabV2);
    empty: the picture's own only."""
    label_stride: int = 1
    """Picture pixels per decided label: scores are resized to H / label_stride, argmax is taken
    there, and labels are repeated. 1 is exact and slow, 4 fast."""

    def __post_init__(self) -> None:
        for name, value, known in (
            ("backbone", self.backbone, list(BACKBONES)),
            ("head", self.head, list(HEADS)),
            ("decoder", self.decoder, ["none", "skip"]),
            ("output_stride", self.output_stride, [8, 16, 32]),
            ("block_strides", self.block_strides, ["resnet", "deeplab"]),
            ("dilation_rule", self.dilation_rule, ["auto", "keep", "dilate"]),
            ("label_stride", self.label_stride, [1, 2, 4, 8]),
            ("decoder_stride", self.decoder_stride, [4, 8]),
            ("head_kernel", self.head_kernel, [1, 3]),
        ):
            if value not in known:
                raise ValueError(f"{name} is {value!r}; known: {known}")
        for name, number in (
            ("head_channels", self.head_channels),
            ("decoder_channels", self.decoder_channels),
            ("decoder_depth", self.decoder_depth),
            ("decoder_low_channels", self.decoder_low_channels),
            ("decoder_head_channels", self.decoder_head_channels or 1),
            *(("multi_grid", factor) for factor in self.multi_grid),
            *(("rates", rate) for rate in self.rates),
        ):
            if number < 1:
                raise ValueError(f"{name} must be at least 1, got {number}")
        if self.classes != 0 and not 2 <= self.classes <= 255:
            raise ValueError(f"classes must be 2..255 (255 means ignore), got {self.classes}")
        self._check_combinations()

    def _check_combinations(self) -> None:
        resnet = self.backbone in RESNETS
        if not resnet and (self.multi_grid != (1, 1, 1) or self.block_strides != "resnet"):
            raise ValueError(f"multi_grid and block_strides are for ResNets, not {self.backbone}")
        if resnet and self.last_conv:
            raise ValueError(f"last_conv is for MobileNets, not {self.backbone}")
        if self.block_strides == "deeplab" and self.output_stride != 16:
            raise ValueError("block_strides 'deeplab' is for output_stride 16")
        if self.rates and self.head not in RATED:
            raise ValueError(f"head {self.head!r} takes no rates; those that do: {list(RATED)}")
        if any(not 0.25 <= scale <= 2 for scale in self.scales):
            raise ValueError(f"scales must be within 0.25..2, got {self.scales}")
        if self.scales and max(self.scales) != 1:
            raise ValueError(f"the largest of scales must be 1, got {self.scales}")


DECODER_MAPS = {4: "low", 8: "middle"}
"""The backbone's map of a decoder's stride."""


class Segmenter(nn.Module):
    """A semantic-segmentation network of a backbone, a head and, optionally, a decoder.

    `forward` takes normalised pictures ``[N, 3, H, W]`` float in [-1, 1] and returns scores
    ``[N, K, H/s, W/s]`` (s: the decoder's stride, else the output stride). While training it
    returns a tuple: the scores, then what is supervised beside them, each ``[N, K, h, w]``: the
    auxiliary head's scores (PSPNet, section 4; OCR's soft regions), and with several scales each
    scale's own (DeepLabV2). There may be none.
    """

    def __init__(self, spec: ModelSpec) -> None:
        super().__init__()
        self.spec = spec
        self.backbone = BACKBONES[spec.backbone](**_backbone_options(spec))
        self.head = build_head(
            spec.head,
            self.backbone.out_channels,
            spec.head_channels,
            kernel=spec.head_kernel,
            rates=spec.rates,
        )
        channels = cast(int, self.head.out_channels)
        self.decoder: SkipDecoder | None = None
        if spec.decoder == "skip":
            self.decoder = SkipDecoder(
                channels,
                self.backbone.low_channels
                if spec.decoder_stride == 4
                else self.backbone.middle_channels,
                spec.decoder_channels,
                low_channels=spec.decoder_low_channels,
                head_channels=spec.decoder_head_channels,
                depth=spec.decoder_depth,
                separable=spec.decoder_separable,
            )
            channels = self.decoder.out_channels
        self.classifier = nn.Conv2d(channels, spec.classes, 1)
        self.auxiliary: nn.Sequential | None = None
        if spec.auxiliary or isinstance(self.head, OcrHead):
            # 256 as in PSPNet's code; a MobileNet's map has fewer channels than that
            width = min(self.backbone.aux_channels, 256)
            self.auxiliary = nn.Sequential(
                conv_bn_relu(self.backbone.aux_channels, width, 3),
                nn.Dropout2d(0.1),
                nn.Conv2d(width, spec.classes, 1),
            )

    def _one_scale(self, pictures_NCHW: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        maps = self.backbone(pictures_NCHW)
        regions = None
        if self.auxiliary is not None and (self.training or isinstance(self.head, OcrHead)):
            regions = self.auxiliary(maps["aux"])
        scores = self.scores(maps, regions)
        return scores, () if regions is None else (regions,)

    def scores(self, maps: dict[str, Tensor], regions_NKhw: Tensor | None = None) -> Tensor:
        """Class scores at the network's own stride, from the backbone's feature maps.

        `regions_NKhw`, the auxiliary head's scores, are what the OCR head needs.
        """
        x = maps["out"]
        if isinstance(self.head, OcrHead):
            assert regions_NKhw is not None, "the OCR head has an auxiliary head"
            x = self.head(x, resize_like(regions_NKhw, x))
        else:
            x = self.head(x)
        if self.decoder is not None:
            x = self.decoder(x, maps[DECODER_MAPS[self.spec.decoder_stride]])
        out: Tensor = self.classifier(x)
        return out

    def forward(self, pictures_NCHW: Tensor) -> Tensor | tuple[Tensor, ...]:
        """Scores; while training, a tuple with what else is supervised."""
        if not self.spec.scales:
            scores, others = self._one_scale(pictures_NCHW)
            return (scores, *others) if self.training else scores
        each = [self._one_scale(at_scale(pictures_NCHW, scale)) for scale in self.spec.scales]
        largest = each[self.spec.scales.index(1.0)][0]
        fused = torch.stack([resize_like(scores, largest) for scores, _ in each]).amax(dim=0)
        if not self.training:
            return fused
        return fused, *(tensor for scores, more in each for tensor in (scores, *more))


def at_scale(pictures_NCHW: Tensor, scale: float) -> Tensor:
    """Pictures resized bilinearly by a factor."""
    if scale == 1:
        return pictures_NCHW
    return F.interpolate(pictures_NCHW, scale_factor=scale, mode="bilinear", align_corners=False)


def _backbone_options(spec: ModelSpec) -> dict[str, Any]:
    options: dict[str, Any] = {"output_stride": spec.output_stride}
    if spec.dilation_rule != "auto":
        options["dilation_rule"] = spec.dilation_rule
    if spec.backbone in RESNETS:
        return options | {"multi_grid": spec.multi_grid, "block_strides": spec.block_strides}
    return options | {"last_conv": spec.last_conv}


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
