"""The sample's soft sound: an engine's hum under a slowly breathing chord.

Knows nothing about pictures or files.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamseg.sample.spec import SampleSpec

SAMPLE_RATE = 48_000
PEAK = 0.18
_ENGINE_HZ = 55.0
_CHORD_HZ = (220.0, 277.18, 329.63, 440.0)
_FADE_SECONDS = 0.25


def scene_audio(spec: SampleSpec) -> NDArray[np.float32]:
    """Stereo sound ``[2, samples]`` at 48 kHz, as long as the clip, no louder than 0.2."""
    count = max(round(spec.seconds * SAMPLE_RATE), 1)
    seconds = np.arange(count, dtype=np.float64) / SAMPLE_RATE
    revs = 2 * np.pi * _ENGINE_HZ * (seconds + 0.02 * np.sin(2 * np.pi * 0.3 * seconds))
    engine = sum(np.sin(k * revs) / k**1.4 for k in (1, 2, 3, 4))
    sides = []
    for side in (0, 1):
        chord = sum(
            np.sin(2 * np.pi * hz * seconds + side)
            * (0.6 + 0.4 * np.sin(2 * np.pi * (0.11 + 0.03 * k) * seconds + k + side))
            for k, hz in enumerate(_CHORD_HZ)
        )
        noise = np.random.default_rng((spec.seed, side)).standard_normal(count)
        tyres = np.convolve(noise, np.hanning(24), mode="same")
        sides.append(0.5 * engine + 0.25 * chord + 0.03 * tyres)
    sound = np.stack(sides)
    fade = np.clip(np.minimum(seconds, seconds[::-1]) / _FADE_SECONDS, 0, 1)
    sound *= fade
    loudest = float(np.abs(sound).max())
    return (sound * (PEAK / loudest if loudest else 0.0)).astype(np.float32)
