"""What a run's weights start from: ``--init``.

A bare backbone's file or torchvision's weights (both are `train.models`' business), or one of our
checkpoints, whose whole network is taken over. Where its class list is another one, what
belongs to a class both have goes with the class (or with its index, `StartClasses`); the rest of
those layers stays random.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from streamseg.models.classlists import CLASS_LISTS, VOC
from streamseg.models.palette import Palette, index_colour
from train.checkpoint import is_checkpoint, load_checkpoint, part
from train.data.classnames import match
from train.errors import TrainError
from train.models import (
    ModelSpec,
    Segmenter,
    build_model,
    load_backbone_weights,
    load_pretrained_deeplabv3,
)
from train.models.folded import WITH_HEAD, folded_classifier, load_folded_deeplab
from train.settings.fit import StartClasses

TORCHVISION_DEEPLABV3 = "torchvision:deeplabv3"
FOLDED = "folded:"
"""Before the name of a file of a DeepLab whose BatchNorm is folded away."""


def class_axes(spec: ModelSpec) -> dict[str, int]:
    """The tensors whose size depends on the number of classes, and along which axis.

    Found by building the network's outline for two numbers of classes: true of every network.
    """
    with torch.device("meta"):
        few, more = (
            build_model(dataclasses.replace(spec, classes=classes)).state_dict()
            for classes in (2, 3)
        )
    return {
        key: axis
        for key, value in few.items()
        for axis in range(value.ndim)
        if value.shape[axis] != more[key].shape[axis]
    }


def class_pairs(
    names: Sequence[str], before: Sequence[str], rule: StartClasses
) -> list[tuple[int, int]]:
    """Which class of ours starts as which class of a file: pairs of indices.

    "name": those that both lists name; a name of the same meaning will do
    (`train.data.classnames`): motorcycle for motorbike. "index": class i as class i, whatever they
    mean, as far as both lists go.
    """
    if rule == "index":
        return [(index, index) for index in range(min(len(names), len(before)))]
    found = ((index, match(name, before)) for index, name in enumerate(names))
    return [(index, there) for index, there in found if there is not None]


def _with_shared_classes(
    own: Tensor, loaded: Tensor, axis: int, pairs: Sequence[tuple[int, int]]
) -> Tensor:
    """`own` with the slices of the classes of `pairs` taken from `loaded`."""
    result = own.clone()
    for index, there in pairs:
        result.select(axis, index).copy_(loaded.select(axis, there))
    return result


def _kept(names: Sequence[str], before: Sequence[str], rule: StartClasses) -> str:
    """What became of a classifier of other classes, for people."""
    pairs = class_pairs(names, before, rule)
    which = ", ".join(names[index] for index, _ in pairs) or "none"
    if rule == "index":
        which = ", ".join(f"{before[there]} as {names[index]}" for index, there in pairs)
    return (
        f"its classifier is replaced: {len(names)} classes for {len(before)}, kept by {rule}: "
        f"{which}"
    )


def _with_own_auxiliary(
    loaded: dict[str, Tensor], own: dict[str, Tensor]
) -> tuple[dict[str, Tensor], str]:
    """Weights whose auxiliary head is there if the network has one, and what was done about it.

    It serves training alone, and recipes that share a network may differ in it.
    """
    theirs, ours = (any(k.startswith("auxiliary.") for k in keys) for keys in (loaded, own))
    if theirs == ours:
        return loaded, ""
    kept = {k: v for k, v in loaded.items() if not k.startswith("auxiliary.")}
    if theirs:
        return kept, " without its auxiliary head"
    mine = {k: v for k, v in own.items() if k.startswith("auxiliary.")}
    return kept | mine, " with a new auxiliary head"


def _load_whole(model: Segmenter, path: Path, classes: Palette, rule: StartClasses) -> str:
    saved = load_checkpoint(path)
    own = model.state_dict()
    loaded, about = _with_own_auxiliary(part(saved.tensors, "model"), own)
    same = saved.classes.names == classes.names
    axes = {} if same else class_axes(model.spec)
    odd = [key for key in own if key not in loaded] + [key for key in loaded if key not in own]
    odd += [
        key
        for key, value in own.items()
        if key in loaded and key not in axes and loaded[key].shape != value.shape
    ]
    if odd:
        raise TrainError(
            f"{path}: holds another network than the recipe's [model]: {len(odd)} tensors differ "
            f"(first: {odd[0]}); give --init a checkpoint of the same network"
        )
    pairs = class_pairs(classes.names, saved.classes.names, rule)
    for key, axis in axes.items():
        if loaded[key] is not own[key]:  # a new auxiliary head has nothing to take over
            loaded[key] = _with_shared_classes(own[key], loaded[key], axis, pairs)
    model.load_state_dict(loaded)
    if same:
        return f"starting from the whole network of {path}{about}"
    kept = _kept(classes.names, saved.classes.names, rule)
    return f"starting from the network of {path}{about}; {kept}"


def _load_folded(model: Segmenter, path: Path, classes: Palette, rule: StartClasses) -> str:
    """A file of folded weights; its classifier too, where nothing lies between it and the head."""
    what = load_folded_deeplab(model, path)
    scores = folded_classifier(path)
    line = f"starting from the {what} of {path}"
    if what != WITH_HEAD or model.decoder is not None or scores is None:
        return line
    own, pairs = model.classifier, class_pairs(classes.names, scores.names, rule)
    assert isinstance(own, nn.Conv2d)
    assert own.bias is not None
    if own.weight.shape[1:] != scores.weight.shape[1:]:
        return line
    with torch.no_grad():
        own.weight.copy_(_with_shared_classes(own.weight, scores.weight, 0, pairs))
        own.bias.copy_(_with_shared_classes(own.bias, scores.bias, 0, pairs))
    if classes.names == scores.names:
        return f"starting from the whole network of {path}"
    return f"starting from the network of {path}; {_kept(classes.names, scores.names, rule)}"


def _foreign_format(path: Path) -> str:
    """What a file is that people take for weights, and what to give instead; by its content.

    ONNX is told by its name: a protobuf has no mark.
    """
    if path.suffix.lower() == ".onnx":
        return (
            "a model file (ONNX) has no weights to train on with: give --init the checkpoint "
            "(.safetensors) that it was exported from"
        )
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError:
        return ""
    if start[:4] == b"PK\x03\x04" or start[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04"):
        return (
            "a PyTorch file (pickle), which --init does not read: it may run code. Load its state "
            "dict with torch.load(..., weights_only=True) and write it with "
            "safetensors.torch.save_file"
        )
    return ""


def classes_of(source: str) -> Palette | None:
    """The classes that start weights were trained on; None if they do not say.

    Raises:
        TrainError: a file cannot be read.
    """
    if source == TORCHVISION_DEEPLABV3:
        return VOC
    if source.startswith(FOLDED):
        scores = folded_classifier(Path(source.removeprefix(FOLDED)))
        return None if scores is None else _palette(scores.names)
    return load_checkpoint(Path(source)).classes if is_checkpoint(Path(source)) else None


def _palette(names: tuple[str, ...]) -> Palette:
    """A class list that is known by its names, or Pascal VOC's colours for others."""
    known = next((p for p in CLASS_LISTS.values() if p.names == names), None)
    return known or Palette(names=names, colours=tuple(map(index_colour, range(len(names)))))


