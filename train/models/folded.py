"""Networks whose BatchNorm is folded away: TensorFlow's MobileNetV2 DeepLabs into networks of ours.

A deployed network is convolutions with biases. To train it further it needs its BatchNorm back:
`load_folded_deeplab` puts the biases there, with statistics that change nothing, and
`measure_norms` gives every BatchNorm the statistics that its channels really have, while the
network goes on computing what it did.

Keys of such a file: ``backbone.stem``, ``backbone.blockN.{expand,dw,project}`` (N = 1..17; block 1
has no ``expand``), ``head.{pool,conv,merge}``, each with ``.weight`` (OIHW) and ``.bias``.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from safetensors import safe_open
from torch import Tensor, nn

from train.errors import TrainError
from train.models.mobilenet import MobileNetV2Backbone, MobileNetV2HalfBackbone
from train.models.pooled import PooledHead
from train.models.segmenter import Segmenter
from train.models.spec import ModelSpec
from train.models.weights import State, read_file

Pair = tuple[nn.Conv2d, nn.BatchNorm2d]

WITH_HEAD = "backbone and head"
"""What `load_folded_deeplab` says when all but the classifier was loaded."""


class Scores(NamedTuple):
    """The layer of a file that scores classes: a 1x1 convolution on its head."""

    weight: Tensor
    bias: Tensor
    names: tuple[str, ...]


def folded_classifier(path: Path) -> Scores | None:
    """A file's classifier and the names of its classes; None where either is missing."""
    state = read_file(path)
    with safe_open(path, framework="pt") as file:
        names = tuple((file.metadata() or {}).get("classes", "").split(","))
    weight, bias = state.get("classifier.weight"), state.get("classifier.bias")
    if weight is None or bias is None or len(names) != len(weight):
        return None
    if any(key.startswith("decoder.") for key in state):
        return None  # it reads the decoder
    return Scores(weight, bias, names)


def _pairs(module: nn.Module) -> list[Pair]:
    """All convolutions with the BatchNorm after each, in order."""
    layers = [m for m in module.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d)]
    pairs = zip(layers[0::2], layers[1::2], strict=True)
    return [(cast(nn.Conv2d, conv), cast(nn.BatchNorm2d, norm)) for conv, norm in pairs]


def _named_pairs(model: Segmenter) -> dict[str, Pair]:
    backbone = model.backbone
    assert isinstance(backbone, MobileNetV2Backbone | MobileNetV2HalfBackbone)
    stem, *blocks = backbone.features
    named = {"backbone.stem": _pairs(stem)[0]}
    for number, block in enumerate(blocks, start=1):
        pairs = _pairs(block)
        for name, pair in zip(("expand", "dw", "project")[-len(pairs) :], pairs, strict=True):
            named[f"backbone.block{number}.{name}"] = pair
    if isinstance(model.head, PooledHead):
        for name, part in (
            ("pool", model.head.pooling),
            ("conv", model.head.branch),
            ("merge", model.head.fuse),
        ):
            named[f"head.{name}"] = _pairs(part)[0]
    return named


def load_folded_deeplab(model: Segmenter, path: Path) -> str:
    """Backbone, and the head if it is ``pooled`` and fits, from a file of folded weights.

    Follow it with `measure_norms` before training. Returns what was loaded, for people.

    Raises:
        TrainError: the file cannot be read, or the network is another one.
    """
    if not isinstance(model.backbone, MobileNetV2Backbone | MobileNetV2HalfBackbone):
        raise TrainError(f"{path}: folded weights are of a MobileNetV2, not {model.backbone.name}")
    state = read_file(path)
    named = _named_pairs(model)
    odd = [key for key, (conv, _) in named.items() if not _fits(state, key, conv)]
    if any(key.startswith("backbone.") for key in odd):
        raise TrainError(
            f"{path}: {len(odd)} layers are missing or of another shape (first: {odd[0]}); "
            f"expected a folded DeepLab on {model.backbone.name}"
        )
    for key, (conv, norm) in named.items():
        if key not in odd:
            _put(conv, norm, state[f"{key}.weight"], state[f"{key}.bias"])
    if not any(key.startswith("head.") for key in set(named) - set(odd)):
        return "backbone"
    if _graft_classifier(model, state):
        return "whole network"
    return WITH_HEAD


