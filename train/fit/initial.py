"""What a run's weights start from: ``--init``.

A bare backbone's file or torchvision's weights (both are `train.models`' business), one of our
checkpoints or another project's network, whose tensors `takeover` moves in.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from streamseg.models.classlists import ADE20K, CITYSCAPES, CLASS_LISTS, VOC
from streamseg.models.palette import CAMVID, Palette, index_colour
from train.checkpoint import is_checkpoint, load_checkpoint, part
from train.errors import TrainError
from train.fit.takeover import class_pairs, kept_line, take_over, with_shared_classes
from train.models import (
    Segmenter,
    load_backbone_weights,
)
from train.models.folded import WITH_HEAD, folded_classifier, load_folded_deeplab
from train.models.foreign import read_foreign
from train.models.weights import (
    fill,
    first_layer,
    fold_imagenet_normalisation,
    pretrained_deeplabv3,
)
from train.settings.fit import StartClasses

TORCHVISION_DEEPLABV3 = "torchvision:deeplabv3"
_PARTS = ("backbone.", "head.", "classifier.", "auxiliary.")
"""Of a network, but for a decoder, which no other project's network here has."""
FOLDED = "folded:"
"""Before the name of a file of a DeepLab whose BatchNorm is folded away."""


def _load_whole(model: Segmenter, path: Path, classes: Palette, rule: StartClasses) -> str:
    saved = load_checkpoint(path)
    loaded = part(saved.tensors, "model")
    return take_over(model, loaded, saved.classes.names, classes, rule, path)


def _load_pytorch(model: Segmenter, path: Path, classes: Palette, rule: StartClasses) -> str:
    """A network of another project, its normalisation folded into the first layer."""
    found = read_foreign(path)
    state = {k: v for k, v in found.state.items() if k.startswith(_PARTS)}
    if found.whole:
        # a counter of steps that old PyTorch did not keep, and nobody reads
        state |= {k: v for k, v in model.state_dict().items() if k.endswith("batches_tracked")}
        line = take_over(model, state, _names_of(state), classes, rule, path)
    else:
        own = {key.removeprefix("backbone."): value for key, value in state.items()}
        fill(model.backbone, own, str(path), model.backbone.name)
        line = f"starting from backbone weights: {path}"
    normalisation = found.normalisation
    conv, norm = first_layer(model.backbone)
    if normalisation.bgr:
        conv.weight.data = conv.weight.data.flip(1)
    fold_imagenet_normalisation(conv, norm, normalisation.mean, normalisation.std)
    note = f"; {found.note}" if found.note else ""
    return f"{line} ({found.project}{note})"


def _names_of(state: dict[str, Tensor]) -> tuple[str, ...]:
    """Class names of a file that has none: of the data set with so many, else numbers."""
    key = next((k for k in state if k.startswith("classifier.") and k.endswith("bias")), None)
    count = 0 if key is None else len(state[key])
    lists = (VOC, CITYSCAPES, ADE20K, CAMVID)
    known = next((p for p in lists if len(p) == count), None)
    return known.names if known else tuple(f"class {index}" for index in range(count))


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
        own.weight.copy_(with_shared_classes(own.weight, scores.weight, 0, pairs))
        own.bias.copy_(with_shared_classes(own.bias, scores.bias, 0, pairs))
    if classes.names == scores.names:
        return f"starting from the whole network of {path}"
    return f"starting from the network of {path}; {kept_line(classes.names, scores.names, rule)}"


def _is_model_file(path: Path) -> bool:
    """ONNX is told by its name: a protobuf has no mark."""
    return path.suffix.lower() == ".onnx"


def _is_pytorch(path: Path) -> bool:
    """Whether a file is PyTorch's: a zip archive or a pickle, by its content."""
    try:
        with path.open("rb") as file:
            start = file.read(4)
    except OSError:
        return False
    return start == b"PK\x03\x04" or start[:2] in (b"\x80\x02", b"\x80\x03", b"\x80\x04")


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
    if _is_pytorch(Path(source)):
        names = _names_of(read_foreign(Path(source)).state)
        return _palette(names) if names else None
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
        source: one of our checkpoints (``best.safetensors``): the whole network; a PyTorch file of
            a project that `train.models.foreign` knows;
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
        state = pretrained_deeplabv3(model.backbone)
        line = take_over(model, state, VOC.names, classes, rule, source)
        fold_imagenet_normalisation(*first_layer(model.backbone))
        return line
    if str(source).startswith(FOLDED):
        return _load_folded(model, Path(str(source).removeprefix(FOLDED)), classes, rule)
    if _is_model_file(Path(source)):
        raise TrainError(
            f"{source}: a model file (ONNX) has no weights to train on with: give --init the "
            "checkpoint (.safetensors) that it was exported from"
        )
    if _is_pytorch(Path(source)):
        return _load_pytorch(model, Path(source), classes, rule)
    if is_checkpoint(Path(source)):
        return _load_whole(model, Path(source), classes, rule)
    load_backbone_weights(model.backbone, source)
    return f"starting from backbone weights: {source}"
