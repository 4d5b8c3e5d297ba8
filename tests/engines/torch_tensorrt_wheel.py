"""The real Torch-TensorRT without TensorRT and without a GPU: its Python part alone.

The wheel holds the lowering and the converters in Python. Over TensorRT's real bindings (see
`runtime.backends.bindings`) and without its own shared libraries it imports, lowers a
program and says which operators it converts; only TensorRT's builder is out of reach.
"""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest
import torch

from tests.streamseg.runtime.backends.bindings import REPOSITORY, REQUIRED, cache_folder, prepared

RELEASE = "2.14.0"
"""Of the range that `pyproject.toml` asks for."""
BINDINGS = "11.0.0.114"
PACKAGES = (f"torch-tensorrt=={RELEASE}", "dllist==2.0.0", "psutil")
PROBE = Path(__file__).with_name("lowering_probe.py")


def sources() -> Path:
    """The folder of the package ``torch_tensorrt``; the test is skipped where there is none."""
    found = _prepare()
    if isinstance(found, str):
        missing(found)
    return found / "torch_tensorrt"


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it where the bindings are required."""
    reason = f"no Torch-TensorRT: {reason}"
    if REQUIRED:
        pytest.fail(f"{reason} (STREAMSEG_REQUIRE_TENSORRT_BINDINGS=1)")
    pytest.skip(reason)


def probe(request: dict[str, Any]) -> dict[str, Any]:
    """What `lowering_probe.py` answers, in a process of its own."""
    if not torch.__version__.startswith(RELEASE.rpartition(".")[0] + "."):
        missing(f"it is made for torch {RELEASE}, this is {torch.__version__}")
    package = sources().parent
    bindings, libraries = prepared(BINDINGS)
    path = map(str, (package, bindings, REPOSITORY))
    result = subprocess.run(
        [sys.executable, str(PROBE)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path),
            "LD_LIBRARY_PATH": str(libraries),
            "OMP_NUM_THREADS": "1",
        },
    )
    assert result.returncode == 0, result.stderr
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


@cache
def _prepare() -> Path | str:
    if sys.platform != "linux":
        return f"this is {sys.platform}, not Linux"
    version = f"py{sys.version_info[0]}{sys.version_info[1]}"
    folder = cache_folder() / f"torch-tensorrt-{RELEASE}-{version}"
    if not (folder / "torch_tensorrt" / "__init__.py").is_file():
        problem = _install(folder)
        if problem is not None:
            return problem
    return folder


def _install(folder: Path) -> str | None:
    partial = folder.with_name(f"{folder.name}.{os.getpid()}")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-input"]
    command += ["--only-binary=:all:", "--retries=1", "--timeout=10", "--target", str(partial)]
    command += PACKAGES
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
        for library in (partial / "torch_tensorrt" / "lib").glob("*.so*"):
            library.unlink()  # they want TensorRT's; without them it is Python alone
        shutil.rmtree(folder, ignore_errors=True)
        partial.replace(folder)
    except (OSError, subprocess.SubprocessError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        return f"pip cannot install {PACKAGES[0]} ({lines[-1] if lines else error})"
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return None


def find_function(path: Path, name: str) -> ast.FunctionDef:
    """A function or method of a source file; fails where there is not exactly one."""
    tree = ast.parse(path.read_text(), str(path))
    (found,) = (n for n in ast.walk(tree) if isinstance(n, ast.FunctionDef) and n.name == name)
    return found
