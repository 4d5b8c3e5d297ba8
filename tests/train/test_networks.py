"""Backbones and heads against torchvision's networks and against plain formulas."""

from __future__ import annotations

from typing import Any
from urllib.error import URLError

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models as tv

from streamseg.models.classlists import VOC
from streamseg.models.palette import CAMVID
from tests.train.test_models import small
from train.errors import TrainError
from train.fit.initial import initialise
from train.models import BACKBONES, build_model, load_backbone_weights
from train.models.aspp import AsppL, AsppSum, DeepLabV3Head, PlainAspp
from train.models.mobilenet import MobileNetV3LargeBackbone
from train.models.ocr import OcrHead
from train.models.resnet import ResNetBackbone, spatial_convs
from train.models.segmenter import normalise
from train.models.weights import (
    DEEPLABV3,
    IMAGENET_MEAN,
    IMAGENET_STD,
    TORCHVISION,
    fold_imagenet_normalisation,
)


def rates(layer: nn.Module) -> list[list[tuple[int, int]]]:
    """(stride, dilation) of every 3x3 convolution, by block."""
    return [[(c.stride[0], c.dilation[0]) for c in spatial_convs(b)] for b in layer.children()]


@pytest.mark.parametrize("name", list(BACKBONES))
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_every_backbone_has_the_maps_and_strides_it_promises(name: str, stride: int) -> None:
    backbone = BACKBONES[name](output_stride=stride).eval()
    with torch.inference_mode():
        maps = backbone(torch.zeros(1, 3, 64, 96))
    assert maps["low"].shape == (1, backbone.low_channels, 16, 24)
    assert maps["out"].shape == (1, backbone.out_channels, 64 // stride, 96 // stride)
    assert maps["aux"].shape[1] == backbone.aux_channels
    assert maps["aux"].shape[2] == 64 // min(stride, 16)


@pytest.mark.parametrize("name", list(TORCHVISION))
def test_at_stride_32_a_backbone_computes_what_torchvision_computes(name: str) -> None:
    torch.manual_seed(0)
    reference: Any = getattr(tv, name)().eval()
    backbone = BACKBONES[name](output_stride=32).eval()
    state = reference.state_dict()
    backbone.load_state_dict({key: state[key] for key in backbone.state_dict()})
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        if name.startswith("resnet"):
            whole = nn.Sequential(*list(reference.children())[:-2])
        else:
            whole = reference.features[:-1]
        assert torch.equal(backbone(x)["out"], whole(x))


def test_pspnets_resnet_18_is_dilated_by_2_and_4_as_in_report_000() -> None:
    backbone = ResNetBackbone("resnet18", output_stride=8)
    assert rates(backbone.layer2)[0][0] == (2, 1)
    # "for the conv1 in layer3 ... dilation (2, 2)": the second convolution of a block has none
    assert rates(backbone.layer3) == [[(1, 2), (1, 1)]] * 2
    assert rates(backbone.layer4) == [[(1, 4), (1, 1)]] * 2
    both = ResNetBackbone("resnet18", output_stride=8, basic_dilation="both")
    assert rates(both.layer4) == [[(1, 4), (1, 4)]] * 2
    for layer in (backbone.layer3, backbone.layer4):
        assert layer[0].downsample[0].stride == (1, 1)
    assert (backbone.aux_channels, backbone.out_channels) == (256, 512)
    assert ResNetBackbone("resnet50", output_stride=8).aux_channels == 1024


def test_torchvisions_dilated_resnet_50_is_the_rule_keep() -> None:
    torch.manual_seed(0)
    options = {"replace_stride_with_dilation": [False, True, True]}
    reference = tv.resnet50(**options).eval()
    backbone = ResNetBackbone("resnet50", output_stride=8, dilation_rule="keep").eval()
    state = reference.state_dict()
    backbone.load_state_dict({key: state[key] for key in backbone.state_dict()})
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        whole = nn.Sequential(*list(reference.children())[:-2])
        assert torch.equal(backbone(x)["out"], whole(x))


def test_multi_grid_multiplies_the_dilation_of_layer_4() -> None:
    backbone = ResNetBackbone("resnet50", output_stride=16, multi_grid=(1, 2, 4))
    assert rates(backbone.layer3) == [[(2, 1)]] + [[(1, 1)]] * 5
    assert rates(backbone.layer4) == [[(1, 2)], [(1, 4)], [(1, 8)]]


def test_deeplabs_strides_end_blocks_1_and_2_and_leave_block_3_alone() -> None:
    backbone = ResNetBackbone("resnet50", output_stride=16, block_strides="deeplab").eval()
    strides = {
        name: [block[0][0] for block in rates(getattr(backbone, name))]
        for name in ("layer1", "layer2", "layer3", "layer4")
    }
    assert strides == {
        "layer1": [1, 1, 2],
        "layer2": [1, 1, 1, 2],
        "layer3": [1] * 6,
        "layer4": [1] * 3,
    }
    # the same tensors, so that ImageNet weights fit
    plain = ResNetBackbone("resnet50", output_stride=16)
    assert list(backbone.state_dict()) == list(plain.state_dict())
    with pytest.raises(ValueError, match="is for output stride 16, got 8"):
        ResNetBackbone("resnet50", output_stride=8, block_strides="deeplab")


def test_a_mobilenet_with_its_last_layer_and_every_block_dilated() -> None:
    backbone = MobileNetV3LargeBackbone(last_conv=True, dilation_rule="dilate").eval()
    depthwise = [m for m in backbone.modules() if isinstance(m, nn.Conv2d) and m.groups > 1]
    assert [(m.stride[0], m.dilation[0]) for m in depthwise[-3:]] == [(1, 2)] * 3
    assert [m.padding[0] for m in depthwise[-3:]] == [4] * 3
    with torch.inference_mode():
        assert backbone(torch.zeros(1, 3, 64, 64))["out"].shape == (1, 960, 4, 4)


class TestHeads:
    x = torch.randn(2, 32, 9, 13, generator=torch.Generator().manual_seed(0))

    def test_plain_aspp_keeps_the_size(self) -> None:
        head = PlainAspp(32, 16).eval()
        assert head(self.x).shape == (2, 16, 9, 13)
        convs = [branch[0] for branch in head.branches]  # type: ignore[index]
        assert [conv.dilation for conv in convs] == [(r, r) for r in (1, 2, 3, 6)]

    def test_aspp_l_with_its_classifier_is_the_sum_of_the_branches(self) -> None:
        """DeepLabV2 sums four branches' class scores; here one classifier reads all four."""
        torch.manual_seed(0)
        head, classifier = AsppL(32, 8).eval(), nn.Conv2d(32, 5, 1)
        expected = classifier.get_parameter("bias")[:, None, None] * torch.ones(1, 5, 9, 13)
        for index, branch in enumerate(head.branches):
            weight = classifier.weight[:, 8 * index : 8 * index + 8]
            expected = expected + F.conv2d(branch(self.x), weight)
        torch.testing.assert_close(classifier(head(self.x)), expected)

    def test_deeplabv2s_short_form_adds_four_dilated_convolutions(self) -> None:
        torch.manual_seed(0)
        sum_ = AsppSum(32, 5)
        convs = [nn.Conv2d(32, 5, 3, padding=r, dilation=r) for r in (6, 12, 18, 24)]
        for own, conv in zip(sum_.branches, convs, strict=True):
            own.load_state_dict(conv.state_dict())
        expected = torch.stack([conv(self.x) for conv in convs]).sum(dim=0)
        torch.testing.assert_close(sum_(self.x), expected)
        with torch.no_grad():
            sum_.bias.add_(1)  # what moves it moves the class's score
        torch.testing.assert_close(sum_(self.x), expected + 1)

    def test_deeplabv3s_pooling_branch_is_the_pictures_mean(self) -> None:
        head = DeepLabV3Head(32, 8).eval()
        seen: list[torch.Tensor] = []
        head.project.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
        head(self.x)
        pooled = head.pooling(self.x.mean(dim=(2, 3), keepdim=True))
        torch.testing.assert_close(seen[0][:, -8:], pooled.expand(-1, -1, 9, 13))

    def test_deeplabv3_trains_on_one_picture(self) -> None:
        head = DeepLabV3Head(32, 8).train()
        assert head(self.x[:1]).shape == (1, 8, 9, 13)
        assert head.pooling[1].training

    def test_ocr_gathers_means_weighted_by_the_regions(self) -> None:
        regions = torch.full((2, 3, 9, 13), -50.0)
        regions[:, 0, 2, 3] = 50  # region 0 is one pixel
        regions[:, 1, :, 0] = 50  # region 1 the left column
        objects = OcrHead.gather(self.x, regions)
        assert objects.shape == (2, 32, 3, 1)
        torch.testing.assert_close(objects[:, :, 0, 0], self.x[:, :, 2, 3])
        torch.testing.assert_close(objects[:, :, 1, 0], self.x[:, :, :, 0].mean(dim=2))
        torch.testing.assert_close(objects[:, :, 2, 0], self.x.mean(dim=(2, 3)))

    def test_ocr_keeps_the_size(self) -> None:
        head = OcrHead(32, 16).eval()
        assert head(self.x, torch.randn(2, 5, 9, 13)).shape == (2, 16, 9, 13)


def test_torchvisions_fcn_computes_the_same_here() -> None:
    torch.manual_seed(0)
    reference = tv.segmentation.fcn_resnet50(weights=None, weights_backbone=None).eval()
    values = {"dilation_rule": "keep", "output_stride": 8, "head_channels": 512}
    model = build_model(small(classes=21, backbone="resnet50", head="fcn", **values)).eval()
    state = reference.state_dict()
    own = {key.removeprefix("backbone."): value for key, value in state.items()}
    model.backbone.load_state_dict({key: own[key] for key in model.backbone.state_dict()})
    for ours, theirs in (("head.fuse.0", "0"), ("head.fuse.1", "1"), ("classifier", "4")):
        part = model.get_submodule(ours)
        part.load_state_dict({k: state[f"classifier.{theirs}.{k}"] for k in part.state_dict()})
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        expected = reference.classifier(reference.backbone(x)["out"])
        torch.testing.assert_close(model(x), expected, atol=1e-4, rtol=1e-4)


def test_scales_are_fused_by_their_maximum_and_each_is_supervised() -> None:
    torch.manual_seed(0)
    spec = small(head="aspp_l", scales=(0.5, 1.0), auxiliary=False)
    model = build_model(spec)
    assert [tuple(t.shape[2:]) for t in model.train()(torch.zeros(2, 3, 64, 96))] == [
        (4, 6),
        (2, 3),
        (4, 6),
    ]
    x = torch.randn(1, 3, 64, 96)
    model.eval()
    with torch.inference_mode():
        full = model.scores(model.backbone(x))
        half = model.scores(model.backbone(F.interpolate(x, scale_factor=0.5, mode="bilinear")))
        expected = torch.maximum(full, F.interpolate(half, size=(4, 6), mode="bilinear"))
        torch.testing.assert_close(model(x), expected)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"rates": (6, 12)}, "head 'ppm' takes no rates; those that do"),
        ({"multi_grid": (1, 2, 4)}, "are for ResNets, not mobilenet_v2"),
        ({"backbone": "resnet18", "last_conv": True}, "last_conv is for MobileNets, not resnet18"),
        ({"scales": (0.5, 0.75)}, "the largest of scales must be 1"),
        ({"head": "aspp", "rates": (0,)}, "rates must be at least 1, got 0"),
    ],
)
def test_what_does_not_go_together_is_said(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**values)


