"""``[data]``: which data set, and how its pictures are augmented.

What the five reports used, as keys of this table:

========  =======================================================================================
PSPNet    ``crop = 713, scale = [0.5, 2.0], flip = true`` (the paper; report 000 names none)
report 1  ``crop = 321, scales = [0.5, 0.75, 1.0, 1.25, 1.5], flip = true``
report 2  ``resize = 256, crop = 0, flip = false, scale = [1.0, 1.0], jitter = 0``
report 4  ``resize = [512, 1024], crop = 512, scale = [0.5, 2.0], flip = true, val_crop = 512``;
          its first experiment ``resize = 512, crop = 0``
========  =======================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass

from train.data.detect import AUTO
from train.data.layouts import LAYOUTS
from train.data.transforms import ScaleLaw, Size


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ValueError(message)


@dataclass(kw_only=True, slots=True, frozen=True)
class DataConfig:
    """``[data]``: the data set's layout and splits, and the augmentation.

    A size is a number (the side of a square), or [height, width]; 0 switches its step off.
    """

    layout: str = "camvid"
    """How the folder is laid out: a name of `train.data.layouts`, see docs/data.md; "auto": as it
    is found to be."""
    train_split: str = "train"
    val_split: str = "val"
    resize: Size = 0
    """All pictures, for training and validation, are resized to this first."""
    crop: Size = 320
    """The random training crop. With 0, pictures go in whole: `resize` must make them equal."""
    val_crop: Size = 0
    """The middle that validation takes; 0: whole pictures."""
    scale: tuple[float, float] = (0.5, 2.0)
    """Range of the random scale, relative to the picture's own size; [1, 1] switches it off."""
    scales: tuple[float, ...] = ()
    """Scales to choose from at random, instead of the range."""
    scale_law: ScaleLaw = "log"
    """log: the range's middle is 1 in [0.5, 2], halving is as likely as doubling; uniform: every
    factor is as likely, the mean is 1.25, as in the code of PSPNet and mmsegmentation."""
    flip: bool = True
    """Half of the pictures are mirrored."""
    jitter: float = 0.3
    """Strength of brightness, contrast and saturation jitter; 0 switches it off."""
    repeat: int = 1
    """An epoch goes over the pictures so many times, differently augmented: small data sets would
    have epochs of a step or two."""
    workers: int = -1
    """Loader processes of each training process; -1: 1 on a CPU, for a GPU its share of the cores,
    at most 8. Results do not depend on it: every sample has its own seed."""
    cache: str = ""
    """Folder for decoded pictures and labels, memory-mapped and shared by all processes, for data
    sets that do not fit the memory; Cityscapes takes 19 GB. Empty: none."""

    def __post_init__(self) -> None:
        known = [AUTO, *sorted(LAYOUTS)]
        _require(self.layout in known, f"layout is {self.layout!r}; known: {known}")
        _require(bool(self.train_split and self.val_split), "train_split and val_split need names")
        for name, size in (
            ("resize", self.resize),
            ("crop", self.crop),
            ("val_crop", self.val_crop),
        ):
            sides = size if isinstance(size, tuple) else (size, size)
            _require(
                size == 0 or all(side >= 32 for side in sides),
                f"{name} must be at least 32, or 0 for none, got {size}",
            )
        _require(
            bool(self.crop) or bool(self.resize),
            "crop = 0 needs resize: the pictures of a batch must be of one size",
        )
        _require(0 < self.scale[0] <= self.scale[1], f"scale must be [low, high], got {self.scale}")
        _require(
            all(scale > 0 for scale in self.scales), f"scales must be positive, got {self.scales}"
        )
        _require(
            bool(self.crop) or (not self.scales and self.scale == (1.0, 1.0)),
            "crop = 0 needs scale = [1.0, 1.0]: the pictures of a batch must be of one size",
        )
        _require(0 <= self.jitter < 1, f"jitter must be in [0, 1), got {self.jitter}")
        _require(self.repeat >= 1, f"repeat must be at least 1, got {self.repeat}")
        _require(self.workers >= -1, f"workers must be at least -1 (auto), got {self.workers}")
