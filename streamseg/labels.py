"""What a network says of a picture: a class for every pixel, with names and colours."""

from __future__ import annotations

from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.options import DEFAULT_BACKGROUND, DrawOptions
from streamseg.drawing.picture import draw_on_picture
from streamseg.models.palette import Palette
from streamseg.video.backdrop import open_backdrop
from streamseg.video.picture import check_picture_place, write_picture


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Labels:
    """The labels of one picture."""

    array: NDArray[np.uint8]
    """Class indices uint8 ``[H, W]``, at the picture's size."""
    palette: Palette
    picture: NDArray[np.uint8]
    """What was labelled, RGB uint8 ``[H, W, 3]``, upright."""

    as_seen: NDArray[np.uint8] | None = None
    """The same at the network's size, if that is another: smooth borders are drawn from it."""

    def __post_init__(self) -> None:
        if self.array.shape != self.picture.shape[:2]:
            raise ValueError(
                f"labels {list(self.array.shape)} lie over a picture {list(self.picture.shape)}"
            )

    def __repr__(self) -> str:
        height, width = self.array.shape
        shares = ", ".join(f"{name} {share:.0%}" for name, share in self.shares().items())
        return f"Labels({width}x{height}: {shares})"

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of their indices."""
        return self.palette.names

    def shares(self) -> dict[str, float]:
        """The share of the picture (0..1) that each class covers, the largest first; none of 0."""
        counts = np.bincount(self.array.ravel(), minlength=len(self.classes))
        order = np.argsort(-counts, kind="stable")
        return {self.classes[i]: float(counts[i] / self.array.size) for i in order if counts[i]}

    def draw(self, options: DrawOptions | None = None) -> NDArray[np.uint8]:
        """The picture with the labels drawn, RGB uint8 ``[H, W, 3]``; a cut-out without a
        background is RGBA ``[H, W, 4]``.

        Raises:
            UsageError: an unknown class.
            SourceError: a background that cannot be read.
        """
        options = options or DrawOptions()
        labels = self.array if self.as_seen is None else self.as_seen
        if options.mode == "cutout" and options.background is None:
            return draw_on_picture(self.picture, labels, self.palette, options)
        backdrop = open_backdrop(options)
        with nullcontext() if backdrop is None else closing(backdrop):
            return draw_on_picture(self.picture, labels, self.palette, options, backdrop)

    def save(
        self, path: str | Path, options: DrawOptions | None = None, *, overwrite: bool = False
    ) -> None:
        """Write `draw`'s picture as ``.png``, ``.jpg`` or ``.webp`` (lossless).

        Raises:
            UsageError: another suffix, an existing file without `overwrite`, or an unknown class.
            OutputError: it cannot be written.
        """
        place = check_picture_place(Path(path), overwrite=overwrite)
        if options is not None and options.mode == "cutout" and place.muxer == "jpeg":
            # Which holds no transparency.
            options = replace(options, background=options.background or DEFAULT_BACKGROUND)
        write_picture(place, self.draw(options))

    def save_array(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the class indices as a grey PNG, which keeps every one of them.

        Raises:
            UsageError: another suffix than ``.png``, or an existing file without `overwrite`.
            OutputError: it cannot be written.
        """
        place = check_picture_place(Path(path), overwrite=overwrite, lossless=True)
        write_picture(place, self.array)
