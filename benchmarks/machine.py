"""What machine a number came from, and how numbers are printed."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from streamseg.runtime.cpu import cpu_threads

_PACKAGES = ("streamseg", "av", "numpy", "onnxruntime", "opencv-python-headless", "torch")


def describe_machine() -> dict[str, Any]:
    """Processor, cores and versions."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "cores": cpu_threads(),
        "system": platform.system(),
        "python": platform.python_version(),
        **versions,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def median(values: Iterable[float]) -> float:
    """The middle value: these machines are noisy, a mean follows the noise."""
    return statistics.median(values)


def print_result(name: str, result: dict[str, Any]) -> None:
    """The last line of a benchmark, for programs."""
    print(json.dumps({"benchmark": name, "machine": describe_machine(), **result}))
