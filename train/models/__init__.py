"""Networks: backbone -> head -> optional decoder -> classifier. Knows no data and no loss.

A name in a recipe is a key of a plain dict (`BACKBONES`, `HEADS`) that maps to a builder. To add a
backbone or a head, write the module and add one line to the dict.
"""

from __future__ import annotations

from train.models.backbones import BACKBONES
from train.models.heads import HEADS
from train.models.segmenter import Segmenter, build_model, low_resolution_argmax
from train.models.spec import ModelSpec
from train.models.weights import load_backbone_weights

__all__ = [
    "BACKBONES",
    "HEADS",
    "ModelSpec",
    "Segmenter",
    "build_model",
    "load_backbone_weights",
    "low_resolution_argmax",
]
