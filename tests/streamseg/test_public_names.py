"""The names people import, and what importing them costs."""

from __future__ import annotations

import subprocess
import sys

import pytest

import streamseg

HEAVY = ("av", "cv2", "onnxruntime", "numpy", "torch", "train", "engines", "rich")


@pytest.mark.parametrize("name", streamseg.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(streamseg, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'segment_everything'"):
        _ = streamseg.segment_everything


@pytest.mark.parametrize(
    "code",
    [
        "import streamseg",
        "import runpy, sys; sys.argv = ['streamseg', '--help']\n"
        "try: runpy.run_module('streamseg', run_name='__main__')\nexcept SystemExit: pass",
        "import runpy, sys; sys.argv = ['streamseg', 'video', '--help']\n"
        "try: runpy.run_module('streamseg', run_name='__main__')\nexcept SystemExit: pass",
    ],
    ids=["import", "--help", "video --help"],
)
def test_help_waits_for_no_heavy_module(code: str) -> None:
    check = f"\nimport sys\nassert not (found := sys.modules.keys() & {set(HEAVY)!r}), found"
    result = subprocess.run(
        [sys.executable, "-c", code + check], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
