"""The toy model file, a plain clip, and the command line in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from streamseg.models.modelfile import HEADER_KEY
from tests.streamseg.clips import Clip
from tests.streamseg.fakes import toy_header

REPOSITORY = Path(__file__).parents[2]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def toy_graph() -> onnx.ModelProto:
    """labels = argmax of the three channels; no header."""
    nodes = [
        helper.make_node("Cast", ["frames"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("ArgMax", ["floats"], ["largest"], axis=3, keepdims=0),
        helper.make_node("Cast", ["largest"], ["labels"], to=TensorProto.UINT8),
    ]
    frames = helper.make_tensor_value_info("frames", TensorProto.UINT8, ["N", "H", "W", 3])
    labels = helper.make_tensor_value_info("labels", TensorProto.UINT8, ["N", "H", "W"])
    graph = helper.make_graph(nodes, "toy", [frames], [labels])
    opset = helper.make_opsetid("", 17)
    return helper.make_model(graph, opset_imports=[opset], ir_version=8)


@pytest.fixture(scope="session")
def toy_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file whose labels a test can predict."""
    model = toy_graph()
    helper.set_model_props(model, {HEADER_KEY: toy_header().to_json()})
    path = tmp_path_factory.mktemp("models") / "toy.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve frames at 25 fps with AAC sound; tests only read it."""
    return Clip(audio=("aac",)).write(tmp_path_factory.mktemp("clips") / "clip.mp4")


@pytest.fixture
def cli(toy_model: Path) -> Cli:
    """Run `streamseg` in a process of its own; MODEL in its arguments is the toy model."""

    def run(*args: str | Path, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        command = [str(toy_model) if arg == "MODEL" else str(arg) for arg in args]
        return subprocess.run(
            [sys.executable, "-m", "streamseg", *command],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )

    return run


@pytest.fixture
def no_thread_left() -> Iterator[None]:
    """Fails a test that leaves a thread of the pipeline running."""
    before = set(threading.enumerate())
    yield
    left = set(threading.enumerate()) - before
    for thread in left:
        thread.join(5)
    assert not [t.name for t in left if t.is_alive()]
