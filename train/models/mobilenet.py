"""MobileNets as backbones, from torchvision, dilated to a chosen output stride.

Shape legend: N batch, C channels, H and W the input size in pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias, cast

from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import mobilenet_v2, mobilenet_v3_large, mobilenet_v3_small

DilationRule: TypeAlias = Literal["keep", "dilate"]
"""Whether the block that loses its stride keeps the dilation it was trained with."""


def dilate(blocks: Iterable[nn.Module], output_stride: int, rule: DilationRule = "keep") -> None:
    """Take strides beyond `output_stride` out of inverted-residual blocks, in place.

    What follows a stride that was taken out is dilated instead (Chen et al. 2017); the block that
    lost it keeps the dilation it was trained with (`rule` "keep") or has the new one. Only
    depthwise convolutions see space, so only they change; kernels of 3 and 5 keep the maps' size.
    """
    stride, dilation = 2, 1
    for block in blocks:
        spatial = [m for m in block.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
        (depthwise,) = spatial
        previous = dilation
        if depthwise.stride[0] == 2:
            if stride == output_stride:
                dilation *= 2
                depthwise.stride = (1, 1)
            else:
                stride *= 2
        if rule == "dilate":
            previous = dilation
        padding = previous * (depthwise.kernel_size[0] // 2)
        depthwise.dilation = (previous, previous)
        depthwise.padding = (padding, padding)


class LateConv2d(nn.Conv2d):
    """A convolution of stride 2 whose windows lie one pixel further right and down.

    One pixel less of padding before the picture, as TensorFlow's SAME has it at even sizes: output
    i is centred on pixel 2 i + 1 instead of 2 i.
    """

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """As `nn.Conv2d.forward`."""
        rows, columns = cast(tuple[int, int], self.padding)
        padded = F.pad(x_NCHW, (columns - 1, columns, rows - 1, rows))
        return F.conv2d(padded, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


def make_late(blocks: Iterable[nn.Module], late: tuple[bool, ...]) -> None:
    """Turn stride-2 convolutions into `LateConv2d`, in place, where `late` says so.

    Args:
        blocks: after `dilate`; layers of stride 2 are counted in their order.
        late: one for each of those layers; empty leaves all as they are.

    Raises:
        ValueError: another number of layers.
    """
    if not late:
        return
    found = [
        (parent, name, conv)
        for block in blocks
        for parent in block.modules()
        for name, conv in parent.named_children()
        if isinstance(conv, nn.Conv2d) and conv.stride == (2, 2)
    ]
    if len(found) != len(late):
        raise ValueError(f"late_padding needs {len(found)} values, one a stride-2 layer: {late}")
    for (parent, name, conv), moved in zip(found, late, strict=True):
        if moved:
            new = LateConv2d(
                conv.in_channels,
                conv.out_channels,
                cast(tuple[int, int], conv.kernel_size),
                2,
                cast(tuple[int, int], conv.padding),
                cast(tuple[int, int], conv.dilation),
                conv.groups,
                bias=conv.bias is not None,
            )
            new.load_state_dict(conv.state_dict())
            setattr(parent, name, new)


class MobileNetBackbone(nn.Module):
    """A MobileNet without its last 1x1 layer, dilated to a chosen stride.

    `forward` takes float pictures `[N, 3, H, W]` and returns a dict:

    - ``low``: stride 4, for a decoder; ``middle``: the last map of stride 8, for a cheaper one;
    - ``aux``: the last map before the last stage (stride 16, or 8), for the auxiliary loss;
    - ``out``: ``[N, out_channels, H/s, W/s]`` with ``s`` the output stride.

    The 1x1 layer that follows (320 to 1280 channels; 160 to 960, or 96 to 576, in V3) is left out
    unless `last_conv`: a head of its own does that work in fewer channels (docs/networks.md).
    """

    name: str
    build: Callable[[], nn.Module]
    """torchvision's constructor."""
    low_channels: int
    middle_channels: int
    aux_channels: int
    out_channels: int
    last_channels: int
    """Of the 1x1 layer at the end."""
    low_index: int
    middle_index: int
    aux_index: int

    def __init__(
        self,
        *,
        output_stride: int = 16,
        last_conv: bool = False,
        dilation_rule: DilationRule = "keep",
        late_padding: tuple[bool, ...] = (),
    ) -> None:
        super().__init__()
        if output_stride not in (8, 16, 32):
            raise ValueError(f"output_stride must be 8, 16 or 32, got {output_stride}")
        blocks = list(cast(nn.Sequential, type(self).build().features))
        dilate(blocks[1:-1], output_stride, dilation_rule)
        make_late(blocks, late_padding)
        self.features = nn.Sequential(*(blocks if last_conv else blocks[:-1]))
        if last_conv:
            self.out_channels = self.last_channels

    def forward(self, pictures_NCHW: Tensor) -> dict[str, Tensor]:
        """Feature maps by name; see the class."""
        x = pictures_NCHW
        maps: dict[str, Tensor] = {}
        for index, block in enumerate(self.features):
            x = block(x)
            if index == self.low_index:
                maps["low"] = x
            elif index == self.middle_index:
                maps["middle"] = x
            elif index == self.aux_index:
                maps["aux"] = x
        maps["out"] = x
        return maps


def _half_width() -> nn.Module:
    network: nn.Module = mobilenet_v2(width_mult=0.5, round_nearest=4)
    return network


class MobileNetV2Backbone(MobileNetBackbone):
    """MobileNetV2 (Sandler et al. 2018): low 24, middle 32, aux 96, out 320 channels."""

    name, build = "mobilenet_v2", staticmethod(mobilenet_v2)
    low_channels, middle_channels, aux_channels = 24, 32, 96
    out_channels, last_channels = 320, 1280
    low_index, middle_index, aux_index = 3, 6, 13


class MobileNetV2HalfBackbone(MobileNetBackbone):
    """MobileNetV2 of half the width: low 12, middle 16, aux 48, out 160 channels.

    Channels are multiples of 4, as in TensorFlow's weights of that width (torchvision's own rule,
    multiples of 8, would make 16 of the 12).
    """

    name, build = "mobilenet_v2_half", staticmethod(_half_width)
    low_channels, middle_channels, aux_channels = 12, 16, 48
    out_channels, last_channels = 160, 1280
    low_index, middle_index, aux_index = 3, 6, 13


class MobileNetV3LargeBackbone(MobileNetBackbone):
    """MobileNetV3-large (Howard et al. 2019): low 24, middle 40, aux 112, out 160 channels."""

    name, build = "mobilenet_v3_large", staticmethod(mobilenet_v3_large)
    low_channels, middle_channels, aux_channels = 24, 40, 112
    out_channels, last_channels = 160, 960
    low_index, middle_index, aux_index = 3, 6, 12


class MobileNetV3SmallBackbone(MobileNetBackbone):
    """MobileNetV3-small (Howard et al. 2019): low 16, middle 24, aux 48, out 96 channels."""

    name, build = "mobilenet_v3_small", staticmethod(mobilenet_v3_small)
    low_channels, middle_channels, aux_channels = 16, 24, 48
    out_channels, last_channels = 96, 576
    low_index, middle_index, aux_index = 1, 3, 8
