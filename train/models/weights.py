"""Weights from elsewhere: a safetensors file or torchvision's download, into a network of ours.

The networks here are fed pictures in [-1, 1] (`train.models.segmenter.normalise`). torchvision's
were trained with ImageNet's mean and deviation: the difference is one scale and shift a channel,
and it is folded into the first convolution here, so that nothing else has to know.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision import models as tv

from train.errors import TrainError
from train.models.backbones import Backbone

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

State = dict[str, Tensor]
Triple = tuple[float, float, float]

TORCHVISION = {
    "mobilenet_v2": tv.MobileNet_V2_Weights.IMAGENET1K_V2,
    "mobilenet_v3_large": tv.MobileNet_V3_Large_Weights.IMAGENET1K_V2,
    "mobilenet_v3_small": tv.MobileNet_V3_Small_Weights.IMAGENET1K_V1,
    "resnet18": tv.ResNet18_Weights.IMAGENET1K_V1,
    "resnet34": tv.ResNet34_Weights.IMAGENET1K_V1,
    "resnet50": tv.ResNet50_Weights.IMAGENET1K_V2,
    "resnet101": tv.ResNet101_Weights.IMAGENET1K_V2,
}
"""ImageNet weights by backbone."""

DEEPLABV3 = {
    "resnet50": tv.segmentation.DeepLabV3_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1,
    "resnet101": tv.segmentation.DeepLabV3_ResNet101_Weights.COCO_WITH_VOC_LABELS_V1,
    "mobilenet_v3_large": (
        tv.segmentation.DeepLabV3_MobileNet_V3_Large_Weights.COCO_WITH_VOC_LABELS_V1
    ),
}
"""Whole DeepLabV3 networks, trained on COCO with Pascal VOC's 21 classes, by backbone."""


def download(weights: tv.WeightsEnum, what: str) -> State:
    """torchvision's weights, from its cache or the network.

    Raises:
        TrainError: this machine cannot reach them.
    """
    try:
        state = weights.get_state_dict(progress=True)
    except (OSError, RuntimeError) as error:  # RuntimeError: what came has another hash
        raise TrainError(
            f"could not download torchvision's {what} weights (no network?): {error}; "
            "give a safetensors file with --init instead"
        ) from error
    return {key: cast(Tensor, value) for key, value in state.items()}


def read_file(path: Path) -> State:
    """A safetensors file.

    Raises:
        TrainError: no such file, or not one.
    """
    if not path.is_file():
        raise TrainError(f"{path}: no such weights file; check --init")
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise TrainError(
            f"{path}: cut short, or not a safetensors file ({error}); give --init another one"
        ) from error


def fold_imagenet_normalisation(
    conv: nn.Conv2d,
    norm: nn.BatchNorm2d,
    mean_C: Triple = IMAGENET_MEAN,
    std_C: Triple = IMAGENET_STD,
) -> None:
    """Make a first layer trained on ``(p / 255 - mean) / std`` take ``p / 127.5 - 1``, in place.

    With ``x`` in [-1, 1] the trained input is ``a * x + b``, ``a = 0.5 / std``,
    ``b = (0.5 - mean) / std``. `a` goes into the weights; `b` gives each output a constant, which
    BatchNorm's running mean takes up. Exact but for the outermost pixels: padding is 0 after
    either normalisation, which is grey in one and the mean colour in the other.
    """
    mean, std = torch.tensor(mean_C), torch.tensor(std_C)
    scale, shift = 0.5 / std, (0.5 - mean) / std
    with torch.no_grad():
        constant = (conv.weight.sum(dim=(2, 3)) * shift).sum(dim=1)
        assert norm.running_mean is not None
        norm.running_mean -= constant
        conv.weight *= scale[None, :, None, None]


def first_layer(backbone: Backbone) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    """The convolution that sees the picture, and the BatchNorm after it."""
    layers = [m for m in backbone.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    return cast(nn.Conv2d, layers[0]), cast(nn.BatchNorm2d, layers[1])


def fill(module: nn.Module, state: State, source: str, keys: str) -> None:
    """Load a backbone's tensors; further ones (a classifier's) are left alone.

    Raises:
        TrainError: some are missing or of another shape.
    """
    own = module.state_dict()
    missing = [k for k, v in own.items() if k not in state or state[k].shape != v.shape]
    if missing:
        raise TrainError(
            f"{source}: {len(missing)} of {len(own)} backbone tensors are missing or have another "
            f"shape (first: {missing[0]}); expected weights under torchvision's {keys} keys"
        )
    module.load_state_dict({key: state[key].to(value.dtype) for key, value in own.items()})


def load_backbone_weights(backbone: Backbone, source: Path | str | None) -> None:
    """Load ImageNet weights into a backbone.

    Args:
        backbone: one of `train.models.backbones.BACKBONES`.
        source: ``torchvision`` downloads its weights; ``FILE.safetensors`` holds weights under
            torchvision's keys for pictures in [-1, 1]; ``imagenet:FILE.safetensors`` the same for
            pictures with ImageNet's mean and deviation; None leaves the random weights.

    Raises:
        TrainError: the file is missing, is no safetensors file or lacks keys of this backbone;
            or the download was asked for and this machine cannot reach it.
    """
    if source is None:
        return
    text = str(source)
    imagenet = text == "torchvision" or text.startswith("imagenet:")
    if text == "torchvision":
        state = download(TORCHVISION[backbone.name], backbone.name)
    else:
        state = read_file(Path(text.removeprefix("imagenet:")))
    fill(backbone, state, text, backbone.name)
    if imagenet:
        fold_imagenet_normalisation(*first_layer(backbone))


def rename_deeplabv3(state: State) -> State:
    """torchvision's DeepLabV3 keys to those of our `Segmenter` with the ``deeplabv3`` head."""
    prefixes = {
        "classifier.0.convs.4.1.": "head.pooling.0.",
        "classifier.0.convs.4.2.": "head.pooling.1.",
        "classifier.0.convs.": "head.branches.",
        "classifier.0.project.": "head.project.",
        "classifier.1.": "head.refine.0.",
        "classifier.2.": "head.refine.1.",
        "classifier.4.": "classifier.",
        "aux_classifier.0.": "auxiliary.0.0.",
        "aux_classifier.1.": "auxiliary.0.1.",
        "aux_classifier.4.": "auxiliary.2.",
    }
    renamed: State = {}
    for key, value in state.items():
        prefix = next((p for p in prefixes if key.startswith(p)), None)
        if re.match(r"backbone\.\d", key):  # torchvision takes a MobileNet's features apart
            key = key.replace("backbone.", "backbone.features.", 1)
        renamed[key if prefix is None else prefixes[prefix] + key.removeprefix(prefix)] = value
    return renamed


def pretrained_deeplabv3(backbone: Backbone) -> State:
    """torchvision's DeepLabV3 (COCO with VOC's classes) under our keys, for its own normalisation.

    It fits a ``deeplabv3`` head with head_kernel 3, 256 channels and rates 12, 24, 36; a ResNet at
    output stride 8 with dilation_rule ``keep``; MobileNetV3-large at stride 16 with ``dilate`` and
    `last_conv`.

    Raises:
        TrainError: no such weights for this backbone, or no network.
    """
    if backbone.name not in DEEPLABV3:
        known = ", ".join(DEEPLABV3)
        raise TrainError(f"torchvision has no DeepLabV3 with {backbone.name}; it has {known}")
    return rename_deeplabv3(download(DEEPLABV3[backbone.name], f"DeepLabV3 {backbone.name}"))
