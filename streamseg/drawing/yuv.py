"""Planes of a YUV frame as arrays, and RGB colours in a frame's own matrix, range and depth.

Knows nothing about labels. Formats that are not planar or semi-planar YUV or planar RGB (palettes,
packed formats of cameras and screens) are converted first, by `to_supported`.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import cv2
import numpy as np
from av.video.format import VideoFormat
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from streamseg.drawing.transfer import SDR, TRANSFERS, to_signal

# AVColorSpace and AVColorRange values (libavutil/pixfmt.h); PyAV hands them over as integers.
BT709, UNSPECIFIED, BT2020_NCL, BT2020_CL = 1, 2, 9, 10
BT601_LIKE = (5, 6)  # BT.470BG and SMPTE 170M: one matrix
_SAID = (BT709, BT2020_NCL, BT2020_CL, *BT601_LIKE)
LIMITED, FULL = 1, 2
IDENTITY = 0
"""AVCOL_SPC_RGB: no matrix at all."""
RGB = "rgb"

_BICUBIC = 0x4
_SWS_BT709, _SWS_BT601, _SWS_BT2020 = 1, 5, 9

EXACT = 0x40000 | 0x2000
"""SWS_ACCURATE_RND and SWS_FULL_CHR_H_INT (libswscale/swscale.h). Without both, swscale's fast
paths make an RGB picture 1 to 2 levels too dark: measured, and enough to change labels."""

_LUMA_WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
"""Kr and Kb (ITU-R BT.601, BT.709, BT.2020)."""

Plane: TypeAlias = NDArray[Any]
"""uint8, or uint16 for formats of more than 8 bits."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a pixel format stores its samples."""

    bits: int
    chroma_x: int
    """Luma samples per chroma sample, horizontally: 1 or 2 (4 for yuv410p and yuv411p)."""
    chroma_y: int
    semi_planar: bool = False
    """Cb and Cr interleaved in one plane."""
    grey: bool = False
    rgb: bool = False
    """Planes are green, blue and red instead."""
    alpha: bool = False
    """A plane of transparency behind the others, as large as luma."""


_DEEP = (9, 10, 12, 14, 16)
"""Bits of samples that lie in two bytes each."""


def _layouts() -> dict[str, Layout]:
    layouts = {
        "nv12": Layout(8, 2, 2, semi_planar=True),
        "nv16": Layout(8, 2, 1, semi_planar=True),
        "gray": Layout(8, 1, 1, grey=True),
    }
    for name, x, y in (("420", 2, 2), ("422", 2, 1), ("444", 1, 1), ("440", 1, 2)):
        layouts[f"yuv{name}p"] = layouts[f"yuvj{name}p"] = Layout(8, x, y)
        layouts[f"yuva{name}p"] = Layout(8, x, y, alpha=True)
        for bits in _DEEP:
            layouts[f"yuv{name}p{bits}le"] = Layout(bits, x, y)
            layouts[f"yuva{name}p{bits}le"] = Layout(bits, x, y, alpha=True)
    layouts |= {"yuv411p": Layout(8, 4, 1), "yuvj411p": Layout(8, 4, 1), "yuv410p": Layout(8, 4, 4)}
    layouts |= {"gbrp": Layout(8, 1, 1, rgb=True), "gbrap": Layout(8, 1, 1, rgb=True, alpha=True)}
    for bits in _DEEP:
        layouts[f"gray{bits}le"] = Layout(bits, 1, 1, grey=True)
        layouts[f"gbrp{bits}le"] = Layout(bits, 1, 1, rgb=True)
        layouts[f"gbrap{bits}le"] = Layout(bits, 1, 1, rgb=True, alpha=True)
    return {name: layout for name, layout in layouts.items() if _is_known(name)}


def _is_known(name: str) -> bool:
    try:
        VideoFormat(name)
    except ValueError:
        return False
    return True


LAYOUTS = _layouts()
"""Pixel formats that are drawn on as they are."""


