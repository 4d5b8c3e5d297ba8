from __future__ import annotations

from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn
from torch.nn import functional as F
from torchvision.models import MobileNet_V2_Weights, mobilenet_v2

from train.errors import TrainError
from train.models import ModelSpec, build_model, load_backbone_weights, low_resolution_argmax
from train.models.layers import adaptive_avg_pool, pooling_matrix
from train.models.mobilenet import MobileNetV2Backbone
from train.models.pyramid import Bin1, PyramidPooling
from train.models.segmenter import normalise, shrink

BIN1: tuple[Bin1, ...] = ("norm", "bias")


def small(**values: object) -> ModelSpec:
    return ModelSpec(**{"classes": 11, "head_channels": 16, "decoder_channels": 16, **values})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "stride"),
    [
        ({"output_stride": 8}, 8),
        ({"output_stride": 16}, 16),
        ({"output_stride": 32}, 32),
        ({"output_stride": 8, "decoder": "skip"}, 4),
        ({"output_stride": 16, "decoder": "skip", "decoder_depth": 2}, 4),
        ({"output_stride": 16, "decoder": "skip", "head_kernel": 1}, 4),
    ],
)
def test_scores_have_the_stride_that_the_spec_promises(
    values: dict[str, object], stride: int
) -> None:
    model = build_model(small(**values)).eval()
    with torch.inference_mode():
        scores = model(torch.zeros(1, 3, 64, 96))
    assert scores.shape == (1, 11, 64 // stride, 96 // stride)


def test_training_adds_the_auxiliary_scores() -> None:
    model = build_model(small(decoder="skip")).train()
    main, auxiliary = model(torch.zeros(2, 3, 64, 64))
    assert main.shape == (2, 11, 16, 16)
    assert auxiliary.shape == (2, 11, 4, 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"head": "fpn"}, r"head is 'fpn'; known: \['fcn', 'ppm', 'aspp'"),
        ({"backbone": "resnet"}, "backbone is 'resnet'; known"),
        ({"output_stride": 4}, "output_stride is 4; known"),
        ({"decoder_depth": 0}, "decoder_depth must be at least 1, got 0"),
        ({"classes": 1}, "classes must be 2..255"),
        ({"input_scale": 0.6}, r"input_scale must be 0.5 to 1 in sixteenths \(0.625\), got 0.6"),
        ({"input_scale": 0.25}, "input_scale must be 0.5 to 1 in sixteenths"),
        ({"backbone": "resnet18", "late_padding": (True,)}, "late_padding is for MobileNets"),
        ({"head": "aspp_sum", "decoder": "skip"}, "gives class scores, which no decoder takes"),
        ({"pyramid_bin1": "none"}, r"pyramid_bin1 is 'none'; known: \['norm', 'bias'\]"),
    ],
)
def test_a_spec_says_what_is_wrong(values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**values)


def depthwise(backbone: MobileNetV2Backbone) -> list[tuple[int, int]]:
    return [
        (m.stride[0], m.dilation[0])
        for m in backbone.modules()
        if isinstance(m, nn.Conv2d) and m.groups > 1
    ]


def test_a_block_that_lost_its_stride_keeps_its_dilation_and_those_after_it_double() -> None:
    plain = depthwise(MobileNetV2Backbone(output_stride=32))
    assert [i for i, (stride, _) in enumerate(plain) if stride == 2] == [1, 3, 6, 13]
    at_16 = depthwise(MobileNetV2Backbone(output_stride=16))
    assert at_16[13] == (1, 1)
    assert at_16[14:] == [(1, 2)] * 3
    at_8 = depthwise(MobileNetV2Backbone(output_stride=8))
    assert at_8[6] == (1, 1)
    assert at_8[7:14] == [(1, 2)] * 7
    assert at_8[14:] == [(1, 4)] * 3


def test_the_backbone_computes_what_torchvision_computes() -> None:
    torch.manual_seed(0)
    reference = mobilenet_v2().eval()
    backbone = MobileNetV2Backbone(output_stride=32).eval()
    backbone.load_state_dict(
        {k: v for k, v in reference.state_dict().items() if k in backbone.state_dict()}
    )
    x = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(backbone(x)["out"], reference.features[:18](x))


@pytest.mark.parametrize("bins", [1, 2, 3, 6])
@pytest.mark.parametrize("size", [(2, 2), (6, 10), (18, 32), (22, 30), (14, 62), (5, 7)])
def test_pooling_is_exact_at_every_size(bins: int, size: tuple[int, int]) -> None:
    x = torch.randn(2, 3, *size)
    torch.testing.assert_close(adaptive_avg_pool(x, bins), F.adaptive_avg_pool2d(x, bins))


def test_rows_of_a_pooling_matrix_are_averages() -> None:
    for size in range(1, 80):
        matrix = pooling_matrix(size, 6, like=torch.zeros(1))
        torch.testing.assert_close(matrix.sum(dim=1), torch.ones(6))


def test_the_pyramid_keeps_size_and_trains_on_a_map_of_one_pixel() -> None:
    for bin1 in BIN1:
        head = PyramidPooling(32, 16, bin1=bin1).train()
        assert head(torch.randn(2, 32, 1, 1)).shape == (2, 16, 1, 1)
        assert head(torch.randn(2, 32, 5, 7)).shape == (2, 16, 5, 7)


