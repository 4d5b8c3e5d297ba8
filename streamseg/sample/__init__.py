"""A short street scene to try things on, for whoever has no clip at hand.

Draws, sounds and writes it; knows nothing about segmentation beyond which class each pixel has.
"""

from __future__ import annotations

from streamseg.sample.audio import scene_audio
from streamseg.sample.scene import StreetScene
from streamseg.sample.spec import SampleSpec
from streamseg.sample.writer import write_sample

__all__ = ["SampleSpec", "StreetScene", "scene_audio", "write_sample"]
