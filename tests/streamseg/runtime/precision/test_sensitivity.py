"""The listing names the layer that was made costly."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from onnx import numpy_helper
from rich.console import Console

from streamseg.errors import UsageError
from streamseg.runtime.precision.graph import cpu_session, load_fp32
from streamseg.runtime.precision.int8 import quantisable, quantise
from streamseg.runtime.precision.ranges import observe
from streamseg.runtime.precision.sensitivity import main, sensitivity, table
from tests.streamseg.runtime.precision.small import labels_of, pictures
from tests.streamseg.slow_model import write_pictures


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


def test_the_costly_layer_comes_first_both_ways(touchy: Path) -> None:
    frames = pictures(4)
    done: list[tuple[str, int, int]] = []
    alone = sensitivity(touchy, frames, scheme="cpu", progress=lambda *a: done.append(a))
    # Its input is quantised, too, when the layer before it is: that one comes second.
    assert {cost.name for cost in alone[:2]} == {"node_wide", "node_depthwise"}
    assert alone[0].lost > 2 * alone[2].lost
    assert alone[0].weight in ("wide.weight", "depthwise.weight")
    assert len(alone) == 7
    assert done[-1] == ("layers", 7, 7)


def test_left_out_is_what_excluding_wins(touchy: Path) -> None:
    frames = pictures(4)
    (cost,) = sensitivity(touchy, frames, scheme="cpu", trial="left_out", layers=["node_depthwise"])

    def changed(*exclude: str) -> float:
        graph = load_fp32(touchy)
        ranges = observe(graph, [frames]).ranges("mse")
        layers = [name for name in quantisable(graph) if name not in exclude]
        quantise(graph, ranges, layers=layers, scheme="cpu")
        labels = cpu_session(graph).run(["labels"], {"frames": frames})[0]
        return float(np.mean(labels != labels_of(touchy, frames)))

    assert cost.lost == pytest.approx(changed() - changed("node_depthwise"))
    assert cost.lost > 0


def test_an_unknown_layer_is_refused(small: Path) -> None:
    with pytest.raises(UsageError, match="has no convolution node_nothing"):
        sensitivity(small, pictures(1), layers=["node_nothing"])


def test_the_table_has_the_costliest_rows(small: Path) -> None:
    costs = sensitivity(small, pictures(2), layers=["node_mix", "node_skip", "node_down"])
    console = Console(width=100, record=True, quiet=True)
    shown = table(costs, rows=2)
    assert shown.row_count == 2
    console.print(shown)
    assert costs[0].lost >= costs[1].lost >= costs[2].lost


def test_it_runs_from_the_command_line(small: Path, tmp_path: Path) -> None:
    folder = write_pictures(tmp_path / "pictures")
    result = CliRunner().invoke(main, [str(small), "--pictures", str(folder), "--count", "2"])
    assert result.exit_code == 0, result.output
    assert "node_depthwise" in result.output
    refused = CliRunner().invoke(main, [str(small), "--pictures", str(tmp_path / "nowhere")])
    assert refused.exit_code == 2
    assert "no such folder or video" in refused.output
