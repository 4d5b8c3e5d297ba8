"""Training augmentation, from torchvision's v2 transforms (pictures and masks in one call).

Pictures are bilinear (antialiased), masks nearest. Normalisation is none of these: it is the
network's first step (`train.models.segmenter.normalise`).
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional as VF

from train.data.pixels import IGNORE

Size: TypeAlias = int | tuple[int, int]
"""Side of a square, or (height, width), in pixels; 0 switches a step off."""

ScaleLaw: TypeAlias = Literal["log", "uniform"]
"""How random scales are spread over their range."""

GREY = 128
"""What a picture is padded with: the middle of the range, 0 after normalisation."""


def draw_factor(
    low: float, high: float, choices: tuple[float, ...] = (), law: ScaleLaw = "log"
) -> float:
    """A random scale from torch's generator: one of `choices`, or from the range `low` to `high`.

    By `law`: "log", the logarithm is uniform, halving is as likely as doubling; "uniform", the
    factor itself is, as in the code of PSPNet and mmsegmentation: in [0.5, 2] its mean is 1.25.
    """
    if choices:
        return choices[int(torch.randint(len(choices), ()))]
    if law == "uniform":
        return float(torch.empty(1).uniform_(low, high))
    start, stop = torch.tensor([low, high]).log()
    return float(torch.empty(1).uniform_(float(start), float(stop)).exp())


class RandomScale(v2.Transform):
    """Resize by a random factor of the picture's own size.

    torchvision's `ScaleJitter` scales towards a fixed target size; segmentation papers scale
    relative to the picture.

    Args:
        low: smallest factor.
        high: largest factor.
        choices: the factors to choose from instead, each as likely (DeepLabV2's
            0.5, 0.75, 1, 1.25, 1.5).
        law: how factors are spread between the two, see `draw_factor`.
    """

    def __init__(
        self, low: float, high: float, choices: tuple[float, ...] = (), law: ScaleLaw = "log"
    ) -> None:
        super().__init__()
        self.low, self.high, self.choices, self.law = low, high, choices, law

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the size that picture and mask are resized to."""
        height, width = VF.get_size(flat_inputs[0])
        factor = draw_factor(self.low, self.high, self.choices, self.law)
        return {"size": [max(1, round(height * factor)), max(1, round(width * factor))]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Resize one of them, see `resized`."""
        return resized(inpt, params["size"])


def resized(inpt: Any, size: list[int]) -> Any:
    """A picture at (height, width), bilinear and antialiased, or a mask, nearest.

    torchvision takes a mask's pixels by rounding down: at scales that are no whole numbers its
    labels lie half a pixel up and left of the picture. "Nearest exact" has the picture's centres.
    """
    if not isinstance(inpt, tv_tensors.Mask):
        return VF.resize(inpt, size, antialias=True)
    mask = VF.resize_image(
        inpt.as_subclass(torch.Tensor)[None],
        size,
        interpolation=v2.InterpolationMode.NEAREST_EXACT,
    )
    return tv_tensors.wrap(mask[0], like=inpt)


class Resize(v2.Transform):
    """To a size (height, width); the shape is not kept."""

    def __init__(self, size: list[int]) -> None:
        super().__init__()
        self.size = size

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Resize one of them, see `resized`."""
        return resized(inpt, self.size)


def both_sides(size: Size) -> list[int]:
    """Height and width as torchvision takes them."""
    return [size, size] if isinstance(size, int) else list(size)


def training_augmentation(
    *,
    crop: Size,
    scale: tuple[float, float] = (1.0, 1.0),
    scales: tuple[float, ...] = (),
    scale_law: ScaleLaw = "log",
    flip: bool = True,
    jitter: float = 0.0,
) -> v2.Transform:
    """Random scale, crop (padded where too small, labels ignored there), flip, colour jitter."""
    steps: list[v2.Transform] = []
    if scales or scale != (1.0, 1.0):
        steps.append(RandomScale(*scale, choices=scales, law=scale_law))
    if crop:
        fill = {tv_tensors.Image: GREY, tv_tensors.Mask: IGNORE}
        steps.append(v2.RandomCrop(both_sides(crop), pad_if_needed=True, fill=fill))
    if flip:
        steps.append(v2.RandomHorizontalFlip(0.5))
    if jitter > 0:
        steps.append(v2.ColorJitter(brightness=jitter, contrast=jitter, saturation=jitter))
    return v2.Compose(steps) if steps else v2.Identity()


def preparation(*, resize: Size = 0, centre_crop: Size = 0) -> v2.Transform | None:
    """Resize to a size (the shape is not kept), then the middle of it; None if there is neither.

    Where the picture is smaller than `centre_crop` it is padded, with labels ignored.
    """
    steps: list[v2.Transform] = []
    if resize:
        steps.append(Resize(both_sides(resize)))
    if centre_crop:
        steps.append(CentreCrop(both_sides(centre_crop)))
    return v2.Compose(steps) if steps else None


class CentreCrop(v2.Transform):
    """The middle of a picture, padded like a training crop: torchvision's pads labels with 0."""

    def __init__(self, size: list[int]) -> None:
        super().__init__()
        self.size = size

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """How much to pad: left, top, right, bottom."""
        height, width = VF.get_size(flat_inputs[0])
        down, right = max(0, self.size[0] - height), max(0, self.size[1] - width)
        return {"padding": [right // 2, down // 2, right - right // 2, down - down // 2]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """Pad, then crop one of them."""
        fill = IGNORE if isinstance(inpt, tv_tensors.Mask) else GREY
        padded = self._call_kernel(VF.pad, inpt, padding=params["padding"], fill=fill)
        return self._call_kernel(VF.center_crop, padded, output_size=self.size)
