"""Weights of other projects, under the keys that those projects give them."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision import models as tv

from streamseg.models.classlists import CITYSCAPES, VOC
from train.errors import TrainError
from train.fit.initial import classes_of, initialise
from train.models import ModelSpec, Segmenter, build_model
from train.models.foreign import read_pytorch

State = dict[str, Tensor]


def network(**values: Any) -> Segmenter:
    return build_model(ModelSpec(**({"classes": 21} | values))).eval()


def without_folding(monkeypatch: pytest.MonkeyPatch) -> None:
    """What folding does to the first layer has a test of its own."""
    monkeypatch.setattr("train.fit.initial.fold_imagenet_normalisation", lambda *_: None)


@pytest.mark.parametrize("name", ["fcn_resnet50", "deeplabv3_mobilenet_v3_large"])
def test_torchvisions_networks_compute_the_same_here(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_folding(monkeypatch)
    torch.manual_seed(0)
    builder = getattr(tv.segmentation, name)
    reference = builder(weights=None, weights_backbone=None, aux_loss=False).eval()
    path = tmp_path / "net.pth"
    torch.save(reference.state_dict(), path)
    if name.startswith("fcn"):
        values = {"backbone": "resnet50", "head": "fcn", "head_channels": 512}
        values |= {"output_stride": 8, "dilation_rule": "keep"}
    else:
        values = {"backbone": "mobilenet_v3_large", "head": "deeplabv3", "rates": (12, 24, 36)}
        values |= {"dilation_rule": "dilate", "last_conv": True}
    model = network(**values, auxiliary=False)
    assert "torchvision's" in initialise(model, path, VOC)
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = reference.classifier(reference.backbone(x)["out"])
        torch.testing.assert_close(model.eval()(x), expected, atol=1e-4, rtol=1e-3)
    assert classes_of(str(path)) == VOC


def test_a_backbone_of_torchvision(tmp_path: Path) -> None:
    torch.manual_seed(0)
    reference = tv.resnet18()
    path = tmp_path / "r.pth"
    torch.save({"state_dict": reference.state_dict()}, path)
    model = network(backbone="resnet18", head_channels=8)
    line = initialise(model, path, VOC)
    assert line == f"starting from backbone weights: {path} (torchvision's backbone)"
    ours = model.get_parameter("backbone.layer2.0.conv1.weight")
    assert torch.equal(ours, reference.layer2[0].conv1.weight)
    assert not torch.equal(model.get_parameter("backbone.conv1.weight"), reference.conv1.weight)


def swap(rules: dict[str, str]) -> Callable[[str], str]:
    def rename(key: str) -> str:
        for pattern, replacement in rules.items():
            key, count = re.subn(f"^{pattern}", replacement, key)
            if count:
                break
        return key

    return rename


def vainf(key: str) -> str:
    found = re.match(r"backbone\.features\.(\d+)\.(.*)", key)
    if found:
        number, rest = int(found[1]), found[2]
        flat = {"conv.0.0.": "conv.0.", "conv.0.1.": "conv.1."}
        flat |= (
            {"conv.1.": "conv.3.", "conv.2.": "conv.4."}
            if number == 1
            else {"conv.1.0.": "conv.3.", "conv.1.1.": "conv.4.", "conv.2.": "conv.6."}
            | {"conv.3.": "conv.7."}
        )
        for ours, theirs in flat.items():
            if rest.startswith(ours):
                rest = theirs + rest.removeprefix(ours)
                break
        part = "low" if number < 4 else "high"
        return f"backbone.{part}_level_features.{number}.{rest}"
    return swap(
        {
            r"head\.branches\.": "classifier.classifier.0.convs.",
            r"head\.pooling\.0\.": "classifier.classifier.0.convs.4.1.",
            r"head\.pooling\.1\.": "classifier.classifier.0.convs.4.2.",
            r"head\.project\.": "classifier.classifier.0.project.",
            r"head\.refine\.0\.": "classifier.classifier.1.",
            r"head\.refine\.1\.": "classifier.classifier.2.",
            r"classifier\.": "classifier.classifier.4.",
        }
    )(key)


def kazuto(key: str) -> str:
    if found := re.match(r"classifier\.branches\.(\d)\.(.*)", key):
        return f"base.aspp.c{found[1]}.{found[2]}"
    if found := re.match(r"backbone\.layer(\d)\.(\d+)\.(conv|bn)(\d)\.(.*)", key):
        place = ["reduce", "conv3x3", "increase"][int(found[4]) - 1]
        block = f"base.layer{int(found[1]) + 1}.block{int(found[2]) + 1}"
        return f"{block}.{place}.{found[3]}.{found[5]}"
    if found := re.match(r"backbone\.layer(\d)\.(\d+)\.downsample\.([01])\.(.*)", key):
        block = f"base.layer{int(found[1]) + 1}.block{int(found[2]) + 1}"
        return f"{block}.shortcut.{['conv', 'bn'][int(found[3])]}.{found[4]}"
    stem = {
        r"backbone\.conv1\.": "base.layer1.conv1.conv.",
        r"backbone\.bn1\.": "base.layer1.conv1.bn.",
    }
    return swap(stem)(key)


MMSEG = swap(
    {
        r"backbone\.conv1\.": "backbone.stem.",
        r"head\.branches\.(\d)\.0\.": r"decode_head.psp_modules.\1.1.conv.",
        r"head\.branches\.(\d)\.1\.": r"decode_head.psp_modules.\1.1.bn.",
        r"head\.fuse\.0\.": "decode_head.bottleneck.conv.",
        r"head\.fuse\.1\.": "decode_head.bottleneck.bn.",
        r"classifier\.": "decode_head.conv_seg.",
        r"auxiliary\.0\.0\.": "auxiliary_head.convs.0.conv.",
        r"auxiliary\.0\.1\.": "auxiliary_head.convs.0.bn.",
        r"auxiliary\.2\.": "auxiliary_head.conv_seg.",
    }
)
SEMSEG = swap(
    {
        r"backbone\.conv1\.": "module.layer0.",
        r"backbone\.layer": "module.layer",
        r"head\.branches\.(\d)\.0\.": r"module.ppm.features.\1.1.",
        r"head\.branches\.(\d)\.1\.": r"module.ppm.features.\1.2.",
        r"head\.fuse\.": "module.cls.",
        r"classifier\.": "module.cls.4.",
        r"auxiliary\.0\.": "module.aux.",
        r"auxiliary\.2\.": "module.aux.4.",
    }
)
PSPNET = {"backbone": "resnet50", "output_stride": 8, "head": "ppm", "head_channels": 512}
PROJECTS: dict[str, tuple[Callable[[str], str], str, dict[str, Any]]] = {
    "VainF's DeepLabV3": (
        vainf,
        "model_state",
        {"head": "deeplabv3", "head_kernel": 3, "auxiliary": False},
    ),
    "mmsegmentation's PSPNet": (MMSEG, "state_dict", {**PSPNET, "deep_stem": 32, "classes": 19}),
    "PSPNet's own code": (SEMSEG, "state_dict", {**PSPNET, "deep_stem": 64, "classes": 19}),
    "kazuto1011's DeepLabV2": (
        kazuto,
        "",
        {"backbone": "resnet50", "output_stride": 8, "head": "aspp_sum", "auxiliary": False},
    ),
}


@pytest.mark.parametrize("project", PROJECTS)
def test_every_tensor_of_another_projects_network_finds_its_place(
    project: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_folding(monkeypatch)
    rename, inside, values = PROJECTS[project]
    torch.manual_seed(1)
    source = network(**values)
    state = {rename(key): value for key, value in source.state_dict().items()}
    assert not any(re.match(r"(head|auxiliary)\.", key) for key in state)
    path = tmp_path / "net.pth"
    torch.save({inside: state, "epoch": 3} if inside else state, path)
    torch.manual_seed(2)
    model = network(**values)
    classes = VOC if model.spec.classes == 21 else CITYSCAPES
    assert project in initialise(model, path, classes)
    for key, value in model.state_dict().items():
        expected = source.state_dict()[key]
        if "DeepLabV2" in project and key == "backbone.conv1.weight":
            expected = expected.flip(1)  # it sees BGR
        assert torch.equal(value, expected), key


def test_caffes_pixels_are_seen_as_they_were(tmp_path: Path) -> None:
    """BGR, 0..255, less the means: a first layer computes what it did on those."""
    rename, _, values = PROJECTS["kazuto1011's DeepLabV2"]
    source = network(**values)
    path = tmp_path / "net.pth"
    torch.save({rename(k): v for k, v in source.state_dict().items()}, path)
    model = network(**values)
    initialise(model, path, VOC)
    rgb = torch.randint(0, 256, (1, 3, 32, 32)).float()
    theirs = rgb.flip(1) - torch.tensor([104.008, 116.669, 122.675])[:, None, None]
    with torch.inference_mode():
        first, ours = source.backbone, model.backbone
        expected = first.bn1(first.conv1(theirs))  # type: ignore[operator]
        found = ours.bn1(ours.conv1(rgb / 127.5 - 1))  # type: ignore[operator]
    inner = (slice(None), slice(None), slice(4, -4), slice(4, -4))
    torch.testing.assert_close(found[inner], expected[inner], rtol=1e-3, atol=1e-2)


def test_what_is_no_state_dict_is_said_and_never_run(tmp_path: Path) -> None:
    path = tmp_path / "net.pth"
    torch.save(network(head_channels=8), path)  # a whole module: needs its classes to be run
    with pytest.raises(TrainError, match=r"net\.pth: cannot be read as plain weights"):
        read_pytorch(path)
    torch.save({"epoch": 1}, path)
    with pytest.raises(TrainError, match="holds no state dict"):
        read_pytorch(path)
    torch.save({"x.weight": torch.zeros(1)}, path)
    with pytest.raises(TrainError, match=r"no network that is known here \(first key: x\.weight\)"):
        initialise(network(head_channels=8), path, VOC)