@dataclass(frozen=True, slots=True)
class ColourSpec:
    """Matrix, range and depth in which a frame's samples are to be read."""

    matrix: str
    full_range: bool
    bits: int = 8
    transfer: str = SDR
    """See `streamseg.drawing.transfer`."""

    @classmethod
    def of(cls, frame: VideoFrame) -> ColourSpec:
        """What a frame's tags say; where they are silent, what players assume.

        Untagged video is BT.709 from 720 lines on and BT.601 below; limited range unless the
        format is one of the old full-range ``yuvj`` names.
        """
        name = frame.format.name
        space = int(frame.colorspace)
        layout = LAYOUTS.get(name)
        if layout is not None and layout.rgb:
            return cls(RGB, True, layout.bits)
        if space == BT709:
            matrix = "bt709"
        elif space in (BT2020_NCL, BT2020_CL):
            matrix = "bt2020"
        elif space in BT601_LIKE or min(frame.height, frame.width) < 720:
            matrix = "bt601"
        else:
            matrix = "bt709"
        full = int(frame.color_range) == FULL or name.startswith("yuvj")
        transfer = TRANSFERS.get(int(frame.color_trc), SDR)
        if transfer != SDR and space not in _SAID:
            matrix = "bt2020"
        return cls(matrix, full, layout.bits if layout else 8, transfer)

    @property
    def sws_colorspace(self) -> int:
        """The matrix as swscale numbers it."""
        numbers = {"bt601": _SWS_BT601, "bt709": _SWS_BT709, "bt2020": _SWS_BT2020}
        return numbers.get(self.matrix, _SWS_BT601)

    @property
    def av_colorspace(self) -> int:
        """The matrix as an AVColorSpace."""
        numbers = {"bt601": BT601_LIKE[0], "bt709": BT709, "bt2020": BT2020_NCL, RGB: IDENTITY}
        return numbers[self.matrix]

    @property
    def av_range(self) -> int:
        """The range as an AVColorRange."""
        return FULL if self.full_range else LIMITED

    def from_rgb(self, rgb: NDArray[np.uint8]) -> tuple[Plane, Plane, Plane]:
        """Y, Cb and Cr of RGB colours ``[..., 3]``, each ``[...]``, at this range and depth."""
        kind = np.uint8 if self.bits == 8 else np.uint16
        top = 2**self.bits - 1
        y, cb, cr = (np.clip(np.round(v), 0, top).astype(kind) for v in self.exactly(rgb))
        return y, cb, cr

    def exactly(
        self, rgb: NDArray[np.uint8]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """The same before it is rounded and cut to what samples can hold."""
        if self.matrix == RGB:
            top = 2**self.bits - 1
            red, green, blue = (rgb[..., i] * (top / 255) for i in range(3))
            return green, blue, red
        kr, kb = _LUMA_WEIGHTS[self.matrix]
        signal = rgb.astype(np.float64) / 255
        if self.transfer != SDR:
            signal = to_signal(rgb, self.transfer)
        r, g, b = (signal[..., i] for i in range(3))
        y = kr * r + (1 - kr - kb) * g + kb * b
        cb = (b - y) / (2 * (1 - kb))
        cr = (r - y) / (2 * (1 - kr))
        top = 2**self.bits - 1
        unit = 2 ** (self.bits - 8)
        if self.full_range:
            return y * top, cb * top + 128 * unit, cr * top + 128 * unit
        return (16 + 219 * y) * unit, (128 + 224 * cb) * unit, (128 + 224 * cr) * unit


def planes_of(frame: VideoFrame) -> list[Plane]:
    """Views of a frame's planes: luma ``[H, W]``, chroma ``[h, w]`` (``[h, w, 2]`` semi-planar),
    transparency ``[H, W]`` where there is any.

    Writing to a view writes to the frame: only do that to a frame of your own.

    Raises:
        ValueError: a format that is not in `LAYOUTS`.
    """
    layout = LAYOUTS.get(frame.format.name)
    if layout is None:
        raise ValueError(f"pixel format {frame.format.name} is not one of {', '.join(LAYOUTS)}")
    kind = np.dtype(np.uint8 if layout.bits == 8 else np.uint16)
    views: list[Plane] = []
    for index, plane in enumerate(frame.planes):
        row = plane.line_size // kind.itemsize
        width, height = frame.width, frame.height
        if index in (1, 2):
            width, height = -(-width // layout.chroma_x), -(-height // layout.chroma_y)
        channels = 2 if index and layout.semi_planar else 1
        flat = np.frombuffer(memoryview(plane), kind)[: row * height]
        view = flat.reshape(height, row)[:, : width * channels]
        views.append(view.reshape(height, width, 2) if channels == 2 else view)
    return views


def to_supported(
    frame: VideoFrame, pixel_format: str, size: tuple[int, int], reformatter: VideoReformatter
) -> VideoFrame:
    """The frame in `pixel_format` and `size`, itself when it already is; matrix and range kept.

    RGB becomes what `rgb_target` says, and is tagged so.
    """
    if frame.format.name == pixel_format and (frame.width, frame.height) == size:
        return frame
    is_rgb = is_rgb_format(frame.format)
    colour = ColourSpec.of(frame)
    target = rgb_target(*size) if is_rgb else colour
    full = pixel_format.startswith("yuvj") or is_rgb_format(VideoFormat(pixel_format))
    converted = reformatter.reformat(
        frame,
        width=size[0],
        height=size[1],
        format=pixel_format,
        src_colorspace=colour.sws_colorspace,
        dst_colorspace=target.sws_colorspace,
        src_color_range=FULL if is_rgb else colour.av_range,
        dst_color_range=FULL if full else target.av_range,
        interpolation=_BICUBIC | EXACT,
        threads=1,
    )
    converted.pts, converted.time_base = frame.pts, frame.time_base
    converted.duration = frame.duration
    if full:
        converted.color_range = FULL
    elif is_rgb:
        converted.colorspace, converted.color_range = target.av_colorspace, target.av_range
    return converted


def is_rgb_format(pixel_format: VideoFormat) -> bool:
    """Whether samples are red, green and blue, or a palette of these."""
    return pixel_format.is_rgb or pixel_format.has_palette


def rgb_target(width: int, height: int) -> ColourSpec:
    """What RGB is converted to: what players assume of untagged video of that size."""
    return ColourSpec("bt709" if min(width, height) >= 720 else "bt601", full_range=False)


def new_frame_like(
    frame: VideoFrame, width: int, height: int, pixel_format: str | None = None
) -> VideoFrame:
    """An uninitialised frame with another's time, colour tags and, by default, format."""
    new = VideoFrame(width, height, pixel_format or frame.format.name)
    new.pts, new.time_base, new.duration = frame.pts, frame.time_base, frame.duration
    new.color_range, new.colorspace = frame.color_range, frame.colorspace
    new.color_primaries, new.color_trc = frame.color_primaries, frame.color_trc
    return new


def has_alpha(pixel_format: VideoFormat) -> bool:
    """Whether there is transparency beside the colours."""
    return any(part.is_alpha for part in pixel_format.components)


def without_alpha(pixel_format: str) -> str:
    """The same format without transparency."""
    return pixel_format.replace("yuva", "yuv", 1).replace("gbra", "gbr", 1)


def rgb_to_planes(rgb_HWC: NDArray[np.uint8], colour: ColourSpec, layout: Layout) -> list[Plane]:
    """An RGB picture as planes of a layout; sides must divide by the chroma factors."""
    if colour.transfer == SDR:
        values = _by_matrix(rgb_HWC, colour)
    else:
        values = np.stack(colour.exactly(rgb_HWC), axis=-1)
    top = 2**colour.bits - 1
    kind = np.uint8 if colour.bits == 8 else np.uint16
    planes: list[Plane] = [np.clip(np.rint(values[..., i]), 0, top).astype(kind) for i in range(3)]
    y, cb, cr = planes
    if layout.grey:
        return [y]
    height, width = y.shape
    size = (width // layout.chroma_x, height // layout.chroma_y)
    small = [np.asarray(cv2.resize(c, size, interpolation=cv2.INTER_AREA)) for c in (cb, cr)]
    if layout.semi_planar:
        return [y, np.stack(small, axis=-1)]
    return [y, *small]


def _by_matrix(rgb_HWC: NDArray[np.uint8], colour: ColourSpec) -> NDArray[Any]:
    """Y, Cb and Cr are linear in R, G and B: a matrix for the whole picture."""
    black = np.zeros((1, 3), np.uint8)
    units = np.concatenate([black, np.eye(3, dtype=np.uint8) * 255])
    offset, *steps = np.stack(colour.exactly(units), axis=1)
    matrix = np.column_stack([*((step - offset) / 255 for step in steps), offset])
    return np.asarray(cv2.transform(rgb_HWC.astype(np.float32), matrix.astype(np.float32)))


def even_size(frame_width: int, frame_height: int, layout: Layout) -> tuple[int, int]:
    """Width and height cut down to what subsampled chroma (and so an encoder) can hold."""
    return (
        frame_width - frame_width % layout.chroma_x,
        frame_height - frame_height % layout.chroma_y,
    )


def seconds(frame: VideoFrame) -> float:
    """Presentation time of a frame."""
    return float((frame.pts or 0) * (frame.time_base or Fraction(0)))
