"""Training augmentation, from torchvision's v2 transforms (pictures and masks in one call)."""

from __future__ import annotations

from typing import Any

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as VF

from train.data.dataset import IGNORE

GREY = 128
"""What a picture is padded with: the middle of the range, 0 after normalisation."""


class RandomScale(v2.Transform):
    """Resize by a random factor of the picture's own size, log-uniform between two bounds.

    torchvision's `ScaleJitter` scales towards a fixed target size; segmentation papers scale
    relative to the picture.
    """

    def __init__(self, low: float, high: float) -> None:
        super().__init__()
        self.low, self.high = low, high

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the size that picture and mask are resized to."""
        height, width = VF.get_size(flat_inputs[0])
        low, high = torch.tensor([self.low, self.high]).log()
        factor = float(torch.empty(1).uniform_(float(low), float(high)).exp())
        return {"size": [round(height * factor), round(width * factor)]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Resize one of them: pictures bilinearly, masks to the nearest."""
        return self._call_kernel(VF.resize, inpt, size=params["size"], antialias=True)


def training_augmentation(
    *, crop: int, scale: tuple[float, float], flip: bool, jitter: float
) -> v2.Transform:
    """Random scale, crop (padded where too small, labels ignored there), flip, colour jitter."""
    steps: list[v2.Transform] = []
    if scale != (1.0, 1.0):
        steps.append(RandomScale(*scale))
    fill = {tv_tensors.Image: GREY, tv_tensors.Mask: IGNORE}
    steps.append(v2.RandomCrop(crop, pad_if_needed=True, fill=fill))
    if flip:
        steps.append(v2.RandomHorizontalFlip(0.5))
    if jitter > 0:
        steps.append(v2.ColorJitter(brightness=jitter, contrast=jitter, saturation=jitter))
    return v2.Compose(steps)
