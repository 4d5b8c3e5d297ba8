from __future__ import annotations

from pathlib import Path

import pytest

from streamseg.runtime.backends import names
from tests.streamseg import fake_backend
from tests.streamseg.fake_backend import Behaviour
from tests.streamseg.runtime.choosing.kit import Run
from tests.streamseg.slow_model import write_slow_toy


@pytest.fixture
def behaviour(monkeypatch: pytest.MonkeyPatch) -> Behaviour:
    """The fake backend, under TensorRT's name; `auto` builds nothing unless a test wants it."""
    monkeypatch.setitem(names.BACKENDS, "tensorrt", fake_backend.__name__)
    monkeypatch.setattr("streamseg.runtime.choosing.maker.find_spec", lambda _: None)
    fake_backend.behaviour = Behaviour()
    return fake_backend.behaviour


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_slow_toy(tmp_path_factory.mktemp("slow") / "toy.onnx")


@pytest.fixture
def run(model: Path, tmp_path: Path, behaviour: Behaviour) -> Run:
    return Run(model, tmp_path)


@pytest.fixture
def tensorrt(behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch) -> None:
    """TensorRT and onnx are installed, for `auto` to build with."""
    monkeypatch.setattr(
        "streamseg.runtime.choosing.maker.find_spec", lambda name: name == "tensorrt" or None
    )
