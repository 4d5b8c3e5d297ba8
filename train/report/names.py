"""What a recipe's words are called in print, and what distinguishes the models of a report."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from train.report.entry import Entry
from train.report.runs import Run

PRINTED = {
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_small": "MobileNetV3-small",
    "mobilenet_v3_large": "MobileNetV3-large",
    "resnet18": "ResNet-18",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "ppm": "PPM",
    "psp": "PPM",
    "aspp": "ASPP",
    "aspp_l": "ASPP-L",
    "ocr": "OCR",
    "deeplabv2": "ASPP-L",
    "deeplabv3": "DeepLabV3",
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "camvid": "CamVid",
    "cityscapes": "Cityscapes",
    "voc": "PASCAL VOC 2012",
    "cocostuff10k": "COCO-Stuff 10k",
    "cocostuff164k": "COCO-Stuff 164k",
}


def printed(word: object) -> str:
    """A recipe's word as papers write it; an unknown one as it is."""
    return PRINTED.get(str(word), str(word))


def backbone(run: Run) -> str:
    """The backbone's printed name."""
    return printed(run.setting("model", "backbone", "?"))


def head(run: Run) -> str:
    """The head's printed name."""
    return printed(run.setting("model", "head", "?"))


def network(run: Run | None) -> str:
    """Backbone, head, decoder and output stride in one phrase; a dash if no recipe is known."""
    if run is None or not run.recipe.get("model"):
        return "-"
    decoder = run.setting("model", "decoder", "none")
    parts = [backbone(run), head(run)]
    if decoder != "none":
        parts.append(f"{decoder} decoder")
    return f"{' + '.join(parts)}, stride {run.setting('model', 'output_stride', '?')}"


def varied(entries: Sequence[Entry], key: str, fixed: Sequence[str]) -> list[Entry]:
    """The largest group of entries that differ in ``model.key`` and agree in the `fixed` keys.

    Of entries with the same value the first is kept. Empty if no two differ.
    """
    groups: dict[tuple[object, ...], dict[object, Entry]] = defaultdict(dict)
    for entry in entries:
        if entry.run is not None and entry.run.setting("model", key) is not None:
            group = tuple(str(entry.run.setting("model", name)) for name in fixed)
            groups[group].setdefault(entry.run.setting("model", key), entry)
    largest = max(groups.values(), key=len, default={})
    return list(largest.values()) if len(largest) > 1 else []
