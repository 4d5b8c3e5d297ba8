"""Metrics, of one confusion matrix but for Cityscapes' weighted iIoU. Knows no networks."""

from __future__ import annotations

from train.metrics.cityscapes import CityscapesInstances, category_iou
from train.metrics.confusion import ConfusionMatrix, Scores

__all__ = ["CityscapesInstances", "ConfusionMatrix", "Scores", "category_iou"]
