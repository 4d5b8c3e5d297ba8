"""Segmentation networks of other projects: a ``.pth`` file into a `Segmenter`.

A file is told by its keys; nothing of it is executed (``weights_only``). What is read:
torchvision's segmentation networks and bare backbones, mmsegmentation's PSPNet, PSPNet's own code
(semseg), VainF's DeepLabV3 and kazuto1011's DeepLabV2. Their pictures are normalised in another way
than ours: that goes into the first convolution.
"""

from __future__ import annotations

import pickle
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from train.errors import TrainError
from train.models.weights import IMAGENET_MEAN, IMAGENET_STD, State, rename_deeplabv3

Rule = tuple[str, str]
"""A regular expression at the start of a key, and what takes its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Normalisation:
    """What a network was fed: ``(p / 255 - mean) / std`` of RGB pixels 0..255, or of BGR."""

    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    bgr: bool = False


CAFFE = Normalisation(
    mean=(122.675 / 255, 116.669 / 255, 104.008 / 255), std=(1 / 255, 1 / 255, 1 / 255), bgr=True
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Foreign:
    """A file of another project, under our keys."""

    project: str
    state: State
    normalisation: Normalisation
    whole: bool
    """Whether there is a head; else a backbone alone."""
    note: str = ""
    """What its network does that ours does not."""


def _tv_mobilenet_blocks(key: str) -> str:
    """VainF's flat inverted residuals to torchvision's nested ones."""
    found = re.match(r"(backbone\.features\.(\d+)\.conv\.)(\d+)(\..*)", key)
    if not found:
        return key
    first = {"0": "0.0", "1": "0.1", "3": "1", "4": "2"}
    others = {"0": "0.0", "1": "0.1", "3": "1.0", "4": "1.1", "6": "2", "7": "3"}
    table = first if found[2] == "1" else others
    return found[1] + table.get(found[3], found[3]) + found[4]


_VAINF: list[Rule] = [
    (r"backbone\.(low|high)_level_features\.", "backbone.features."),
    (r"classifier\.classifier\.0\.convs\.4\.1\.", "head.pooling.0."),
    (r"classifier\.classifier\.0\.convs\.4\.2\.", "head.pooling.1."),
    (r"classifier\.classifier\.0\.convs\.", "head.branches."),
    (r"classifier\.classifier\.0\.project\.", "head.project."),
    (r"classifier\.classifier\.1\.", "head.refine.0."),
    (r"classifier\.classifier\.2\.", "head.refine.1."),
    (r"classifier\.classifier\.4\.", "classifier."),
]
_MMSEG: list[Rule] = [
    (r"backbone\.stem\.", "backbone.conv1."),
    (r"decode_head\.psp_modules\.(\d)\.1\.conv\.", r"head.branches.\1.0."),
    (r"decode_head\.psp_modules\.(\d)\.1\.bn\.", r"head.branches.\1.1."),
    (r"decode_head\.bottleneck\.conv\.", "head.fuse.0."),
    (r"decode_head\.bottleneck\.bn\.", "head.fuse.1."),
    (r"decode_head\.conv_seg\.", "classifier."),
    (r"auxiliary_head\.convs\.0\.conv\.", "auxiliary.0.0."),
    (r"auxiliary_head\.convs\.0\.bn\.", "auxiliary.0.1."),
    (r"auxiliary_head\.conv_seg\.", "auxiliary.2."),
]
_SEMSEG: list[Rule] = [
    (r"layer0\.", "backbone.conv1."),
    (r"(layer[1-4]\.)", r"backbone.\1"),
    (r"ppm\.features\.(\d)\.1\.", r"head.branches.\1.0."),
    (r"ppm\.features\.(\d)\.2\.", r"head.branches.\1.1."),
    (r"cls\.([01])\.", r"head.fuse.\1."),
    (r"cls\.4\.", "classifier."),
    (r"aux\.([01])\.", r"auxiliary.0.\1."),
    (r"aux\.4\.", "auxiliary.2."),
]
_FCN: list[Rule] = [
    (r"classifier\.([01])\.", r"head.fuse.\1."),
    (r"classifier\.4\.", "classifier."),
    (r"aux_classifier\.([01])\.", r"auxiliary.0.\1."),
    (r"aux_classifier\.4\.", "auxiliary.2."),
]


def _kazuto(key: str) -> str:
    """Keys of kazuto1011's DeepLabV2 (``base.layer3.block1.reduce.conv.weight``)."""
    key = re.sub(r"^(base|scale)\.", "", key)
    if found := re.match(r"aspp\.c(\d)\.(.*)", key):
        return f"classifier.branches.{found[1]}.{found[2]}"
    key = re.sub(r"^layer1\.conv1\.conv\.", "backbone.conv1.", key)
    key = re.sub(r"^layer1\.conv1\.bn\.", "backbone.bn1.", key)
    found = re.match(
        r"layer([2-5])\.block(\d+)\.(reduce|conv3x3|increase|shortcut)\.(conv|bn)\.(.*)", key
    )
    if not found:
        return key
    block = f"backbone.layer{int(found[1]) - 1}.{int(found[2]) - 1}"
    if found[3] == "shortcut":
        return f"{block}.downsample.{0 if found[4] == 'conv' else 1}.{found[5]}"
    place = {"reduce": 1, "conv3x3": 2, "increase": 3}[found[3]]
    return f"{block}.{found[4]}{place}.{found[5]}"


