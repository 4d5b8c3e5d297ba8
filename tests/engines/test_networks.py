"""Every network that `train.models` can build is deployed as the same function."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch

from engines.export import to_onnx
from engines.graph import DeployedNetwork
from tests.engines.test_graph import randomised
from train.evaluate import torch_labeller
from train.models import ModelSpec, Segmenter, build_model

NETWORKS: dict[str, dict[str, Any]] = {
    "resnet18 ppm, stride 8": {"backbone": "resnet18", "output_stride": 8},
    "mobilenet_v3_large": {"backbone": "mobilenet_v3_large"},
    "mobilenet_v3_small, stride 8, last conv": {
        "backbone": "mobilenet_v3_small",
        "output_stride": 8,
        "last_conv": True,
    },
    "aspp": {"head": "aspp"},
    "aspp_l at three scales": {"head": "aspp_l", "scales": (0.5, 0.75, 1.0), "auxiliary": False},
    "ocr": {"head": "ocr"},
    "deeplabv3, torchvision's shape": {"head": "deeplabv3", "head_kernel": 3, "rates": (8, 12, 16)},
    "deeplabv3+ resnet50, multi-grid, DeepLab's strides": {
        "backbone": "resnet50",
        "head": "deeplabv3",
        "head_kernel": 1,
        "multi_grid": (1, 2, 4),
        "block_strides": "deeplab",
        "decoder": "skip",
        "decoder_depth": 2,
        "decoder_separable": False,
    },
}


def network(values: dict[str, Any]) -> Segmenter:
    torch.manual_seed(0)
    model = build_model(ModelSpec(**{"classes": 7, "head_channels": 16, **values}))
    randomised(model)
    with torch.inference_mode():  # scores of every class within reach of each other
        scores = model(torch.rand(1, 3, 96, 128) * 2 - 1)
        model.classifier.weight /= scores.std()
        assert model.classifier.bias is not None
        model.classifier.bias -= scores.mean(dim=(0, 2, 3)) / scores.std()
    return model


@pytest.mark.parametrize("values", NETWORKS.values(), ids=NETWORKS)
def test_the_deployed_file_says_what_the_network_says(values: dict[str, Any]) -> None:
    model = network(values)
    file = to_onnx(DeployedNetwork(model)).SerializeToString()
    session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    label = torch_labeller(model, 1, torch.device("cpu"))
    rng = np.random.default_rng(0)
    for shape in ((2, 96, 128, 3), (1, 160, 64, 3)):
        frames = rng.integers(0, 256, shape, dtype=np.uint8)
        expected = label(frames)
        assert len(np.unique(expected)) > 2
        (labels,) = session.run(["labels"], {"frames": frames})
        assert np.mean(labels == expected) > 0.999
