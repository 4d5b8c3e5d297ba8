"""The listing names the layer that was made costly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from streamseg.errors import UsageError
from streamseg.runtime.precision.graph import load_fp32
from streamseg.runtime.precision.sensitivity import sensitivity
from tests.streamseg.runtime.precision.small import pictures


@pytest.fixture
def touchy(small: Path, tmp_path: Path) -> Path:
    """Depthwise weights of which all but one round to nothing: one scale has to serve them all."""
    model = load_fp32(small)
    for tensor in model.graph.initializer:
        if tensor.name == "depthwise.weight":
            values = 30 * numpy_helper.to_array(tensor)
            values[:, 0, 1, 1] = -values[:, 0].sum(axis=(1, 2)) + values[:, 0, 1, 1]
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
    path = tmp_path / "touchy.onnx"
    onnx.save(model, path)
    return path


def test_the_costly_layer_comes_first(touchy: Path) -> None:
    frames = pictures(4)
    done: list[tuple[str, int, int]] = []
    alone = sensitivity(touchy, frames, scheme="cpu", progress=lambda *a: done.append(a))
    # Its input is quantised, too, when the layer before it is: that one comes second.
    assert {cost.name for cost in alone[:2]} == {"node_wide", "node_depthwise"}
    assert alone[0].lost > 2 * alone[2].lost
    assert alone[0].weight in ("wide.weight", "depthwise.weight")
    assert len(alone) == 7
    assert done[-1] == ("layers", 7, 7)


def test_an_unknown_layer_is_refused(small: Path) -> None:
    with pytest.raises(UsageError, match="has no convolution node_nothing"):
        sensitivity(small, pictures(1), layers=["node_nothing"])
