"""The three rooms and the one direction of imports between them (docs/architecture.md)."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

HEAVY = {
    "torch",
    "torchvision",
    "onnx",
    "onnxscript",
    "safetensors",
    "PIL",
    "matplotlib",
    "pyarrow",
}
"""What comes with the extras only."""


def imports_of(path: Path) -> Iterator[str]:
    """Dotted names of all modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def files_of(room: str) -> list[Path]:
    found = sorted((ROOT / room).rglob("*.py"))
    assert found, room
    return found


def offences(room: str, forbidden: set[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in files_of(room)
        for name in imports_of(path)
        if name.split(".")[0] in forbidden
    ]


def test_streamseg_imports_neither_room_nor_what_trains() -> None:
    torch_backend = "streamseg/runtime/backends/torch"  # torch.py and torch_build.py may
    # What makes graphs, with onnx; nobody imports it at start-up.
    makers = ("streamseg/runtime/precision/", "streamseg/importing/")
    found = [line for line in offences("streamseg", HEAVY) if not line.startswith(torch_backend)]
    found = [line for line in found if not (line.startswith(makers) and " imports onnx" in line)]
    # Only there, asked for by name, and with words for where they are missing.
    extras = (
        ("streamseg/measures/plot.py", "matplotlib"),
        ("streamseg/measures/tables.py", "pyarrow"),
    )
    for place, package in extras:
        found = [line for line in found if not line.startswith(f"{place} imports {package}")]
    assert found + offences("streamseg", {"train", "engines", "tests", "benchmarks"}) == []


def test_train_never_imports_engines() -> None:
    assert offences("train", {"engines", "tests", "benchmarks"}) == []


def test_train_shares_only_what_both_must_agree_on() -> None:
    allowed = (
        "streamseg.models.palette",
        "streamseg.models.classlists",
        "streamseg.models.modelfile",
        "streamseg.version",
    )
    found = {n for p in files_of("train") for n in imports_of(p) if n.startswith("streamseg")}
    assert all(name.startswith(allowed) for name in found), found


def test_engines_takes_networks_checkpoints_and_measures_from_train() -> None:
    allowed = (
        "train.models",
        "train.checkpoint",
        "train.console",
        "train.data",
        "train.evaluation.predict",
        "train.metrics",
        "train.errors",
    )
    found = {n for p in files_of("engines") for n in imports_of(p) if n.startswith("train")}
    assert all(name.startswith(allowed) for name in found), found
    assert offences("engines", {"tests", "benchmarks"}) == []


@pytest.mark.parametrize(
    "module", ["streamseg", "streamseg.runtime.engine", "streamseg.models.modelfile"]
)
def test_a_user_without_torch_can_import(module: str) -> None:
    code = (
        f"import sys, {module}; print(*sorted({HEAVY | {'train', 'engines'}} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert result.stdout.strip() == ""


def test_onnx_runtime_reports_to_nobody(tmp_path: Path) -> None:
    code = (
        "from streamseg import open_engine; import numpy as np\n"
        "with open_engine('mbv2') as engine: engine.infer(np.zeros((1, 32, 32, 3), np.uint8))"
    )
    homes = {"HOME": str(tmp_path), "USERPROFILE": str(tmp_path)}
    caches = {"XDG_CACHE_HOME": str(tmp_path / "c"), "STREAMSEG_CACHE": str(tmp_path / "engines")}
    kept = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code], env=kept | homes | caches, check=True)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_a_data_set_is_checked_without_torch(tmp_path: Path) -> None:
    code = (
        "import sys; from train.__main__ import main\n"
        "try: main(['data', 'check', sys.argv[1]])\n"
        "except SystemExit as ended: assert ended.code == 1, ended.code\n"
        "print(*sorted({'torch', 'torchvision'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code, tmp_path], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert "none of the known layouts" in result.stderr
    assert result.stdout.strip() == ""
