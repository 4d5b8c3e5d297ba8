"""A user whom the system does not know, without HOME: as in many a container."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from streamseg import segment_video
from streamseg.cli.main import main
from streamseg.errors import CacheError
from streamseg.runtime.building.request import Watcher
from streamseg.runtime.cache.place import cache_folder

pwd = pytest.importorskip("pwd", reason="POSIX users")
NO_HOME = "no engines are kept, since this user has no home folder; set HOME, or STREAMSEG_CACHE"


@pytest.fixture(autouse=True)
def _homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "STREAMSEG_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def unknown(uid: int) -> None:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)


def test_there_is_no_place_for_engines() -> None:
    with pytest.raises(CacheError, match=NO_HOME):
        cache_folder()


@pytest.mark.parametrize("precision", [None, "fp32"])
def test_a_run_goes_on_without_a_cache_and_says_so_once(
    clip: Path, toy_model: Path, tmp_path: Path, precision: None
) -> None:
    told: list[str] = []
    watcher = Watcher(notice=told.append)
    out = tmp_path / "out.mp4"
    segment_video(clip, out, model=toy_model, precision=precision, watcher=watcher)
    assert out.exists()
    assert len(told) == 1
    assert NO_HOME in told[0]


def test_a_backend_asked_for_by_name_needs_no_cache_if_nothing_is_built(
    clip: Path, tmp_path: Path
) -> None:
    segment_video(clip, tmp_path / "out.mp4", backend="onnxruntime", precision="int8", size=64)


@pytest.mark.parametrize(
    "command", ["engines", "engines --prune", "build-engine --backend onnxruntime"]
)
def test_commands_around_engines_say_it_in_one_sentence(command: str) -> None:
    done = CliRunner().invoke(main, command.split())
    assert done.exit_code == 1
    assert done.stderr.startswith(f"error: {NO_HOME}")
    assert len(done.stderr.splitlines()) == 1


def test_doctor_says_it_once() -> None:
    done = CliRunner().invoke(main, ["doctor"])
    assert done.exit_code == 0
    assert (done.stdout + done.stderr).count(NO_HOME) == 1
