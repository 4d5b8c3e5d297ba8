"""What messages and pages tell a user to install can be installed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from engines.torch_tensorrt import INSTALL as TORCH_TENSORRT_INSTALL
from streamseg.runtime.backends.names import TENSORRT_CUDA12_INSTALL, TENSORRT_INSTALL

ROOT = Path(__file__).parents[1]


def requirements(extra: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found: list[str] = project["optional-dependencies"][extra]
    return set(found)


def test_no_text_names_an_extra_of_a_project_that_no_index_has() -> None:
    texts = [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]
    for room in ("streamseg", "engines", "train", "benchmarks"):
        texts += (ROOT / room).rglob("*.py")
    assert [str(path) for path in texts if "streamseg[" in path.read_text()] == []


def test_the_messages_name_what_the_extras_bring() -> None:
    for install, extra in (
        (TENSORRT_INSTALL, "tensorrt"),
        (TENSORRT_CUDA12_INSTALL, "tensorrt-cu12"),
    ):
        quoted = set(re.findall("'([^']+)'", install))
        assert quoted == requirements(extra) - {"onnx>=1.17"}
        assert install.endswith(" onnx")
    quoted = set(re.findall("'([^']+)'", TORCH_TENSORRT_INSTALL))
    assert {"cuda-bindings>=13,<14"} < quoted < requirements("torch-tensorrt")
