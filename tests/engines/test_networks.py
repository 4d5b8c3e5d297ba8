"""Every network that `train.models` can build is deployed as the same function."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray

from engines.export import to_onnx
from engines.graph import DeployedNetwork
from tests.engines.test_graph import randomised
from train.evaluation.predict import torch_labeller
from train.models import ModelSpec, Segmenter, build_model
from train.models.aspp import AsppSum
from train.models.segmenter import normalise

NETWORKS: dict[str, dict[str, Any]] = {
    "resnet18 ppm, stride 8": {"backbone": "resnet18", "output_stride": 8},
    "mobilenet_v3_large": {"backbone": "mobilenet_v3_large"},
    "aspp": {"head": "aspp"},
    "fcn": {"head": "fcn"},
    "aspp_sum": {"head": "aspp_sum", "rates": (1, 2), "output_stride": 8},
    "pyramid with a bias": {"pyramid_bin1": "bias"},
    "aspp_l at three scales": {"head": "aspp_l", "scales": (0.5, 0.75, 1.0), "auxiliary": False},
    "ocr on mobilenet_v3_small, stride 8, last conv": {
        "head": "ocr",
        "backbone": "mobilenet_v3_small",
        "output_stride": 8,
        "last_conv": True,
    },
    "pooled, half as wide, decoder at stride 8, smaller inside, some layers late": {
        "backbone": "mobilenet_v2_half",
        "head": "pooled",
        "head_kernel": 1,
        "decoder": "skip",
        "decoder_stride": 8,
        "decoder_low_channels": 8,
        "decoder_head_channels": 8,
        "decoder_channels": 16,
        "input_scale": 0.625,
        "late_padding": (False, True, False, True),
    },
    "pooled, 3x3 fusion": {"head": "pooled", "head_kernel": 3},
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


EXPORTED = (
    "pooled, half as wide, decoder at stride 8, smaller inside, some layers late",
    "ocr on mobilenet_v3_small, stride 8, last conv",
)
"""Together they have all operators that the shipped network's export test has not seen; an export
takes ten seconds."""


def network(values: dict[str, Any], frames_NHWC: NDArray[np.uint8]) -> Segmenter:
    """Random weights whose scores on `frames_NHWC` name several classes."""
    torch.manual_seed(0)
    model = build_model(ModelSpec(**{"classes": 7, "head_channels": 16, **values}))
    randomised(model)
    with torch.inference_mode():
        scores = model(normalise(torch.from_numpy(frames_NHWC).permute(0, 3, 1, 2)))
        mean, std = scores.mean(dim=(0, 2, 3)), scores.std(dim=(0, 2, 3))
        if isinstance(model.classifier, AsppSum):
            model.classifier.bias.sub_(mean)
            for name, parameter in model.classifier.named_parameters():
                parameter.div_(std if name.endswith("bias") else std[:, None, None, None])
        else:
            model.get_parameter("classifier.bias").sub_(mean).div_(std)
            model.get_parameter("classifier.weight").div_(std[:, None, None, None])
    return model


@pytest.mark.parametrize("name", NETWORKS)
def test_the_deployed_network_says_what_the_network_says(name: str) -> None:
    rng = np.random.default_rng(0)
    batches = [
        rng.integers(0, 256, shape, np.uint8) for shape in ((2, 96, 128, 3), (1, 160, 64, 3))
    ]
    model = network(NETWORKS[name], batches[0])
    label = torch_labeller(model, 1, torch.device("cpu"))
    deployed = DeployedNetwork(model)
    session = None
    if name in EXPORTED:
        file = to_onnx(DeployedNetwork(model)).SerializeToString()
        session = ort.InferenceSession(file, providers=["CPUExecutionProvider"])
    for frames in batches:
        expected = label(frames)
        assert len(np.unique(expected)) > 3
        with torch.inference_mode():
            assert np.mean(deployed(torch.from_numpy(frames)).numpy() == expected) > 0.999
        if session is not None:
            (labels,) = session.run(["labels"], {"frames": frames})
            assert np.mean(labels == expected) > 0.999