def _renamed(state: Mapping[str, Tensor], rules: list[Rule]) -> State:
    result: State = {}
    for key, value in state.items():
        for pattern, replacement in rules:
            new, count = re.subn(f"^{pattern}", replacement, key)
            if count:
                key = new
                break
        result[key] = value
    return result


def _each(state: Mapping[str, Tensor], rename: Callable[[str], str]) -> State:
    return {rename(key): value for key, value in state.items()}


def recognise(state: Mapping[str, Tensor], path: Path) -> Foreign:
    """What a state dict is, and its tensors under our keys.

    Raises:
        TrainError: of no project that is known here.
    """
    plain = Normalisation()

    def has(start: str) -> bool:
        return any(key.startswith(start) for key in state)

    if has("classifier.classifier.0.convs."):
        own = _each(_renamed(state, _VAINF), _tv_mobilenet_blocks)
        return Foreign(project="VainF's DeepLabV3", state=own, normalisation=plain, whole=True)
    if has("decode_head.psp_modules."):
        own = _renamed(state, _MMSEG)
        return Foreign(
            project="mmsegmentation's PSPNet", state=own, normalisation=plain, whole=True
        )
    if has("ppm.features."):
        return Foreign(
            project="PSPNet's own code",
            state=_renamed(state, _SEMSEG),
            normalisation=plain,
            whole=True,
            note="it enlarges with aligned corners",
        )
    if has("base.aspp.c0.") or has("aspp.c0.") or has("scale.aspp.c0."):
        return Foreign(
            project="kazuto1011's DeepLabV2",
            state=_each(state, _kazuto),
            normalisation=CAFFE,
            whole=True,
            note="its blocks stride in their first 1x1, ours in the 3x3",
        )
    if has("classifier.0.convs."):
        own = rename_deeplabv3(dict(state))
        return Foreign(
            project="torchvision's DeepLabV3", state=own, normalisation=plain, whole=True
        )
    if has("classifier.4.") and has("backbone."):
        own = _renamed(state, _FCN)
        return Foreign(project="torchvision's FCN", state=own, normalisation=plain, whole=True)
    if has("backbone.") and has("head."):
        same = Normalisation(mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        return Foreign(
            project="a network of ours", state=dict(state), normalisation=same, whole=True
        )
    if has("layer1.0.conv1.") or has("features.0.0."):
        own = {f"backbone.{key}": value for key, value in state.items()}
        return Foreign(
            project="torchvision's backbone", state=own, normalisation=plain, whole=False
        )
    raise TrainError(
        f"{path}: weights of no network that is known here (first key: "
        f"{next(iter(state), 'none')}); docs/training.md lists what is read"
    )


def read_pytorch(path: Path) -> State:
    """The state dict in a PyTorch file; nothing of the file is executed.

    Raises:
        TrainError: it holds anything but tensors and plain values, or no state dict.
    """
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise TrainError(
            f"{path}: cannot be read as plain weights ({str(error).splitlines()[0]}); it may hold "
            "code, which is not run: save its state dict alone (torch.save(model.state_dict(), …))"
        ) from error
    for key in ("state_dict", "model_state", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    tensors = content.items() if isinstance(content, dict) else ()
    state = {
        str(key).removeprefix("module."): value
        for key, value in tensors
        if isinstance(value, Tensor)
    }
    if not state:
        raise TrainError(f"{path}: holds no state dict")
    return state


def read_foreign(path: Path) -> Foreign:
    """A ``.pth`` file of a project that is known here.

    Raises:
        TrainError: see `read_pytorch` and `recognise`.
    """
    return recognise(read_pytorch(path), path)
