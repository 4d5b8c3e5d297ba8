"""ResNets as backbones, from torchvision, with DeepLab's strides, dilations and multi-grid.

Shape legend: N batch, H and W the input size in pixels.
"""

from __future__ import annotations

from typing import Literal, TypeAlias, cast

from torch import Tensor, nn
from torchvision.models import resnet18, resnet34, resnet50, resnet101

from train.models.mobilenet import DilationRule

BlockStrides: TypeAlias = Literal["resnet", "deeplab"]
BasicDilation: TypeAlias = Literal["first", "both"]
"""Which of the two 3x3 convolutions of a dilated basic block are dilated."""

RESNETS = {"resnet18": resnet18, "resnet34": resnet34, "resnet50": resnet50, "resnet101": resnet101}


def spatial_convs(block: nn.Module) -> list[nn.Conv2d]:
    """The 3x3 convolutions of a residual block: two in a basic block, one in a bottleneck."""
    convs = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
    return [conv for conv in convs if conv.kernel_size == (3, 3)]


def set_stride(block: nn.Module, stride: int) -> None:
    """Give a block's residual branch and its shortcut a stride."""
    spatial_convs(block)[0].stride = (stride, stride)
    shortcut = cast("nn.Sequential | None", block.downsample)
    if shortcut is not None:
        cast(nn.Conv2d, shortcut[0]).stride = (stride, stride)
    elif stride > 1:
        # As in the authors' code: an identity shortcut is subsampled. It has no weights, so
        # torchvision's keys still fit.
        block.downsample = nn.MaxPool2d(1, stride=stride)


def set_dilation(block: nn.Module, first: int, second: int) -> None:
    """Dilate a block's 3x3 convolutions: the one that may stride, and a basic block's other."""
    for index, conv in enumerate(spatial_convs(block)):
        rate = first if index == 0 else second
        conv.dilation, conv.padding = (rate, rate), (rate, rate)


