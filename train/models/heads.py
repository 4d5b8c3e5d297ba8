"""Heads by name: what turns a backbone's last feature map into features, and then into scores."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from train.models.aspp import AsppL, AsppSum, DeepLabV3Head, PlainAspp
from train.models.fcn import FcnHead
from train.models.ocr import OcrHead
from train.models.pooled import PooledHead
from train.models.pyramid import Bin1, PyramidPooling


class NoHead(nn.Module):
    """The backbone's map as it is: the classifier that follows does all the work."""

    def __init__(self, c_in: int, channels: int, *, kernel: int = 3) -> None:
        super().__init__()
        self.out_channels = c_in

    def forward(self, x_NChw: Tensor) -> Tensor:
        """`x_NChw`."""
        return x_NChw


HEADS: dict[str, Callable[..., nn.Module]] = {
    "fcn": FcnHead,
    "ppm": PyramidPooling,
    "aspp": PlainAspp,
    "aspp_l": AsppL,
    "aspp_sum": NoHead,
    "deeplabv3": DeepLabV3Head,
    "ocr": OcrHead,
    "pooled": PooledHead,
}

RATED = ("aspp", "aspp_l", "aspp_sum", "deeplabv3")
"""Heads that take dilation rates."""


def build_head(
    name: str, c_in: int, channels: int, *, kernel: int, rates: tuple[int, ...], bin1: Bin1
) -> nn.Module:
    """A head of `HEADS`; empty `rates` means its paper's; `bin1` is the pyramid's alone."""
    options: dict[str, Any] = {"kernel": kernel}
    if rates and name != "aspp_sum":
        options["rates"] = rates
    if name == "ppm":
        options["bin1"] = bin1
    return HEADS[name](c_in, channels, **options)


def build_classifier(
    name: str, c_in: int, classes: int, rates: tuple[int, ...]
) -> nn.Conv2d | AsppSum:
    """What gives class scores after the head `name`: a 1x1 convolution, or DeepLabV2's sum."""
    if name == "aspp_sum":
        return AsppSum(c_in, classes, rates=rates) if rates else AsppSum(c_in, classes)
    return nn.Conv2d(c_in, classes, 1)
