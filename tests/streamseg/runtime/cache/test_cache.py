"""The folder of engines: private, whole or nothing, one builder at a time."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from streamseg.errors import CacheError, EngineFileError
from streamseg.runtime.cache.folder import EngineCache
from streamseg.runtime.cache.lock import is_locked, locked
from streamseg.runtime.cache.place import cache_folder
from tests.streamseg.conftest import REPOSITORY
from tests.streamseg.engines_kit import listing, toy_engine_header, toy_key

PAYLOAD = b"engine " * 99

posix = pytest.mark.skipif(sys.platform == "win32", reason="owners and modes are POSIX's")


@pytest.fixture
def cache(tmp_path: Path) -> EngineCache:
    return EngineCache(tmp_path / "deep" / "engines")


def put(cache: EngineCache, **parts: Any) -> Path:
    return cache.store(toy_engine_header(PAYLOAD, toy_key(**parts)), PAYLOAD)


def test_what_is_stored_is_found_by_its_key_alone(cache: EngineCache) -> None:
    path = put(cache)
    put(cache, precision="fp16")
    assert cache.lookup(toy_key()) == path
    assert cache.lookup(toy_key(environment={"fake": "2.0"})) is None
    assert cache.load(path) == (toy_engine_header(PAYLOAD), PAYLOAD)
    assert len(cache.entries()) == 2


def test_storing_again_replaces(cache: EngineCache) -> None:
    put(cache)
    newer = replace(toy_engine_header(PAYLOAD), build_seconds=9.0)
    path = cache.store(newer, PAYLOAD)
    assert cache.load(path)[0].build_seconds == 9.0
    assert len(cache.entries()) == 1


def test_an_empty_cache_is_no_error(cache: EngineCache) -> None:
    assert cache.entries() == []
    assert cache.lookup(toy_key()) is None
    assert not cache.folder.exists(), "looking makes nothing"


@posix
def test_the_folder_and_its_files_are_the_user_s_alone(cache: EngineCache) -> None:
    path = put(cache)
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@posix
def test_a_folder_of_another_user_is_refused(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cache)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    for use in (cache.entries, lambda: cache.lookup(toy_key()), lambda: put(cache)):
        with pytest.raises(CacheError, match=r"belongs to another user .*set STREAMSEG_CACHE"):
            use()


@posix
def test_a_folder_that_others_can_write_is_refused(cache: EngineCache) -> None:
    path = put(cache)
    cache.folder.chmod(0o770)
    with pytest.raises(CacheError, match=f"other users can write there.*chmod go-w {cache.folder}"):
        cache.entries()
    cache.folder.chmod(0o755)
    assert cache.lookup(toy_key()) == path


@posix
def test_a_file_that_others_can_write_is_refused_and_listed(cache: EngineCache) -> None:
    path = put(cache)
    path.chmod(0o606)
    with pytest.raises(CacheError, match="other users can write there"):
        cache.load(path)
    (entry,) = cache.entries()
    assert entry.header is None
    assert entry.problem is not None
    assert entry.problem.startswith("other users can write there")


@posix
def test_a_link_is_refused(cache: EngineCache, tmp_path: Path) -> None:
    path = put(cache)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(CacheError, match=r"cannot be read \(is a link\)"):
        cache.load(path)


def test_a_file_where_the_folder_should_be_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match="is a file; set STREAMSEG_CACHE to a folder"):
        put(EngineCache(tmp_path / "file"))


@posix
def test_a_folder_that_cannot_be_written_is_said(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(cache)

    def read_only(**_: object) -> None:  # root may write everywhere
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", read_only)
    with pytest.raises(CacheError, match=r"written there \(Read-only file system\); choose a fold"):
        put(cache)


@posix
def test_a_place_where_no_folder_can_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CacheError, match=r"cannot be read|cannot be written"):
        put(EngineCache(tmp_path / "file" / "engines"))


def test_a_full_disk_is_said_and_leaves_nothing(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = put(cache)
    before = listing(cache.folder)

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CacheError, match="the disk is full, so the engine was not kept; free"):
        put(cache, precision="int8")
    with pytest.raises(CacheError, match="the disk is full"):
        put(cache)
    assert listing(cache.folder) == before
    assert cache.load(old)[1] == PAYLOAD


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_a_disk_that_fills_up_while_writing_leaves_nothing(
    cache: EngineCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.prepare()
    real = os.open

    def open_full(path: Any, flags: int, mode: int = 0o777) -> int:
        return real("/dev/full" if str(path).endswith(".part") else path, flags, mode)

    monkeypatch.setattr(os, "open", open_full)
    with pytest.raises(CacheError, match="the disk is full"):
        put(cache)
    assert listing(cache.folder) == set()


def test_an_interrupt_while_writing_leaves_nothing(cache: EngineCache) -> None:
    with pytest.raises(KeyboardInterrupt), cache.writing(cache.folder / "x.engine"):
        raise KeyboardInterrupt
    assert listing(cache.folder) == set()


def test_a_broken_file_is_listed_with_its_reason_and_never_found(cache: EngineCache) -> None:
    path = put(cache)
    path.write_bytes(path.read_bytes()[:-1])
    (entry,) = cache.entries()
    assert entry.header is None
    assert entry.problem == "the file has the wrong length; build the engine again"
    with pytest.raises(EngineFileError, match="ends early"):
        cache.load(path)
    path.write_text("what is this?")
    (entry,) = cache.entries()
    assert entry.problem == "not an engine file of streamseg; remove it"
    assert cache.lookup(toy_key()) is None


def test_a_file_under_another_key_s_name_is_not_found(cache: EngineCache) -> None:
    mine, other = put(cache), put(cache, environment={"fake": "2.0"})
    mine.write_bytes(other.read_bytes())
    assert cache.lookup(toy_key()) is None


def test_a_refusal_is_remembered_until_such_an_engine_is_stored(cache: EngineCache) -> None:
    refusals = cache.refusals
    assert refusals.find(toy_key()) is None
    refusals.note(toy_key(), "toy", "too slow by half")
    found = refusals.find(toy_key())
    assert found is not None
    assert (found.model, found.why, found.key) == ("toy", "too slow by half", toy_key())
    assert refusals.find(toy_key(precision="fp16")) is None
    assert refusals.entries() == [found]
    put(cache)
    assert refusals.entries() == []


@pytest.mark.parametrize("text", [b"", b"too slow", b"{}", b"[" * 100_000, b"\xff"])
def test_a_refusal_that_nobody_can_read_is_none(cache: EngineCache, text: bytes) -> None:
    cache.refusals.note(toy_key(), "toy", "too slow")
    (path,) = cache.folder.glob("*.refused")
    path.write_bytes(text)
    assert cache.refusals.find(toy_key()) is None
    assert cache.refusals.entries() == []
    assert cache.refusals.unreadable() == [path]


def test_timings_are_kept_by_version_and_gpu(cache: EngineCache) -> None:
    here = cache.timing_cache({"tensorrt": "11.1.0", "gpu": "NVIDIA L4/x", "driver": "580"})
    assert here.parent == cache.folder
    assert here.name == "timing-11.1.0_NVIDIA_L4_x.timings"
    assert cache.timing_cache({"tensorrt": "11.4.0", "gpu": "NVIDIA L4/x"}) != here


GPU = {"tensorrt": "11.1.0", "gpu": "A10", "compute_capability": "8.6", "driver": "580"}
L4 = GPU | {"gpu": "L4", "compute_capability": "8.9", "driver": "575"}
T4 = GPU | {"gpu": "T4", "compute_capability": "7.5"}


@pytest.mark.parametrize(
    ("options", "here", "runs"),
    [
        ({}, GPU, True),
        ({}, GPU | {"driver": "590"}, False),
        ({}, L4, False),
        ({"hardware_compat": "ampere+"}, L4, True),
        ({"hardware_compat": "ampere+"}, L4 | {"compute_capability": "12.0"}, True),
        ({"hardware_compat": "ampere+"}, T4, False),
        ({"hardware_compat": "ampere+"}, L4 | {"tensorrt": "11.2.0"}, False),
        ({"hardware_compat": "same-cc"}, GPU | {"gpu": "A5000"}, True),
        ({"hardware_compat": "same-cc"}, L4, False),
        ({"version_compat": True}, GPU | {"tensorrt": "11.4.2"}, True),
        ({"version_compat": True}, GPU | {"tensorrt": "11.0.9"}, False),
        ({"version_compat": True}, GPU | {"tensorrt": "12.0.0"}, False),
        ({"version_compat": True}, L4, False),
        ({"version_compat": True, "hardware_compat": "ampere+"}, L4 | {"tensorrt": "11.4"}, True),
    ],
)
def test_where_an_engine_runs_that_was_built_for_other_machines_too(
    options: dict[str, Any], here: dict[str, str], runs: bool
) -> None:
    key = toy_key(backend="tensorrt", environment=GPU)
    key = replace(key, config=replace(key.config, **options))
    assert (key.mismatch(here) is None) == runs


def made(cache: EngineCache, recipe: str, text: bytes = b"graph") -> Path:
    """A graph that was kept."""
    cache.prepare()
    fresh = cache.graphs.folder / "fresh"
    fresh.write_bytes(text)
    return cache.graphs.keep(recipe, fresh)


def test_sweeping_keeps_what_is_used(cache: EngineCache) -> None:
    path = put(cache)
    used = made(cache, toy_key().recipe)
    made(cache, "f" * 64)
    (cache.folder / ".x.engine.1.part").write_bytes(b"x")
    (cache.graphs.folder / ".scratch").mkdir()
    (cache.graphs.folder / ".scratch" / "half.onnx").write_bytes(b"x")
    with cache.building(toy_key()):
        cache.sweep()
        assert len(listing(cache.folder)) == 6, "a builder may still need them"
    cache.sweep()
    assert listing(cache.folder) == {path.name, f"graphs/{used.name}"}
    assert [p.name for p in cache.graphs.folder.iterdir()] == [used.name]


def test_a_graph_is_found_until_it_is_damaged(cache: EngineCache) -> None:
    assert cache.graphs.find("a" * 64) is None
    path = made(cache, "a" * 64)
    assert cache.graphs.find("a" * 64) == path
    assert cache.graphs.find("b" * 64) is None
    path.write_bytes(b"grapi")
    assert cache.graphs.find("a" * 64) is None
    again = made(cache, "a" * 64, b"another")
    assert cache.graphs.find("a" * 64) == again
    assert listing(cache.graphs.folder) == {again.name}, "the damaged one is gone"


def test_a_refused_engine_s_graph_goes_unless_another_engine_has_it(cache: EngineCache) -> None:
    key = toy_key(environment={"fake": "2.0"})
    made(cache, key.recipe)
    cache.drop_graph(key)
    assert cache.graphs.find(key.recipe) is None
    put(cache)
    path = made(cache, key.recipe)
    cache.drop_graph(key)
    assert cache.graphs.find(key.recipe) == path


HOLD = """
import sys, time
from pathlib import Path
from streamseg.runtime.cache.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(float(sys.argv[2]))
"""


def holder(path: Path, seconds: float) -> subprocess.Popen[str]:
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_who_comes_second_waits_and_says_so(tmp_path: Path) -> None:
    path, said = tmp_path / "lock", []
    with holder(path, 0.6) as process:
        start = time.monotonic()
        with locked(path, lambda: said.append("waiting")):
            assert process.wait(5) == 0
        assert time.monotonic() - start > 0.2
    assert said == ["waiting"]
    assert not path.exists()


def test_the_lock_of_a_killed_builder_is_free(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with holder(path, 60) as process:
        assert is_locked(path)
        process.send_signal(signal.SIGTERM if sys.platform == "win32" else signal.SIGKILL)
        process.wait(5)
    assert path.exists(), "nobody tidied up"
    assert not is_locked(path)
    with locked(path, lambda: pytest.fail("there is nobody to wait for")):
        pass


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"STREAMSEG_CACHE": "/somewhere", "XDG_CACHE_HOME": "/xdg"}, "/somewhere"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/streamseg/engines"),
        ({"HOME": "/home/me"}, "/home/me/.cache/streamseg/engines"),
    ],
)
@pytest.mark.skipif(sys.platform != "linux", reason="each platform has its own place")
def test_the_folder_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
) -> None:
    for name in ("STREAMSEG_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_folder() == Path(folder)
