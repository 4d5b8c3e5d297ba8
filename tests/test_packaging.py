"""What people install: an sdist that builds and tests, a wheel of `streamseg` alone."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import click
import pytest
from click_man.core import write_man_pages

from streamseg.cli.main import main
from streamseg.version import __version__

ROOT = Path(__file__).parent.parent
LARGEST_WHEEL_MB = 25
"""Four model files and the clip; a package index refuses 100."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an sdist, and the wheel that was made of what is in it."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("dist")
    # A copy: building in the checkout would leave a build/ folder, and pick up an old one.
    for name in ("pyproject.toml", "MANIFEST.in", "README.md", "CHANGELOG.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for room in ("streamseg", "train", "engines", "tests", "benchmarks", "docs", "typings"):
        shutil.copytree(ROOT / room, source / room, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return out


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    (found,) = built.glob("*.whl")
    return found


@pytest.fixture(scope="module")
def wheel_names(wheel: Path) -> list[str]:
    return zipfile.ZipFile(wheel).namelist()


def test_wheel_ships_streamseg_alone(wheel_names: list[str]) -> None:
    rooms = {name.split("/")[0] for name in wheel_names}
    assert {room for room in rooms if not room.endswith(".dist-info")} == {"streamseg"}


def test_wheel_ships_every_module_the_model_the_clip_and_the_type_marker(
    wheel_names: list[str],
) -> None:
    ours = [p for p in (ROOT / "streamseg").rglob("*.py") if "__pycache__" not in p.parts]
    wanted = {p.relative_to(ROOT).as_posix() for p in ours}
    wanted |= {"streamseg/models/mbv2.onnx", "streamseg/py.typed"}
    wanted |= {"streamseg/sample/street.mp4", "streamseg/sample/LICENSE-street.txt"}
    page = (ROOT / "streamseg/page/static").iterdir()
    wanted |= {p.relative_to(ROOT).as_posix() for p in page}
    assert wanted <= set(wheel_names)


def test_wheel_ships_the_licence_and_is_small(wheel: Path, wheel_names: list[str]) -> None:
    assert any(name.endswith(".dist-info/licenses/LICENSE") for name in wheel_names)
    assert wheel.stat().st_size < LARGEST_WHEEL_MB * 1e6


def test_the_sdist_can_be_tested(built: Path) -> None:
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    for room in ("streamseg", "train", "engines", "tests", "benchmarks"):
        ours = [p for p in (ROOT / room).rglob("*.py") if "__pycache__" not in p.parts]
        assert {p.relative_to(ROOT).as_posix() for p in ours} <= names
    assert {"docs/architecture.md", "train/weights/mbv2.safetensors", "CHANGELOG.md"} <= names


def test_an_index_would_take_them(built: Path) -> None:
    files = [str(path) for path in built.iterdir()]
    versions = {Path(name).name.split("-")[1].removesuffix(".tar.gz") for name in files}
    assert versions == {__version__}
    command = [sys.executable, "-m", "twine", "check", "--strict", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_oldest_versions_that_are_tested_are_those_allowed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pairs = (re.match(r"([\w-]+)>=([\d.]+),<", line) for line in project["dependencies"])
    allowed = {pair[1]: pair[2] for pair in pairs if pair}
    lines = (ROOT / ".github" / "oldest.txt").read_text().splitlines()
    tested = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    assert set(tested) == set(allowed)
    assert len(allowed) == len(project["dependencies"])
    for name, version in allowed.items():
        assert f"{tested[name]}.".startswith(f"{version}."), name


def test_every_command_gets_a_man_page(tmp_path: Path) -> None:
    write_man_pages("streamseg", main, version=__version__, target_dir=str(tmp_path))
    commands = main.list_commands(click.Context(main))
    assert {f"streamseg-{name}.1" for name in commands} <= {p.name for p in tmp_path.iterdir()}
    assert "\\-\\-out\\-dir" in (tmp_path / "streamseg-video.1").read_text()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(shell: str) -> None:
    from click.shell_completion import get_completion_class

    found = get_completion_class(shell)
    assert found is not None
    completion = found(main, {}, "streamseg", "_STREAMSEG_COMPLETE")
    assert "streamseg" in completion.source()
    assert [item.value for item in completion.get_completions([], "vi")] == ["video"]
    assert "--legend" in [i.value for i in completion.get_completions(["video"], "--leg")]