def deep_stem(channels: int) -> nn.Sequential:
    """Three 3x3 convolutions for the 7x7, as PSPNet's code has them, with the last's BatchNorm."""
    sizes = ((3, channels), (channels, channels), (channels, 2 * channels))
    layers: list[nn.Module] = []
    for index, (c_in, c_out) in enumerate(sizes):
        stride = 2 if index == 0 else 1
        layers += [
            nn.Conv2d(c_in, c_out, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(c_out),
            nn.ReLU(inplace=True),
        ]
    return nn.Sequential(*layers[:-1])  # the backbone has the last ReLU


def widen(block: nn.Module, c_in: int) -> None:
    """Let a layer's first bottleneck take another number of channels."""
    block.conv1 = nn.Conv2d(c_in, cast(nn.Conv2d, block.conv1).out_channels, 1, bias=False)
    shortcut = cast(nn.Sequential, block.downsample)
    shortcut[0] = nn.Conv2d(c_in, cast(nn.Conv2d, shortcut[0]).out_channels, 1, bias=False)


class ResNetBackbone(nn.Module):
    """ResNet (He et al. 2016) without pooling and classifier, dilated to a chosen output stride.

    `forward` takes float pictures `[N, 3, H, W]` and returns a dict:

    - ``low``: stride 4, 64 channels (ResNet-18, -34) or 256, for a decoder;
    - ``aux``: the output of layer3 (256 or 1024 channels), for the auxiliary loss;
    - ``out``: ``[N, 512 or 2048, H/s, W/s]`` with ``s`` the output stride.

    Args:
        name: a key of `RESNETS`.
        output_stride: 8 (layer3 dilated by 2, layer4 by 4), 16 (layer4 by 2) or 32.
        multi_grid: factors on the dilation of layer4's three blocks (DeepLabV3, section 3.3).
        block_strides: ``resnet``: layer1 keeps stride 4, layers 2 and 3 start with stride 2
            (torchvision; what report 004 did). ``deeplab``: as in DeepLabV3's figure 3, block 1 and
            block 2 end with stride 2 and block 3 has none, so that layer3 sees more context;
            output stride 16 only. Its low features are those before block 1's stride.
        basic_dilation: ResNet-18 and -34: whether the first 3x3 of a block is dilated alone, as in
            report 000 and mmsegmentation, or both are.
        deep_stem_channels: of the first of three 3x3 convolutions in place of the 7x7: 64 in
            PSPNet's code (whose last has 128), 32 in mmsegmentation's ResNetV1c; 0: the 7x7.
        dilation_rule: whether the first block of a dilated layer is dilated too (``dilate``, as in
            PSPNet's code and report 000) or keeps the dilation it was trained with (``keep``; the
            weights of torchvision's pretrained DeepLabV3 need it).
    """

    def __init__(
        self,
        name: str,
        *,
        output_stride: int = 16,
        multi_grid: tuple[int, int, int] = (1, 1, 1),
        block_strides: BlockStrides = "resnet",
        dilation_rule: DilationRule = "dilate",
        basic_dilation: BasicDilation = "first",
        deep_stem_channels: int = 0,
    ) -> None:
        super().__init__()
        if output_stride not in (8, 16, 32):
            raise ValueError(f"output_stride must be 8, 16 or 32, got {output_stride}")
        if block_strides == "deeplab" and output_stride != 16:
            raise ValueError(
                f"block_strides 'deeplab' is for output stride 16, got {output_stride}"
            )
        self.name = name
        net = RESNETS[name]()
        self.conv1, self.bn1, self.relu, self.maxpool = net.conv1, net.bn1, net.relu, net.maxpool
        if deep_stem_channels:
            self.conv1, self.bn1 = deep_stem(deep_stem_channels), nn.Identity()
            if deep_stem_channels != 32:
                widen(net.layer1[0], 2 * deep_stem_channels)
        self.layer1, self.layer2 = net.layer1, net.layer2
        self.layer3, self.layer4 = net.layer3, net.layer4
        self.low_before_last = block_strides == "deeplab"
        if block_strides == "deeplab":
            self._deeplab_strides()
        wide = name in ("resnet50", "resnet101")
        self.low_channels = 256 if wide else 64
        self.middle_channels = 512 if wide else 128
        self.aux_channels = 1024 if wide else 256
        self.out_channels = 2048 if wide else 512
        self._dilate(output_stride, multi_grid, dilation_rule, basic_dilation)

    def _deeplab_strides(self) -> None:
        for layer in (self.layer1, self.layer2):
            blocks = list(layer)
            set_stride(blocks[0], 1)
            set_stride(blocks[-1], 2)
        set_stride(self.layer3[0], 1)

    def _dilate(
        self,
        output_stride: int,
        multi_grid: tuple[int, int, int],
        rule: DilationRule,
        basic: BasicDilation,
    ) -> None:
        rates = {8: (2, 4), 16: (1, 2), 32: (1, 1)}[output_stride]
        previous = 1
        for layer, rate in zip((self.layer3, self.layer4), rates, strict=True):
            if rate > previous:
                set_stride(layer[0], 1)
            for index, block in enumerate(layer):
                grid = multi_grid[index % 3] if layer is self.layer4 else 1
                kept = previous if rule == "keep" and index == 0 else rate
                set_dilation(block, kept * grid, rate * grid if basic == "both" else 1)
            previous = rate

    def forward(self, pictures_NCHW: Tensor) -> dict[str, Tensor]:
        """Feature maps by name; see the class."""
        x = self.maxpool(self.relu(self.bn1(self.conv1(pictures_NCHW))))
        blocks = list(self.layer1)
        for block in blocks[:-1]:
            x = block(x)
        before = x
        x = blocks[-1](x)
        low = before if self.low_before_last else x
        middle = self.layer2(x)
        aux = self.layer3(middle)
        return {"low": low, "middle": middle, "aux": aux, "out": self.layer4(aux)}
