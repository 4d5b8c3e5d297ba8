"""A short real street clip, for whoever has none at hand. Knows nothing of what is done with it.

Where it is from, and its licence: ``LICENSE-street.txt`` beside it.
"""

from __future__ import annotations

from pathlib import Path


def street_clip() -> Path:
    """The clip: a motorway out of a moving car, 960x540, 110 frames, 4.4 s, H.264 and AAC."""
    return Path(__file__).with_name("street.mp4")
