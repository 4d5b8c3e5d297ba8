"""The small network as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.streamseg.runtime.precision.small import small_network


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("small") / "small.onnx"
    path.write_bytes(small_network().SerializeToString())
    return path
