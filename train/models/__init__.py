"""Networks, each a composition: backbone -> head -> (decoder) -> logits.

`build_model` turns a `ModelSpec` into a `Segmenter`. A plain dict maps names to builders: to add a
backbone or a head, write the module and add one line to the dict.
"""

from __future__ import annotations

from train.models.backbones import BACKBONES, load_backbone_weights
from train.models.heads import HEADS
from train.models.segmenter import ModelSpec, Segmenter, build_model, low_resolution_argmax

__all__ = [
    "BACKBONES",
    "HEADS",
    "ModelSpec",
    "Segmenter",
    "build_model",
    "load_backbone_weights",
    "low_resolution_argmax",
]
