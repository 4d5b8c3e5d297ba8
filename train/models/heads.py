"""Heads by name: what turns a backbone's last feature map into features for the classifier."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from train.models.aspp import AsppL, DeepLabV3Head, PlainAspp
from train.models.ocr import OcrHead
from train.models.pooled import PooledHead
from train.models.pyramid import PyramidPooling

HEADS: dict[str, Callable[..., nn.Module]] = {
    "ppm": PyramidPooling,
    "aspp": PlainAspp,
    "aspp_l": AsppL,
    "deeplabv3": DeepLabV3Head,
    "ocr": OcrHead,
    "pooled": PooledHead,
}

RATED = ("aspp", "aspp_l", "deeplabv3")
"""Heads that take dilation rates."""


def build_head(
    name: str, c_in: int, channels: int, *, kernel: int, rates: tuple[int, ...]
) -> nn.Module:
    """A head of `HEADS`; empty `rates` means its paper's.

    Raises:
        ValueError: rates for a head that has none.
    """
    options: dict[str, Any] = {"kernel": kernel}
    if rates:
        if name not in RATED:
            raise ValueError(f"head {name!r} takes no rates; those that do: {', '.join(RATED)}")
        options["rates"] = rates
    return HEADS[name](c_in, channels, **options)
