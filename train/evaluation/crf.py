"""A fully connected conditional random field after the network (Krähenbühl and Koltun 2011).

Every pair of pixels pulls towards the same label, the more the closer they are in place and in
place and colour together:

    k(i, j) = w_a exp(-|p_i - p_j|^2 / 2 s_a^2 - |I_i - I_j|^2 / 2 s_b^2)
              + w_s exp(-|p_i - p_j|^2 / 2 s_g^2)

Mean field: ``Q = softmax(log P + sum of filtered Q)`` a few times over, with Potts compatibility
and each kernel normalised symmetrically, as the authors' code does. Both filters run on the
permutohedral lattice (`evaluation.lattice`), an approximation of the Gaussian sum that is the
authors' own; nothing is cut off at a window. The sum includes the pixel itself, as theirs does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from train.evaluation.lattice import Lattice

Floats = NDArray[np.float32]


@dataclass(kw_only=True, slots=True, frozen=True)
class CrfConfig:
    """Weights and standard deviations; the defaults are DeepLabV2's.

    The paper (section 4.1) fixes the smoothness kernel and searches the other in w 3..6, position
    30..100 and colour 3..6 for each network; 4, 67 and 3 serve its ResNet-101.
    """

    iterations: int = 10
    appearance_weight: float = 4.0
    appearance_sigma: float = 67.0
    """Pixels of the picture."""
    colour_sigma: float = 3.0
    """Of 0..255."""
    smoothness_weight: float = 3.0
    smoothness_sigma: float = 3.0
    """Pixels of the picture."""

    def __post_init__(self) -> None:
        if self.iterations < 1:
            raise ValueError(f"iterations must be at least 1, got {self.iterations}")
        for name in ("appearance_weight", "smoothness_weight"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative, got {getattr(self, name)}")
        for name in ("appearance_sigma", "colour_sigma", "smoothness_sigma"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")


def crf_config(settings: Sequence[str]) -> CrfConfig:
    """The defaults, but for ``KEY=VALUE`` of `settings`.

    Raises:
        ValueError: no such key, no number, or a number out of range.
    """
    values: dict[str, Any] = {}
    known = {field.name: field.type for field in fields(CrfConfig)}
    for setting in settings:
        key, _, text = setting.partition("=")
        if key not in known:
            raise ValueError(f"{setting}: unknown key of the CRF; known: {', '.join(known)}")
        try:
            values[key] = int(text) if key == "iterations" else float(text)
        except ValueError as error:
            raise ValueError(f"{setting}: write KEY=NUMBER") from error
    return CrfConfig(**values)


def refine(
    probabilities_KHW: Floats, picture_HWC: NDArray[np.uint8], config: CrfConfig | None = None
) -> Floats:
    """Probabilities float32 ``[K, H, W]`` after the field has settled.

    Args:
        probabilities_KHW: the network's, summing to 1 over K.
        picture_HWC: the RGB picture, of the same size.
        config: None takes the defaults.

    Raises:
        ValueError: the sizes differ.
    """
    config = config or CrfConfig()
    classes, height, width = probabilities_KHW.shape
    if picture_HWC.shape[:2] != (height, width):
        raise ValueError(f"picture {picture_HWC.shape[:2]}, probabilities {(height, width)}")
    kernels = [
        (weight, lattice, 1 / np.sqrt(lattice(np.ones((height * width, 1), np.float32)) + 1e-20))
        for weight, lattice in _lattices(picture_HWC, config)
    ]
    flat = probabilities_KHW.reshape(classes, -1).T
    unary = np.log(np.maximum(flat, 1e-7)).astype(np.float32)  # 0 would forbid a label for ever
    q = _softmax(unary)
    for _ in range(config.iterations):
        energy = unary.copy()
        for weight, lattice, norm in kernels:
            energy += np.float32(weight) * norm * lattice(norm * q)
        q = _softmax(energy)
    return np.ascontiguousarray(q.T).reshape(classes, height, width)


def _lattices(picture_HWC: NDArray[np.uint8], config: CrfConfig) -> list[tuple[float, Lattice]]:
    height, width = picture_HWC.shape[:2]
    y, x = np.divmod(np.arange(height * width), width)
    places = np.stack([x, y], axis=-1).astype(np.float64)
    colours = picture_HWC.reshape(-1, 3).astype(np.float64)
    both = np.hstack([places / config.appearance_sigma, colours / config.colour_sigma])
    kernels = [
        (config.smoothness_weight, places / config.smoothness_sigma),
        (config.appearance_weight, both),
    ]
    return [(weight, Lattice(features)) for weight, features in kernels if weight > 0]


def _softmax(energy_PK: Floats) -> Floats:
    shifted = np.exp(energy_PK - energy_PK.max(axis=1, keepdims=True))
    result: Floats = shifted / shifted.sum(axis=1, keepdims=True)
    return result