@torch.no_grad()
def _graft_classifier(model: Segmenter, state: State) -> bool:
    """Let decoder and classifier pass on the file's own scores; whether they could.

    The decoder's projection of the head computes ``relu(s)`` and ``relu(-s)`` of each class's score
    s, its separable convolution hands both on, and the classifier subtracts them: training starts
    from the file's function instead of a random one, its scores read where `_taps` says. The
    classifier of a file with a decoder of its own does not read the head, and is left alone.
    """
    weight, bias = state.get("classifier.weight"), state.get("classifier.bias")
    decoder, classes = model.decoder, model.spec.classes
    if any(key.startswith("decoder.") for key in state):
        return False
    if decoder is None or weight is None or bias is None or not model.spec.decoder_separable:
        return False
    if weight.shape != (classes, model.spec.head_channels, 1, 1):
        return False
    if model.spec.decoder_depth != 1 or isinstance(decoder.reduce, nn.Identity):
        return False
    both = 2 * classes
    (reduce, reduce_norm), ((depth, depth_norm), (point, point_norm)) = (
        _pairs(decoder.reduce)[0],
        _pairs(decoder.fuse),
    )
    if min(reduce.out_channels, point.out_channels) < both:
        return False
    _put_rows(reduce, reduce_norm, torch.cat([weight, -weight]), torch.cat([bias, -bias]))
    taps = _taps(model.spec)
    shifted = torch.outer(taps, taps).expand(both, 1, 3, 3)
    _put_rows(depth, depth_norm, shifted, torch.zeros(both))
    passed = torch.zeros(both, point.in_channels, 1, 1)
    passed[range(both), range(both)] = 1
    _put_rows(point, point_norm, passed, torch.zeros(both))
    last = model.classifier
    assert isinstance(last, nn.Conv2d)
    assert last.bias is not None
    last.weight.mul_(0.1)
    last.weight[:, :both] = 0
    last.weight[range(classes), range(classes)] = 1
    last.weight[range(classes), range(classes, both)] = -1
    last.bias.zero_()
    return True


def _taps(spec: ModelSpec) -> Tensor:
    """Three weights along an axis that move the head's scores to where the enlargement has them.

    The stride-2 layers put feature i on pixel 16 i, and later with late padding; the enlargement
    expects it at the middle of its cell, 7.5 pixels on. Bilinear, by one pixel of the decoder's
    map at most.
    """
    late = sum(2**layer for layer, moved in enumerate(spec.late_padding) if moved)
    shift = ((spec.output_stride - 1) / 2 - late) / spec.decoder_stride
    shift = min(max(shift, -1.0), 1.0)
    return torch.tensor([max(-shift, 0), 1 - abs(shift), max(shift, 0)])


@torch.no_grad()
def _put_rows(conv: nn.Conv2d, norm: nn.BatchNorm2d, weight: Tensor, bias: Tensor) -> None:
    """`_put` for the first of a layer's outputs; the others stay random."""
    rows = len(weight)
    assert norm.running_var is not None
    conv.weight[:rows] = weight.to(conv.weight.dtype)
    norm.bias[:rows] = bias.to(norm.bias.dtype)
    norm.running_var[:rows] = 1 - norm.eps


def _fits(state: State, key: str, conv: nn.Conv2d) -> bool:
    weight = state.get(f"{key}.weight")
    return weight is not None and weight.shape == conv.weight.shape and f"{key}.bias" in state


@torch.no_grad()
def _put(conv: nn.Conv2d, norm: nn.BatchNorm2d, weight: Tensor, bias: Tensor) -> None:
    """Weights into a convolution, the bias into its BatchNorm, which otherwise changes nothing."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    conv.weight.copy_(weight)
    norm.weight.fill_(1)
    norm.bias.copy_(bias)
    norm.running_mean.zero_()
    norm.running_var.fill_(1 - norm.eps)


@torch.no_grad()
def measure_norms(model: nn.Module, pictures: Iterable[Tensor]) -> None:
    """Give every BatchNorm its channels' mean and variance, without changing the network.

    Scale and shift take up what the statistics change: training then starts from the same function
    in both modes.

    Args:
        model: in evaluation mode.
        pictures: batches, normalised, float ``[N, 3, H, W]``.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    sums: dict[nn.Module, list[Any]] = {}

    def count(norm: nn.Module, inputs: tuple[Tensor]) -> None:
        x = inputs[0].double()
        seen = sums.setdefault(norm, [0.0, 0.0, 0])
        seen[0] += x.sum(dim=(0, 2, 3))
        seen[1] += x.square().sum(dim=(0, 2, 3))
        seen[2] += x.numel() // x.shape[1]

    hooks = [norm.register_forward_pre_hook(count) for norm in norms]
    for batch in pictures:
        model(batch)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        if norm in sums:
            total, squares, number = sums[norm]
            mean = total / number
            _settle(norm, mean.float(), (squares / number - mean.square()).clamp(min=1e-6).float())


def _settle(norm: nn.BatchNorm2d, mean: Tensor, variance: Tensor) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    slope = norm.weight / (norm.running_var + norm.eps).sqrt()
    norm.bias.add_(slope * (mean - norm.running_mean))
    norm.weight.copy_(slope * (variance + norm.eps).sqrt())
    norm.running_mean.copy_(mean)
    norm.running_var.copy_(variance)