class TestWeights:
    def test_imagenets_normalisation_is_folded_into_the_first_layer(self) -> None:
        torch.manual_seed(0)
        conv, norm = nn.Conv2d(3, 8, 3, bias=False), nn.BatchNorm2d(8).eval()
        pixels = torch.randint(0, 256, (1, 3, 12, 12), dtype=torch.uint8)
        mean, std = (torch.tensor(v)[:, None, None] for v in (IMAGENET_MEAN, IMAGENET_STD))
        expected = norm(conv((pixels / 255 - mean) / std))
        fold_imagenet_normalisation(conv, norm)
        torch.testing.assert_close(norm(conv(normalise(pixels))), expected, atol=1e-5, rtol=1e-4)

    @pytest.mark.parametrize("name", list(DEEPLABV3))
    def test_torchvisions_deeplabv3_computes_the_same_here(
        self, name: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        torch.manual_seed(0)
        builder = getattr(tv.segmentation, f"deeplabv3_{name}")
        mobile = name.startswith("mobilenet")
        reference = builder(weights=None, weights_backbone=None, aux_loss=not mobile).eval()
        state = reference.state_dict()
        enum = type(DEEPLABV3[name])
        monkeypatch.setattr(enum, "get_state_dict", lambda *_, **__: state)
        values: dict[str, object] = {"dilation_rule": "keep", "output_stride": 8}
        if mobile:
            values = {"dilation_rule": "dilate", "last_conv": True, "auxiliary": False}
        shape = {"head": "deeplabv3", "head_kernel": 3, "head_channels": 256, "rates": (12, 24, 36)}
        model = build_model(small(classes=21, backbone=name, **shape, **values)).eval()
        # the same input to both: what the folding does has a test of its own
        monkeypatch.setattr("train.fit.initial.fold_imagenet_normalisation", lambda *_: None)
        line = initialise(model, "torchvision:deeplabv3", VOC)
        assert line == "starting from the whole network of torchvision:deeplabv3"
        x = torch.randn(1, 3, 64, 64)
        with torch.inference_mode():
            features = reference.backbone(x)["out"]
            expected = reference.classifier(features)
            got = model(x)
        assert float((got - expected).abs().max() / expected.abs().max()) < 1e-4

    def test_another_architecture_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        model = build_model(small(backbone="resnet50", head="ppm"))
        enum = type(DEEPLABV3["resnet50"])
        monkeypatch.setattr(enum, "get_state_dict", lambda *_, **__: {})
        with pytest.raises(TrainError, match="holds another network than the recipe's"):
            initialise(model, "torchvision:deeplabv3", CAMVID)
        other = build_model(small())
        with pytest.raises(TrainError, match="torchvision has no DeepLabV3 with mobilenet_v2"):
            initialise(other, "torchvision:deeplabv3", CAMVID)

    @pytest.mark.parametrize("name", list(TORCHVISION))
    def test_a_download_without_a_network(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        def unreachable(*_: object, **__: object) -> None:
            raise URLError("Name or service not known")

        monkeypatch.setattr(type(TORCHVISION[name]), "get_state_dict", unreachable)
        with pytest.raises(TrainError, match=rf"could not download torchvision's {name} weights"):
            load_backbone_weights(BACKBONES[name](), "torchvision")
