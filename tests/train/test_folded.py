from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from streamseg.models.palette import Palette
from train.errors import TrainError
from train.fit.initial import initialise
from train.models import ModelSpec, Segmenter, build_model
from train.models.folded import _named_pairs, load_folded_deeplab, measure_norms

CLASSES = Palette(names=("a", "b", "c"), colours=((0, 0, 0), (9, 9, 9), (99, 9, 9)))


def network(**changed: Any) -> Segmenter:
    values: dict[str, Any] = {
        "classes": 3,
        "backbone": "mobilenet_v2_half",
        "head": "pooled",
        "head_channels": 16,
        "head_kernel": 1,
        "decoder": "skip",
        "decoder_channels": 8,
        "decoder_head_channels": 8,
        "decoder_low_channels": 4,
        "auxiliary": False,
    }
    return build_model(ModelSpec(**(values | changed))).eval()


def folded_file(
    path: Path, model: Segmenter, classifier: nn.Conv2d, names: str | None = None
) -> Path:
    """A file of folded weights with lively biases."""
    tensors: dict[str, Tensor] = {}
    for key, (conv, _) in _named_pairs(model).items():
        tensors[f"{key}.weight"] = conv.weight.detach().clone()
        tensors[f"{key}.bias"] = 0.1 * torch.randn(conv.out_channels)
    tensors["classifier.weight"] = classifier.weight.detach().clone()
    assert classifier.bias is not None
    tensors["classifier.bias"] = classifier.bias.detach().clone()
    save_file(tensors, path, metadata={"classes": names} if names else None)
    return path


@pytest.fixture
def file(tmp_path: Path) -> Path:
    torch.manual_seed(1)
    return folded_file(tmp_path / "f.safetensors", network(), nn.Conv2d(16, 3, 1))


def test_a_layer_computes_the_folded_convolution(file: Path) -> None:
    from safetensors.torch import load_file

    model, state = network(), load_file(file)
    load_folded_deeplab(model, file)
    x = torch.randn(1, 3, 32, 32)
    stem: nn.Module = model.backbone.features[0]  # type: ignore[index, assignment]
    plain = F.conv2d(
        x, state["backbone.stem.weight"], state["backbone.stem.bias"], stride=2, padding=1
    )
    with torch.inference_mode():
        torch.testing.assert_close(stem(x), plain.clamp(0, 6), rtol=1e-4, atol=1e-5)


def test_the_decoder_starts_as_the_files_own_scores_one_pixel_on(file: Path) -> None:
    from safetensors.torch import load_file

    model, state = network(), load_file(file)
    assert load_folded_deeplab(model, file) == "whole network"
    assert model.decoder is not None
    # without what the classifier reads of the random channels the scores are the file's
    both = 6
    model.get_parameter("classifier.weight").data[:, both:] = 0
    with torch.inference_mode():
        maps = model.backbone(torch.randn(1, 3, 64, 64))
        head = model.head(maps["out"])
        own = F.conv2d(head, state["classifier.weight"], state["classifier.bias"])
        parts = torch.cat([own.relu(), (-own).relu()], dim=1)
        large = F.interpolate(parts, size=maps["low"].shape[2:], mode="bilinear")
        expected = (large[:, :3] - large[:, 3:])[..., 1:, 1:]
        scores = model.scores(maps)[..., :-1, :-1]
    torch.testing.assert_close(scores, expected, rtol=1e-3, atol=1e-4)


def test_features_that_lie_in_the_middle_of_their_cells_are_read_there(file: Path) -> None:
    model = network(late_padding=(False, False, False, True))
    assert load_folded_deeplab(model, file) == "whole network"
    assert model.decoder is not None
    weight = next(model.decoder.fuse.parameters())[:6, 0]
    # 8 pixels are half a pixel too far, an eighth of one of the decoder's
    along = torch.tensor([0.125, 0.875, 0.0])
    torch.testing.assert_close(weight, torch.outer(along, along).expand(6, 3, 3))


def test_a_files_own_decoder_is_not_mistaken_for_a_classifier_of_the_head(file: Path) -> None:
    from safetensors.torch import load_file

    save_file(load_file(file) | {"decoder.low.weight": torch.zeros(4, 12, 1, 1)}, file)
    assert load_folded_deeplab(network(), file) == "backbone and head"


def test_measuring_statistics_changes_no_score_and_makes_training_mode_agree(file: Path) -> None:
    model = network()
    load_folded_deeplab(model, file)
    pictures = [torch.randn(2, 3, 64, 64) for _ in range(4)]
    with torch.inference_mode():
        before = model(pictures[0])
        measure_norms(model, pictures)
        torch.testing.assert_close(model(pictures[0]), before, rtol=1e-3, atol=1e-4)
    norm = next(m for m in model.backbone.modules() if isinstance(m, nn.BatchNorm2d))
    seen: list[Tensor] = []
    norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with torch.inference_mode():
        model(torch.cat(pictures))
    assert norm.running_mean is not None
    torch.testing.assert_close(norm.running_mean, seen[0].mean(dim=(0, 2, 3)), rtol=1e-2, atol=1e-3)


def test_what_fits_is_loaded_and_said(tmp_path: Path, file: Path) -> None:
    line = initialise(network(), f"folded:{file}", CLASSES)
    assert line == f"starting from the whole network of {file}"
    other = Palette(names=("x", "y"), colours=((0, 0, 0), (9, 9, 9)))
    assert "backbone and head of" in initialise(network(classes=2), f"folded:{file}", other)
    assert "the backbone of" in initialise(
        network(head="ppm", decoder="none"), f"folded:{file}", CLASSES
    )
    with pytest.raises(TrainError, match="folded weights are of a MobileNetV2"):
        load_folded_deeplab(network(backbone="mobilenet_v3_small"), file)
    with pytest.raises(TrainError, match="layers are missing or of another shape"):
        load_folded_deeplab(network(backbone="mobilenet_v2"), file)
    with pytest.raises(TrainError, match="no such weights file"):
        load_folded_deeplab(network(), tmp_path / "none.safetensors")


def test_without_a_decoder_the_files_classifier_is_the_networks(tmp_path: Path) -> None:
    torch.manual_seed(1)
    scores = nn.Conv2d(16, 3, 1)
    whole = network(decoder="none", decoder_head_channels=0)
    path = folded_file(tmp_path / "f.safetensors", whole, scores, names="a,b,c")
    model = network(decoder="none", decoder_head_channels=0)
    assert initialise(model, f"folded:{path}", CLASSES) == (
        f"starting from the whole network of {path}"
    )
    assert torch.equal(model.get_parameter("classifier.weight"), scores.weight)
    other = Palette(names=("c", "z"), colours=((0, 0, 0), (9, 9, 9)))
    few = network(decoder="none", decoder_head_channels=0, classes=2)
    assert initialise(few, f"folded:{path}", other).endswith("2 classes for 3, kept by name: c")
    assert torch.equal(few.get_parameter("classifier.weight")[0], scores.weight[2])
    initialise(few, f"folded:{path}", other, "index")
    assert torch.equal(few.get_parameter("classifier.weight"), scores.weight[:2])
