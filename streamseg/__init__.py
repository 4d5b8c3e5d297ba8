"""Segment a video or a camera stream, fast, on the machine you have.

from streamseg import segment_video, label_frames

stats = segment_video("in.mp4", "out.mp4", model="mbv2")
for frame, labels in label_frames("in.mp4"):
    ...
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from streamseg.version import __version__

# ONNX Runtime's official builds report to their makers unless told otherwise before they are
# loaded, under an identifier that they keep in the user's home. Whoever wants that sets it to 0.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from streamseg.errors import (
        EngineError,
        ModelError,
        OutputError,
        SourceError,
        StreamsegError,
        UsageError,
    )
    from streamseg.functions import label_frames, segment_video, write_sample
    from streamseg.live.live import segment_live
    from streamseg.models.palette import Palette
    from streamseg.run.stats import StageStats, Stats
    from streamseg.runtime.engine import Engine, EngineSpec
    from streamseg.runtime.open import open_engine

__all__ = [
    "Engine",
    "EngineError",
    "EngineSpec",
    "ModelError",
    "OutputError",
    "Palette",
    "SourceError",
    "StageStats",
    "Stats",
    "StreamsegError",
    "UsageError",
    "__version__",
    "label_frames",
    "open_engine",
    "segment_live",
    "segment_video",
    "write_sample",
]

# Name -> module. Loaded on first use (PEP 562): `streamseg --help` must not wait for PyAV, OpenCV
# and ONNX Runtime.
_HOMES = {
    "Engine": "runtime.engine",
    "EngineSpec": "runtime.engine",
    "open_engine": "runtime.open",
    "EngineError": "errors",
    "ModelError": "errors",
    "OutputError": "errors",
    "SourceError": "errors",
    "StreamsegError": "errors",
    "UsageError": "errors",
    "segment_live": "live.live",
    "Palette": "models.palette",
    "label_frames": "functions",
    "segment_video": "functions",
    "write_sample": "functions",
    "StageStats": "run.stats",
    "Stats": "run.stats",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'streamseg' has no attribute {name!r}")
    return getattr(import_module(f"streamseg.{_HOMES[name]}"), name)
