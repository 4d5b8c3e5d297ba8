"""Real TensorRT bindings without TensorRT: wheels from the package index, over our libraries.

A wheel ``tensorrt_cu1X_bindings`` holds NVIDIA's Python module alone, about 1 MB. It wants three
shared libraries; small ones whose functions return nothing let it import, and then every class,
signature and enumeration is there, while `Builder` and `Runtime` raise TypeError.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import zipfile
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

import pytest

REPOSITORY = Path(__file__).parents[4]
PROBE = Path(__file__).with_name("probe.py")
REQUIRED = os.environ.get("STREAMSEG_REQUIRE_TENSORRT_BINDINGS") == "1"
RELEASES = {
    "10.12.0.36": "tensorrt_cu12_bindings",  # the oldest we take; CUDA 13's begin with 10.13
    "10.16.1.11": "tensorrt_cu13_bindings",
    "11.0.0.114": "tensorrt_cu13_bindings",
    "11.4.0.106": "tensorrt_cu13_bindings",
}
SYMBOLS = {
    "nvinfer": (
        "createInferBuilder_INTERNAL",
        "createInferRefitter_INTERNAL",
        "createInferRuntime_INTERNAL",
        "getBuilderPluginRegistry",
        "getPluginRegistry",
    ),
    "nvonnxparser": (
        "createNvOnnxParserRefitter_INTERNAL",
        "createNvOnnxParser_INTERNAL",
        "getNvOnnxParserVersion",
    ),
    "nvinfer_plugin": ("initLibNvInferPlugins",),
}
PACKAGE = "from tensorrt_bindings import *\nfrom tensorrt_bindings import __version__\n"
"""What the package ``tensorrt`` consists of where NVIDIA's own installs it."""


def cache_folder() -> Path:
    """Where downloads are kept between runs."""
    given = os.environ.get("STREAMSEG_TEST_CACHE")
    return Path(given) if given else Path.home() / ".cache" / "streamseg-tests"


def missing(reason: str) -> NoReturn:
    """Skip the test, or fail it where the bindings are required."""
    reason = f"no TensorRT bindings: {reason}"
    if REQUIRED:
        pytest.fail(f"{reason} (STREAMSEG_REQUIRE_TENSORRT_BINDINGS=1)")
    pytest.skip(reason)


def probe(release: str, request: dict[str, Any]) -> dict[str, Any]:
    """What `probe.py` answers under the bindings of a release, in a process of its own."""
    packages, libraries = prepared(release)
    path = [str(packages), str(REPOSITORY)]
    result = subprocess.run(
        [sys.executable, str(PROBE)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(path),
            "LD_LIBRARY_PATH": str(libraries),
        },
    )
    assert result.returncode == 0, f"{release}: {result.stderr}"
    answer: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return answer


def prepared(release: str) -> tuple[Path, Path]:
    """Folders of a release's bindings and of the libraries they import; skips without them."""
    found = _prepare(release)
    if isinstance(found, str):
        missing(found)
    return found


@cache
def _prepare(release: str) -> tuple[Path, Path] | str:
    """Folders of the bindings and of the libraries; in words, why there are none."""
    if sys.platform != "linux":
        return f"this is {sys.platform}, not Linux"
    folder = cache_folder() / f"tensorrt-{release}-py{sys.version_info[0]}{sys.version_info[1]}"
    packages = folder / "packages"
    if not (packages / "tensorrt" / "__init__.py").is_file():
        problem = _download(release, folder)
        if problem is not None:
            return problem
    libraries = folder / "libraries"
    problem = _build_libraries(libraries, release.split(".")[0])
    return problem if problem is not None else (packages, libraries)


def _download(release: str, folder: Path) -> str | None:
    folder.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-input"]
    command += ["--only-binary=:all:", "--retries=1", "--timeout=10", "--dest", str(folder)]
    command += [f"{RELEASES[release]}=={release}"]
    try:
        subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    except (OSError, subprocess.SubprocessError) as error:
        lines = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        return f"pip cannot download {command[-1]} ({lines[-1] if lines else error})"
    packages, partial = folder / "packages", folder / f"packages.{os.getpid()}"
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(partial)
    (partial / "tensorrt").mkdir()
    (partial / "tensorrt" / "__init__.py").write_text(PACKAGE)
    shutil.rmtree(packages, ignore_errors=True)
    partial.replace(packages)
    return None


def _build_libraries(folder: Path, major: str) -> str | None:
    if all((folder / f"lib{name}.so.{major}").is_file() for name in SYMBOLS):
        return None
    compiler = next(filter(None, map(shutil.which, ("cc", "gcc", "clang"))), None)
    if compiler is None:
        return "no C compiler (cc, gcc, clang) to build the libraries that they import"
    folder.mkdir(parents=True, exist_ok=True)
    for name, symbols in SYMBOLS.items():
        library = f"lib{name}.so.{major}"
        code = "".join(f"void *{symbol}(void) {{ return 0; }}\n" for symbol in symbols)
        flags = ["-shared", "-fPIC", f"-Wl,-soname,{library}", "-x", "c", "-"]
        partial = folder / f"{library}.{os.getpid()}"
        subprocess.run([compiler, *flags, "-o", str(partial)], input=code.encode(), check=True)
        partial.replace(folder / library)
    return None
