"""Backbones by name: pictures in, a dict of feature maps out. Know nothing about classes.

Every backbone has `name`, `low_channels`, `middle_channels`, `aux_channels` and `out_channels`, and
its `forward` returns the maps ``low`` (stride 4), ``middle`` (stride 8), ``aux`` and ``out``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeAlias

from train.models.mobilenet import (
    MobileNetV2Backbone,
    MobileNetV2HalfBackbone,
    MobileNetV3LargeBackbone,
    MobileNetV3SmallBackbone,
)
from train.models.resnet import RESNETS, ResNetBackbone

Backbone: TypeAlias = (
    MobileNetV2Backbone
    | MobileNetV2HalfBackbone
    | MobileNetV3LargeBackbone
    | MobileNetV3SmallBackbone
    | ResNetBackbone
)

BACKBONES: dict[str, Callable[..., Backbone]] = {
    "mobilenet_v2": MobileNetV2Backbone,
    "mobilenet_v2_half": MobileNetV2HalfBackbone,
    "mobilenet_v3_large": MobileNetV3LargeBackbone,
    "mobilenet_v3_small": MobileNetV3SmallBackbone,
    **{name: partial(ResNetBackbone, name) for name in RESNETS},
}
