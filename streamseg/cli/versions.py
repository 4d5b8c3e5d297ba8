"""What is installed, for a bug report: ``streamseg --version``, with ``--json`` in full."""

from __future__ import annotations

import json
import platform
from importlib import metadata
from typing import Any

import click

from streamseg.version import __version__

_PACKAGES = (
    "av",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "click",
    "rich",
    "onnx",
    "torch",
    "tensorrt-cu13",
    "tensorrt-cu12",
    "cuda-bindings",
    "ray",
    "fsspec",
)
"""What we import: of a run's dependencies first, then of the extras."""


def versions() -> dict[str, Any]:
    """Of streamseg, Python, the platform, packages (None: not installed), FFmpeg's libraries."""
    found: dict[str, Any] = {
        "streamseg": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": {name: _installed(name) for name in _PACKAGES},
        "ffmpeg": None,
    }
    try:
        import av

        found["ffmpeg"] = {
            name: ".".join(map(str, version)) for name, version in av.library_versions.items()
        }
    except (ImportError, OSError):  # a broken installation is what such a report is asked for
        pass
    return found


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def version_options(command: Any) -> Any:
    """Add ``--version``, and ``--json`` for it, to the group of commands."""
    command = click.option("--json", "as_json", is_flag=True, help="With --version: of all.")(
        command
    )
    return click.option("--version", "wants_version", is_flag=True, help="Show the version.")(
        command
    )


def show_version(*, as_json: bool) -> None:
    """Print it."""
    if as_json:
        click.echo(json.dumps(versions(), indent=2))
    else:
        click.echo(f"streamseg, version {__version__}")
