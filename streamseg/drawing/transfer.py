"""High dynamic range: drawn colours at the white of paper, pictures as an SDR screen shows them.

PQ is SMPTE ST 2084, HLG is ARIB STD-B67, both as in ITU-R BT.2100; graphics' white as in BT.2408.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

PQ, HLG, SDR = "pq", "hlg", "sdr"
TRANSFERS = {16: PQ, 18: HLG}
"""AVColorTransferCharacteristic (libavutil/pixfmt.h) of high dynamic range."""

WHITE_NITS = 203.0
"""What BT.2408 calls reference white."""
_PQ_PEAK_NITS = 10_000.0
_HLG_PEAK_NITS = 1000.0
_HLG_GAMMA = 1.2
_M1, _M2 = 2610 / 16384, 2523 / 4096 * 128
_C1, _C2, _C3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073
_TO_BT2020 = np.array(
    [[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]]
)
"""Linear light of BT.709's primaries in BT.2020's (ITU-R BT.2087)."""
_TO_BT709 = np.linalg.inv(_TO_BT2020)
_BT2020_LUMA = np.array([0.2627, 0.6780, 0.0593])
_KNEE = 0.6
"""Up to here brightness is kept, in units of reference white; above it is rolled off."""


def to_signal(rgb: NDArray[np.uint8], transfer: str) -> Floats:
    """Drawn colours as an HDR signal, with sRGB's white at reference white.

    Args:
        rgb: ``[..., 3]``, sRGB.
        transfer: `PQ` or `HLG`; primaries are BT.2020's.

    Returns:
        ``[..., 3]``, 0 to 1.
    """
    linear = _from_srgb(rgb.astype(np.float64) / 255) @ _TO_BT2020.T
    if transfer == PQ:
        return _to_pq(np.clip(linear, 0, None) * WHITE_NITS)
    shown = np.clip(linear, 0, None) * (WHITE_NITS / _HLG_PEAK_NITS)
    brightness = np.maximum(shown @ _BT2020_LUMA, 1e-9)[..., None]
    return _to_hlg(shown * brightness ** (1 / _HLG_GAMMA - 1))


def to_sdr(signal: NDArray[np.uint16], transfer: str) -> NDArray[np.uint8]:
    """A picture of high dynamic range as an SDR screen shows it.

    Args:
        signal: ``[H, W, 3]``, RGB of 16 bits, full range, BT.2020's primaries.
        transfer: `PQ` or `HLG`.

    Returns:
        ``[H, W, 3]``, sRGB.
    """
    light: NDArray[Any] = _light_of(transfer)[signal]
    if transfer == HLG:
        brightness = (light @ _BT2020_LUMA.astype(np.float32))[..., None]
        light = light * np.maximum(brightness, 1e-6) ** np.float32(_HLG_GAMMA - 1)
        light *= np.float32(_HLG_PEAK_NITS / WHITE_NITS)
    light = np.clip(light @ _TO_BT709.T.astype(np.float32), 0, None)
    brightest = np.maximum(light.max(axis=-1, keepdims=True), np.float32(1e-6))
    rolled = _KNEE + (1 - _KNEE) * (1 - np.exp(-(brightest - _KNEE) / (1 - _KNEE)))
    light *= np.where(brightest > _KNEE, rolled / brightest, 1)
    steps = np.clip(light * (len(_srgb_table()) - 1), 0, len(_srgb_table()) - 1)
    return np.asarray(_srgb_table()[steps.astype(np.uint16)], np.uint8)


@cache
def _light_of(transfer: str) -> NDArray[np.float32]:
    """Light of each 16-bit sample: PQ in units of reference white, HLG of the scene."""
    samples = np.arange(1 << 16) / ((1 << 16) - 1)
    light = _from_pq(samples) / WHITE_NITS if transfer == PQ else _from_hlg(samples)
    return light.astype(np.float32)


@cache
def _srgb_table() -> NDArray[np.uint8]:
    linear = np.arange(1 << 14) / ((1 << 14) - 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.round(coded * 255).astype(np.uint8)


def _from_srgb(coded: Floats) -> Floats:
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def _to_pq(nits: Floats) -> Floats:
    power = (nits / _PQ_PEAK_NITS) ** _M1
    return np.asarray(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def _from_pq(signal: Floats) -> Floats:
    root = signal ** (1 / _M2)
    fraction = np.maximum(root - _C1, 0) / (_C2 - _C3 * root)
    return np.asarray(fraction ** (1 / _M1) * _PQ_PEAK_NITS)


def _to_hlg(scene: Floats) -> Floats:
    bright = _A * np.log(np.maximum(12 * scene - _B, 1e-9)) + _C
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)


def _from_hlg(signal: Floats) -> Floats:
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - _C) / _A) + _B) / 12)
