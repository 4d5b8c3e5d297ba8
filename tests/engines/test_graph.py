from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from engines.graph import DeployedNetwork, DeployedPyramid, fold_batchnorm
from train.evaluation.predict import torch_labeller
from train.models import ModelSpec, Segmenter, build_model
from train.models.pyramid import PYRAMID_BINS, PyramidPooling
from train.models.segmenter import normalise

SIZES = [(32, 32), (96, 160), (288, 512), (352, 480), (224, 992)]


def randomised(model: torch.nn.Module) -> torch.nn.Module:
    """Statistics and weights as after training: no BatchNorm is the identity."""
    torch.manual_seed(1)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.2)
            module.running_var.uniform_(0.5, 1.5)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, 0, 0.2)
    return model.eval()


@pytest.mark.parametrize("height_width", SIZES)
@pytest.mark.parametrize("stride", [8, 16, 32])
def test_pooling_is_that_of_torch_at_every_size(height_width: tuple[int, int], stride: int) -> None:
    head = PyramidPooling(8, 8)
    fold_batchnorm(randomised(head))
    pyramid = DeployedPyramid(head)
    h, w = (side // stride for side in height_width)
    x = torch.randn(1, 8, h, w)
    matrices = []
    for side in (h, w):
        cells = torch.arange(side).float()
        matrices.append(pyramid.pooling_matrix(cells[-1:] + 1, cells))
    pooled = matrices[0] @ x @ matrices[1].T
    start = 0
    for bins in PYRAMID_BINS:
        block = pooled[:, :, start : start + bins, start : start + bins]
        torch.testing.assert_close(block, F.adaptive_avg_pool2d(x, bins))
        start += bins


@pytest.mark.parametrize("kernel", [1, 3])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 2), (6, 10), (18, 32), (22, 30)])
def test_the_rearranged_pyramid_is_the_pyramid(kernel: int, size: tuple[int, int]) -> None:
    head = PyramidPooling(32, 24, kernel=kernel)
    randomised(head)
    x = torch.randn(2, 32, *size)
    with torch.inference_mode():
        expected = head(x)
        fold_batchnorm(head)
        torch.testing.assert_close(DeployedPyramid(head)(x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("label_stride", [1, 2, 4])
@pytest.mark.parametrize("decoder", ["none", "skip"])
def test_the_deployed_network_labels_as_the_trained_one(label_stride: int, decoder: str) -> None:
    spec = ModelSpec(
        classes=11,
        head_channels=16,
        decoder="skip" if decoder == "skip" else "none",
        decoder_channels=16,
        output_stride=8 if decoder == "none" else 16,
    )
    model = build_model(spec)
    randomised(model)
    frames = np.random.default_rng(0).integers(0, 256, (2, 96, 128, 3), dtype=np.uint8)
    with torch.inference_mode():  # equally frequent classes, not one of them everywhere
        scores = model(normalise(torch.from_numpy(frames).permute(0, 3, 1, 2)))
    model.get_parameter("classifier.bias").data -= scores.mean((0, 2, 3))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    deployed = DeployedNetwork(model, label_stride=label_stride).eval()
    reference = torch_labeller(model, label_stride, torch.device("cpu"))
    with torch.inference_mode():
        labels = deployed(torch.from_numpy(frames)).numpy()
    assert labels.dtype == np.uint8
    assert len(np.unique(labels)) > 3
    assert (labels == reference(frames)).mean() >= 0.999
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_the_auxiliary_head_stays_behind() -> None:
    model: Segmenter = build_model(ModelSpec(classes=11, head_channels=8))
    names = [name for name, _ in DeployedNetwork(model).named_modules()]
    assert not any("auxiliary" in name for name in names)
