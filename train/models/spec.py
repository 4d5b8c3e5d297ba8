"""What a network is made of: a recipe's ``[model]`` table. Builds none.

Shape legend: K classes, H the input's height in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from train.models.backbones import BACKBONES
from train.models.heads import HEADS, RATED
from train.models.pyramid import Bin1
from train.models.resnet import RESNETS, BasicDilation, BlockStrides


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
    basic_dilation: BasicDilation = "first"
    """ResNet-18 and -34: which 3x3 convolutions of a dilated block are dilated: the first, as in
    report 000 and mmsegmentation, or both, as in checkpoints without this key."""
    deep_stem: int = 0
    """ResNet: three 3x3 convolutions for the first 7x7, of which the first has so many channels: 64
    in PSPNet's code, 32 in mmsegmentation's; 0: the 7x7."""
    late_padding: tuple[bool, ...] = ()
    """MobileNet: for each stride-2 layer in turn, whether its windows lie one pixel further right
    and down, as in TensorFlow's SAME; empty: none. Weights decide which fits; moving one layer
    more moves the features of all that follow by the stride before it."""
    input_scale: float = 1.0
    """Sides of the pictures that the backbone sees, as a share of those it is given, rounded to
    multiples of 32: 0.5 to 1 in sixteenths."""
    last_conv: bool = False
    """MobileNet: keep the 1x1 layer before the classifier (1280, 960 or 576 channels)."""
    head: str = "ppm"
    head_channels: int = 256
    head_kernel: int = 3
    """Of the head's fusing convolution; deeplabv3: 3 adds torchvision's 3x3 after the ASPP."""
    pyramid_bin1: Bin1 = "norm"
    """ppm: the branch of one pixel has BatchNorm, as in PSPNet's code, or a bias, as in checkpoints
    without this key."""
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
    auxiliary_channels: int = 0
    """Of its 3x3 convolution; 0: 256, or as many as its map has if fewer. OCR's code: 512."""
    auxiliary_dropout: float = 0.1
    """OCR's code: 0.05."""
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
            ("basic_dilation", self.basic_dilation, ["first", "both"]),
            ("deep_stem", self.deep_stem, [0, 32, 64]),
            ("pyramid_bin1", self.pyramid_bin1, ["norm", "bias"]),
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
            ("auxiliary_channels", self.auxiliary_channels or 1),
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
        basic = self.backbone in ("resnet18", "resnet34")
        if not resnet and (self.multi_grid != (1, 1, 1) or self.block_strides != "resnet"):
            raise ValueError(f"multi_grid and block_strides are for ResNets, not {self.backbone}")
        if self.deep_stem and (not resnet or (basic and self.deep_stem == 64)):
            raise ValueError(f"deep_stem {self.deep_stem} is not for {self.backbone}")
        if resnet and self.last_conv:
            raise ValueError(f"last_conv is for MobileNets, not {self.backbone}")
        if resnet and self.late_padding:
            raise ValueError(f"late_padding is for MobileNets, not {self.backbone}")
        if not 0.5 <= self.input_scale <= 1 or self.input_scale * 16 % 1:
            raise ValueError(
                f"input_scale must be 0.5 to 1 in sixteenths (0.625), got {self.input_scale}"
            )
        if self.block_strides == "deeplab" and self.output_stride != 16:
            raise ValueError("block_strides 'deeplab' is for output_stride 16")
        if not 0 <= self.auxiliary_dropout < 1:
            raise ValueError(f"auxiliary_dropout must be in [0, 1), got {self.auxiliary_dropout}")
        if self.head == "aspp_sum" and self.decoder != "none":
            raise ValueError("head 'aspp_sum' gives class scores, which no decoder takes")
        if self.rates and self.head not in RATED:
            raise ValueError(f"head {self.head!r} takes no rates; those that do: {list(RATED)}")
        if any(not 0.25 <= scale <= 2 for scale in self.scales):
            raise ValueError(f"scales must be within 0.25..2, got {self.scales}")
        if self.scales and max(self.scales) != 1:
            raise ValueError(f"the largest of scales must be 1, got {self.scales}")
