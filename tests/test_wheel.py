"""The wheel holds `streamseg` with its model, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel_names(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    # A copy: building in the checkout would leave a build/ folder, and pick up an old one.
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for room in ("streamseg", "train", "engines", "tests", "benchmarks"):
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.glob("*.whl")
    return zipfile.ZipFile(wheel).namelist()


def test_wheel_ships_streamseg_alone(wheel_names: list[str]) -> None:
    rooms = {name.split("/")[0] for name in wheel_names}
    assert {room for room in rooms if not room.endswith(".dist-info")} == {"streamseg"}


def test_wheel_ships_every_module_the_model_the_clip_and_the_type_marker(
    wheel_names: list[str],
) -> None:
    ours = [p for p in (ROOT / "streamseg").rglob("*.py") if "__pycache__" not in p.parts]
    wanted = {str(p.relative_to(ROOT)) for p in ours}
    wanted |= {"streamseg/models/mbv2.onnx", "streamseg/py.typed"}
    wanted |= {"streamseg/sample/street.mp4", "streamseg/sample/LICENSE-street.txt"}
    assert wanted <= set(wheel_names)


def test_wheel_ships_the_licence(wheel_names: list[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_names)
