"""Many files through one engine: each fails by itself, and nothing is silent about it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamseg.cli.several import Result, outputs_in, table_rows, video_name
from streamseg.errors import UsageError
from tests.streamseg.clips import Clip, read_times
from tests.streamseg.conftest import Cli


@pytest.fixture
def shelf(tmp_path: Path) -> Path:
    folder = tmp_path / "shelf"
    folder.mkdir()
    Clip(frames=5).write(folder / "a.mp4")
    Clip(frames=7, codec="ffv1", options=()).write(folder / "b.mkv")
    (folder / "bad.mp4").write_bytes(b"no video")
    return folder


def test_one_bad_file_does_not_stop_the_others(cli: Cli, shelf: Path, tmp_path: Path) -> None:
    files = [shelf / "a.mp4", shelf / "bad.mp4", shelf / "b.mkv"]
    out = tmp_path / "new" / "out"
    result = cli("video", *files, "--out-dir", out, "--model", "MODEL", "--json", tmp_path / "s")
    assert result.returncode == 1, result.stderr
    assert sorted(path.name for path in out.iterdir()) == ["a.mp4", "b.mkv"]
    assert [len(read_times(out / name)) for name in ("a.mp4", "b.mkv")] == [5, 7]
    assert "error:" in result.stderr
    assert "bad.mp4" in result.stderr
    report = json.loads((tmp_path / "s").read_text())
    assert report["failed"] == 1
    assert [file["state"] for file in report["files"]] == ["done", "failed", "done"]
    assert report["files"][2]["frames"] == 7
    assert [line.partition(": ")[2].partition(",")[0] for line in result.stdout.splitlines()] == [
        "done",
        "failed",
        "done",
    ]


def test_all_good_is_exit_code_0_and_nothing_is_replaced(
    cli: Cli, shelf: Path, tmp_path: Path
) -> None:
    command = ("video", shelf / "a.mp4", "--out-dir", tmp_path / "out", "--model", "MODEL")
    assert cli(*command).returncode == 0
    before = (tmp_path / "out" / "a.mp4").stat().st_mtime_ns
    again = cli(*command)
    assert again.returncode == 1
    assert "already exists" in again.stderr
    assert (tmp_path / "out" / "a.mp4").stat().st_mtime_ns == before
    resumed = cli(*command, "--resume")
    assert (resumed.returncode, "a.mp4: done before" in resumed.stdout) == (0, True)
    assert (tmp_path / "out" / "a.mp4").stat().st_mtime_ns == before
    assert cli(*command, "--overwrite", "--json", "-").returncode == 0


def test_into_its_own_folder_no_file_is_written_over(cli: Cli, shelf: Path) -> None:
    before = (shelf / "a.mp4").read_bytes()
    result = cli("video", shelf / "a.mp4", "--out-dir", shelf, "--model", "MODEL", "--overwrite")
    assert result.returncode == 1
    assert "same file" in result.stderr
    assert (shelf / "a.mp4").read_bytes() == before


def test_two_files_for_one_place_are_refused_before_any_work(
    cli: Cli, shelf: Path, tmp_path: Path
) -> None:
    other = tmp_path / "A.mp4"
    other.write_bytes(b"x")
    result = cli("video", shelf / "a.mp4", other, "--out-dir", tmp_path / "out", "--model", "MODEL")
    assert result.returncode == 2
    assert "would both become" in result.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("count", [1, 3])
def test_without_a_folder_there_are_two_names(cli: Cli, shelf: Path, count: int) -> None:
    result = cli("video", *[shelf / "a.mp4"] * count, "--model", "MODEL")
    assert result.returncode == 2
    assert "--out-dir" in result.stderr


def test_what_cannot_be_written_becomes_mp4() -> None:
    assert video_name(Path("x/a.MKV")) == "a.MKV"
    assert video_name(Path("x/a.xyz")) == "a.mp4"


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(UsageError, match="is a file"):
        outputs_in(tmp_path / "out", ["a.mp4"], video_name)


def test_what_was_not_begun_is_in_the_table() -> None:
    rows = table_rows([Result("a.mp4", Path("out/a.mp4")), Result("b", Path("out/b"), error="why")])
    assert [row[1] for row in rows] == ["not begun", "failed"]
    assert rows[1][-1] == "why"
