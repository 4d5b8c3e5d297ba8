"""Pixel formats: which of an encoder's is nearest to a source's, and what is lost on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from av.video.format import VideoFormat

_SIDE = 64
"""Of a picture to measure subsampling on."""

_CHROMA = {(1, 1): "4:4:4", (2, 1): "4:2:2", (2, 2): "4:2:0", (4, 1): "4:1:1", (1, 2): "4:4:0"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What a pixel format can hold."""

    bits: int
    """Of a sample; fewer than 8 in the thin RGB of old codecs."""
    across: int
    """Luma samples per chroma sample, horizontally."""
    down: int
    """The same, vertically."""
    alpha: bool
    rgb: bool
    grey: bool

    @property
    def chroma(self) -> str:
        """As people call it: ``4:2:0``."""
        names = {
            (1, 1): "4:4:4",
            (2, 1): "4:2:2",
            (2, 2): "4:2:0",
            (4, 1): "4:1:1",
            (1, 2): "4:4:0",
        }
        return names.get((self.across, self.down), f"1/{self.across * self.down}")


def is_known(name: str) -> bool:
    """Whether FFmpeg knows a pixel format of that name."""
    try:
        VideoFormat(name)
    except ValueError:
        return False
    return True


def traits(name: str) -> Traits:
    """What the pixel format of a name can hold."""
    pixel_format = VideoFormat(name, _SIDE, _SIDE)
    parts = pixel_format.components
    rgb = pixel_format.is_rgb or pixel_format.has_palette
    colours = [part for part in parts if not part.is_alpha]
    return Traits(
        bits=max(part.bits for part in colours),
        across=1 if rgb else _SIDE // (pixel_format.chroma_width(_SIDE) or _SIDE),
        down=1 if rgb else _SIDE // (pixel_format.chroma_height(_SIDE) or _SIDE),
        alpha=any(part.is_alpha for part in parts),
        rgb=rgb,
        grey=len(colours) == 1 and not pixel_format.has_palette,
    )


def nearest(wanted: str, names: Iterable[str]) -> str | None:
    """The pixel format that loses least of another, and among those the smallest; None of none.

    Args:
        wanted: the format that is to be held.
        names: to choose from; those of one brightness alone are not taken.
    """
    want = traits(wanted)

    def loss(name: str) -> tuple[object, ...]:
        have = traits(name)
        # RGB becomes the 4:2:0 that every player shows rather than the 4:4:4 that few do.
        across, down = (2, 2) if want.rgb and not have.rgb else (want.across, want.down)
        return (
            want.alpha and not have.alpha,
            have.across > across or have.down > down,
            max(0, want.bits - have.bits),
            name.startswith("pal"),
            want.rgb != have.rgb,
            have.alpha and not want.alpha,
            have.bits,
            -have.across * have.down,
            name.startswith("yuvj") != wanted.startswith("yuvj"),
            name.endswith("be"),
            name.startswith(("nv", "p")),
        )

    names = list(names)
    if wanted in names:
        return wanted
    return min((n for n in names if not traits(n).grey), key=loss, default=None)


def losses(source: str, encoded: str) -> list[str]:
    """What one pixel format holds and another does not, in words."""
    had, has = traits(source), traits(encoded)
    lost = []
    if had.bits > has.bits and encoded != "pal8":
        lost.append(f"{had.bits} bits a sample become {has.bits}")
    if had.rgb and not has.rgb:
        lost.append(f"RGB becomes YUV {has.chroma}")
    elif not had.grey and (has.across > had.across or has.down > had.down):
        lost.append(f"chroma {had.chroma} becomes {has.chroma}")
    if had.alpha and not has.alpha:
        # Screens and GIFs are often decoded so without having any.
        lost.append(f"transparency{', if there is any,' if had.rgb else ''} is left out")
    return lost
