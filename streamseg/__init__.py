"""Segment a video or a camera stream, fast, on the machine you have.

from streamseg import Segmenter

with Segmenter("mbv2") as seg:
    stats = seg.video("in.mp4", "out.mp4")
    labels = seg.image("street.jpg")
    for frame, labels in seg.frames("in.mp4"):
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
    from streamseg.drawing.options import DrawOptions
    from streamseg.errors import (
        EngineError,
        ModelError,
        OutputError,
        SourceError,
        StoppedError,
        StreamsegError,
        UsageError,
    )
    from streamseg.functions import label_frames, segment_live, segment_video, write_sample
    from streamseg.labelmaps.options import CleanOptions
    from streamseg.labelmaps.outputs import LabelOutputs
    from streamseg.labels import Labels
    from streamseg.live.options import CameraOptions
    from streamseg.measures.options import MeasureOptions
    from streamseg.models.palette import Palette
    from streamseg.recolor import recolor_video
    from streamseg.run.stats import StageStats, Stats
    from streamseg.runtime.engine import Engine, EngineSpec
    from streamseg.runtime.open import open_engine
    from streamseg.segmenter import Segmenter
    from streamseg.video.encoder import EncoderOptions
    from streamseg.video.part import Part

__all__ = [
    "CameraOptions",
    "CleanOptions",
    "DrawOptions",
    "EncoderOptions",
    "Engine",
    "EngineError",
    "EngineSpec",
    "LabelOutputs",
    "Labels",
    "MeasureOptions",
    "ModelError",
    "OutputError",
    "Palette",
    "Part",
    "Segmenter",
    "SourceError",
    "StageStats",
    "Stats",
    "StoppedError",
    "StreamsegError",
    "UsageError",
    "__version__",
    "label_frames",
    "open_engine",
    "recolor_video",
    "segment_live",
    "segment_video",
    "write_sample",
]

# Name -> module. Loaded on first use (PEP 562): `streamseg --help` must not wait for PyAV, OpenCV
# and ONNX Runtime.
_HOMES = {
    "CameraOptions": "live.options",
    "CleanOptions": "labelmaps.options",
    "DrawOptions": "drawing.options",
    "EncoderOptions": "video.encoder",
    "Engine": "runtime.engine",
    "EngineError": "errors",
    "EngineSpec": "runtime.engine",
    "LabelOutputs": "labelmaps.outputs",
    "Labels": "labels",
    "MeasureOptions": "measures.options",
    "ModelError": "errors",
    "OutputError": "errors",
    "Palette": "models.palette",
    "Part": "video.part",
    "Segmenter": "segmenter",
    "SourceError": "errors",
    "StageStats": "run.stats",
    "Stats": "run.stats",
    "StoppedError": "errors",
    "StreamsegError": "errors",
    "UsageError": "errors",
    "label_frames": "functions",
    "open_engine": "runtime.open",
    "recolor_video": "recolor",
    "segment_live": "functions",
    "segment_video": "functions",
    "write_sample": "functions",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'streamseg' has no attribute {name!r}")
    return getattr(import_module(f"streamseg.{_HOMES[name]}"), name)
