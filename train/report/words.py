"""What a recipe's words are called in print."""

from __future__ import annotations

PRINTED = {
    "mobilenet_v2": "MobileNetV2",
    "mobilenet_v3_small": "MobileNetV3-small",
    "mobilenet_v3_large": "MobileNetV3-large",
    "resnet18": "ResNet-18",
    "resnet34": "ResNet-34",
    "resnet50": "ResNet-50",
    "resnet101": "ResNet-101",
    "ppm": "PPM",
    "aspp": "ASPP",
    "aspp_l": "ASPP-L",
    "ocr": "OCR",
    "deeplabv3": "DeepLabV3's ASPP",
    "sgd": "SGD",
    "adam": "Adam",
    "adamw": "AdamW",
    "camvid": "CamVid",
    "cityscapes": "Cityscapes",
    "cityscapes_coarse": "Cityscapes, coarse",
    "voc": "PASCAL VOC 2012",
    "voc_aug": "PASCAL VOC 2012 + SBD",
    "cocostuff10k": "COCO-Stuff 10k",
    "cocostuff164k": "COCO-Stuff 164k",
}


def printed(word: object) -> str:
    """A recipe's word as papers write it; an unknown one as it is."""
    return PRINTED.get(str(word), str(word))
