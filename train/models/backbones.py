"""Backbones: a picture in, a dict of feature maps out. Know nothing about classes or labels.

Shape legend: N batch, C channels, H and W the input size in pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from train.errors import TrainError


class MobileNetV2Backbone(nn.Module):
    """MobileNetV2 (Sandler et al. 2018) without its last 1x1 layer, dilated to a chosen stride.

    `forward` takes float pictures `[N, 3, H, W]` and returns a dict:

    - ``low``: ``[N, 24, H/4, W/4]``, for a decoder;
    - ``aux``: ``[N, 96, H/16, W/16]`` (H/8 at stride 8), for the auxiliary loss;
    - ``out``: ``[N, 320, H/s, W/s]`` with ``s`` the output stride.

    Strides that are taken out are replaced by dilation of the blocks that follow (Chen et al. 2017,
    torchvision's rule: the block that lost its stride keeps the dilation it was trained with).
    """

    low_channels = 24
    aux_channels = 96
    out_channels = 320

    def __init__(self, *, output_stride: int = 16) -> None:
        super().__init__()
        if output_stride not in (8, 16, 32):
            raise ValueError(f"output_stride must be 8, 16 or 32, got {output_stride}")
        self.features = mobilenet_v2().features[:18]
        stride, dilation = 2, 1
        for block in list(self.features)[1:]:
            spatial = [m for m in block.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
            (depthwise,) = spatial
            previous = dilation
            if depthwise.stride[0] == 2:
                if stride == output_stride:
                    dilation *= 2
                    depthwise.stride = (1, 1)
                else:
                    stride *= 2
            depthwise.dilation = (previous, previous)
            depthwise.padding = (previous, previous)

    def forward(self, pictures_NCHW: Tensor) -> dict[str, Tensor]:
        """Feature maps by name; see the class."""
        x = pictures_NCHW
        maps: dict[str, Tensor] = {}
        for index, block in enumerate(self.features):
            x = block(x)
            if index == 3:
                maps["low"] = x
            elif index == 13:
                maps["aux"] = x
        maps["out"] = x
        return maps


BACKBONES: dict[str, Callable[..., MobileNetV2Backbone]] = {"mobilenet_v2": MobileNetV2Backbone}


def load_backbone_weights(backbone: MobileNetV2Backbone, source: Path | str | None) -> None:
    """Load ImageNet weights: a safetensors file under torchvision's keys, "torchvision", or None.

    Raises:
        TrainError: the file is missing, is no safetensors file or lacks keys of this backbone;
            or the download was asked for and this machine cannot reach it.
    """
    if source is None:
        return
    if source == "torchvision":
        try:
            weights = MobileNet_V2_Weights.IMAGENET1K_V2.get_state_dict(progress=True)
        except OSError as error:
            raise TrainError(
                "could not download torchvision's MobileNetV2 weights (no network?): "
                f"{error}; give a safetensors file with --init instead"
            ) from error
        state = {key: cast(Tensor, value) for key, value in weights.items()}
    else:
        path = Path(source)
        if not path.is_file():
            raise TrainError(f"{path}: no such weights file; check --init")
        try:
            state = load_file(path)
        except SafetensorError as error:
            raise TrainError(f"{path}: not a safetensors file ({error}); check --init") from error
    own = backbone.state_dict()
    missing = [k for k, v in own.items() if k not in state or state[k].shape != v.shape]
    if missing:
        raise TrainError(
            f"{source}: {len(missing)} of {len(own)} backbone tensors are missing or have another "
            f"shape (first: {missing[0]}); expected weights under torchvision's mobilenet_v2 keys"
        )
    backbone.load_state_dict({key: state[key].to(torch.float32) for key in own}, strict=True)