def test_the_bin_of_one_pixel_trains_on_a_batch_of_one_picture() -> None:
    head = PyramidPooling(32, 16).train()
    norm = head.branches[0][1]  # type: ignore[index]
    before = norm.running_mean.clone()
    assert head(torch.randn(1, 32, 5, 7)).shape == (1, 16, 5, 7)
    assert norm.training
    assert torch.equal(norm.running_mean, before)
    head(torch.randn(2, 32, 5, 7))
    assert not torch.equal(norm.running_mean, before)


def test_normalise_maps_bytes_to_minus_one_and_one() -> None:
    values = normalise(torch.tensor([0, 255], dtype=torch.uint8))
    torch.testing.assert_close(values, torch.tensor([-1.0, 1.0]))


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_labels_are_decided_at_the_label_stride_and_repeated(stride: int) -> None:
    scores = torch.randn(2, 11, 8, 16)
    labels = low_resolution_argmax(scores, 32, 64, stride)
    assert labels.dtype == torch.uint8
    assert labels.shape == (2, 32, 64)
    blocks = labels.unfold(1, stride, stride).unfold(2, stride, stride)
    assert torch.equal(blocks.amin((-1, -2)), blocks.amax((-1, -2)))


class TestBackboneWeights:
    def test_a_file_under_torchvisions_keys_is_loaded(self, tmp_path: Path) -> None:
        reference = mobilenet_v2()
        save_file(reference.state_dict(), tmp_path / "w.safetensors")
        backbone = MobileNetV2Backbone()
        load_backbone_weights(backbone, tmp_path / "w.safetensors")
        expected = reference.state_dict()["features.3.conv.0.0.weight"]
        assert torch.equal(backbone.state_dict()["features.3.conv.0.0.weight"], expected)

    def test_none_leaves_them(self) -> None:
        backbone = MobileNetV2Backbone()
        before = backbone.state_dict()["features.0.0.weight"].clone()
        load_backbone_weights(backbone, None)
        assert torch.equal(backbone.state_dict()["features.0.0.weight"], before)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(TrainError, match=r"none\.safetensors: no such weights file"):
            load_backbone_weights(MobileNetV2Backbone(), tmp_path / "none.safetensors")

    def test_a_text_file(self, tmp_path: Path) -> None:
        path = tmp_path / "w.safetensors"
        path.write_text("hello")
        with pytest.raises(TrainError, match="not a safetensors file"):
            load_backbone_weights(MobileNetV2Backbone(), path)

    def test_another_networks_weights(self, tmp_path: Path) -> None:
        path = tmp_path / "w.safetensors"
        save_file({"features.0.0.weight": torch.zeros(1)}, path)
        with pytest.raises(TrainError, match=r"tensors are missing or have another shape \(first"):
            load_backbone_weights(MobileNetV2Backbone(), path)

    def test_a_download_without_a_network(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def unreachable(*_: object, **__: object) -> None:
            raise URLError("Name or service not known")

        monkeypatch.setattr(MobileNet_V2_Weights, "get_state_dict", unreachable)
        with pytest.raises(TrainError, match=r"could not download .*no network.*--init"):
            load_backbone_weights(MobileNetV2Backbone(), "torchvision")


def test_a_late_layer_moves_its_features_by_the_stride_before_it() -> None:
    torch.manual_seed(0)
    plain = MobileNetV2Backbone().eval()
    late = MobileNetV2Backbone(late_padding=(False, False, False, True)).eval()
    late.load_state_dict(plain.state_dict())
    picture = torch.randn(1, 3, 192, 192)
    moved = torch.roll(picture, shifts=(-8, -8), dims=(2, 3))
    with torch.inference_mode():
        here, there = late.features[:8](picture), plain.features[:8](moved)
        torch.testing.assert_close(late.features[:7](picture), plain.features[:7](picture))
    # away from the borders, where a rolled picture is another one
    inner = (..., slice(4, 8), slice(4, 8))
    assert here.shape == (1, 64, 12, 12)
    torch.testing.assert_close(here[inner], there[inner], rtol=1e-3, atol=1e-9)
    assert (here - plain.features[:8](picture))[inner].abs().max() > 0.1 * here.abs().max()


def test_late_padding_wants_a_value_for_each_strided_layer() -> None:
    with pytest.raises(ValueError, match="late_padding needs 4 values, one a stride-2 layer"):
        build_model(small(late_padding=(True, False)))
    assert build_model(small(late_padding=(True,) * 3, output_stride=8))


@pytest.mark.parametrize(
    ("scale", "given", "seen"),
    [
        (0.625, (288, 512), (192, 320)),
        (0.625, (352, 480), (224, 288)),
        (0.5, (32, 96), (32, 64)),
        (1.0, (64, 96), (64, 96)),
    ],
)
def test_the_network_sees_a_smaller_picture_in_multiples_of_32(
    scale: float, given: tuple[int, int], seen: tuple[int, int]
) -> None:
    assert shrink(torch.zeros(1, 3, *given), scale).shape[2:] == seen
    scores = build_model(small(input_scale=scale, decoder="skip")).eval()(torch.zeros(1, 3, *given))
    assert scores.shape[2:] == (seen[0] // 4, seen[1] // 4)
