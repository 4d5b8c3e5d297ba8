"""Model file to model file of another precision.

Imports `onnx` when `convert` is called and never before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import UsageError

if TYPE_CHECKING:
    from streamseg.runtime.precision.int8 import Scheme
    from streamseg.runtime.precision.ranges import Method


def convert(
    model: Path,
    precision: Literal["fp32", "fp16", "int8"],
    *,
    calibration: Iterable[NDArray[np.uint8]] | None = None,
    exclude: Sequence[str] = (),
    out: Path,
    scheme: Scheme = "portable",
    half: bool = False,
    method: Method = "mse",
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Path:
    """Write `model` in another precision; its header stays, with a note of what was done.

    Args:
        model: model file in fp32.
        precision: ``fp32`` writes a copy.
        calibration: for int8: frames uint8 ``[N, H, W, 3]`` like those to come, H and W multiples
            of 32; some dozens are enough.
        exclude: names of nodes to leave in fp32, on top of the first and last layers.
        out: file to write; it appears under its name when it is complete.
        scheme: for int8, who is to run it.
        half: for int8, have in fp16 what is not quantised: for TensorRT, which computes a tensor
            in the type it has. ONNX Runtime's optimiser does not take such a graph.
        method: for int8, how a tensor's range is chosen from what was seen.
        progress: for int8, called as ``(phase, done, total)``.

    Returns:
        `out`.

    Raises:
        UsageError: int8 without calibration frames, or an excluded name the graph does not have.
        ModelError: `model` is no model file, or is not in fp32.
        ImportError: the package onnx is missing.
        OSError: `out` cannot be written.
    """
    from streamseg.runtime.precision.graph import check_names, load_fp32, write_model

    graph = load_fp32(model)
    check_names(graph, exclude, model)
    note: dict[str, Any] = {"precision": precision, "exclude": sorted(exclude)}
    if precision == "fp16":
        from streamseg.runtime.precision.fp16 import to_float16

        to_float16(graph, exclude)
    elif precision == "int8":
        from streamseg.runtime.precision.bias import FRAMES, correct_biases
        from streamseg.runtime.precision.int8 import quantisable, quantise
        from streamseg.runtime.precision.ranges import observe

        if calibration is None:
            raise UsageError("int8 needs calibration frames: give a folder of pictures or a video")
        frames = [frame[None] for batch in calibration for frame in batch]
        if not frames:
            raise UsageError("int8 needs calibration frames, and there was not one")
        ranges = observe(graph, frames, progress).ranges(method)
        layers = [name for name in quantisable(graph) if name not in set(exclude)]
        some = frames[:: max(1, len(frames) // FRAMES)][:FRAMES]
        correct_biases(graph, ranges, some, layers=layers, scheme=scheme, progress=progress)
        quantise(graph, ranges, layers=layers, scheme=scheme)
        if half:
            from streamseg.runtime.precision.fp16 import to_float16

            to_float16(graph)
            note["half"] = True
        note |= {"scheme": scheme, "calibration": {"frames": len(frames), "method": method}}
    write_model(graph, out, note)
    return out
