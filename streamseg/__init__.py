"""Segment a video or a camera stream, fast, on the machine you have."""

from __future__ import annotations

__version__ = "0.1.0"