def initialise(
    model: Segmenter, source: Path | str | None, classes: Palette, rule: StartClasses = "name"
) -> str:
    """Load what `source` names into a fresh network; returns one line that says what was done.

    Args:
        model: just built.
        source: one of our checkpoints (``best.safetensors``): the whole network;
            ``torchvision:deeplabv3``: the whole of torchvision's DeepLabV3, trained on COCO with
            Pascal VOC's classes; ``torchvision`` or a file of backbone weights: see
            `train.models.load_backbone_weights`; ``folded:FILE.safetensors``: a DeepLab without
            BatchNorm, see `train.models.folded`; None: nothing.
        classes: what the network is to tell apart.
        rule: which of a whole network's classes become which of these, see `class_pairs`.

    Raises:
        TrainError: no such file, none of ours and no backbone's, or of another network.
    """
    if source is None:
        return "starting from random weights"
    if source == TORCHVISION_DEEPLABV3:
        load_pretrained_deeplabv3(model, model.backbone)
        return f"starting from the whole network of {source}; its classifier fits 21 classes only"
    if str(source).startswith(FOLDED):
        return _load_folded(model, Path(str(source).removeprefix(FOLDED)), classes, rule)
    if fault := _foreign_format(Path(source)):
        raise TrainError(f"{source}: {fault}")
    if is_checkpoint(Path(source)):
        return _load_whole(model, Path(source), classes, rule)
    load_backbone_weights(model.backbone, source)
    return f"starting from backbone weights: {source}"
