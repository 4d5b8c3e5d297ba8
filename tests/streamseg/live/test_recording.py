"""A recording plays up to its last second, however the process ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import av
import pytest

from streamseg import segment_live
from streamseg.errors import OutputError, UsageError
from streamseg.video.output import OutputPath
from tests.streamseg.clips import Clip, read_times
from tests.streamseg.conftest import REPOSITORY

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")

SECONDS = 3.0
"""Of recording, before the end comes."""
AT_MOST_LOST = 1.6
"""Seconds: a fragment, a frame, and what waits in the operating system's pipe of a busy machine."""


@contextmanager
def recording(model: Path, src: Path, dst: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "streamseg", "webcam", "--source", str(src), "--realtime"]
    process = subprocess.Popen(
        [*command, "--out", str(dst), "--view", "none", "--model", str(model), "--quiet"],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 60
        while not (dst.exists() and dst.stat().st_size) and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(SECONDS - 1)  # its first bytes are a second of video
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    clip = Clip(frames=500, audio=("aac",))
    return clip.write(tmp_path_factory.mktemp("film") / "film.mp4")


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_kill_9_costs_the_last_second(
    toy_model: Path, film: Path, tmp_path: Path, suffix: str
) -> None:
    dst = tmp_path / f"rec{suffix}"
    with recording(toy_model, film, dst) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
    shown = read_times(dst)
    assert shown == sorted(set(shown))
    assert shown[-1] - shown[0] > SECONDS - 1 - AT_MOST_LOST
    assert [path.name for path in tmp_path.iterdir()] == [dst.name]


def test_a_second_interrupt_keeps_what_is_there_and_says_so(
    toy_model: Path, film: Path, tmp_path: Path
) -> None:
    dst = tmp_path / "rec.mp4"
    with recording(toy_model, film, dst) as process:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert len(read_times(dst)) > 25
    assert "nothing was written" not in stderr


def test_it_says_when_it_was_made(toy_model: Path, film: Path, tmp_path: Path) -> None:
    for suffix in (".mp4", ".mkv"):
        dst = tmp_path / f"rec{suffix}"
        segment_live(film, dst, realtime=True, duration_seconds=0.3, model=toy_model)
        with av.open(str(dst)) as container:
            made = datetime.fromisoformat(container.metadata["creation_time"])
        assert abs((datetime.now(UTC) - made).total_seconds()) < 60


def test_a_file_that_is_there_is_not_recorded_over(
    toy_model: Path, film: Path, tmp_path: Path
) -> None:
    dst = tmp_path / "rec.mkv"
    place = OutputPath.check(dst, overwrite=False).recording()
    dst.write_bytes(b"precious")
    with pytest.raises(UsageError, match="already exists"):
        segment_live(film, dst, realtime=True, model=toy_model)
    with pytest.raises(OutputError, match="appeared while this run began and is left as it is"):
        place.claim()
    assert dst.read_bytes() == b"precious"
    stats = segment_live(
        film, dst, realtime=True, duration_seconds=0.3, model=toy_model, overwrite=True
    )
    assert len(read_times(dst)) == stats.frames


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_files_of_a_length_follow_each_other(
    toy_model: Path, film: Path, tmp_path: Path, suffix: str
) -> None:
    dst = tmp_path / f"door{suffix}"
    stats = segment_live(
        film, dst, realtime=True, duration_seconds=3.2, segment_seconds=1, model=toy_model
    )
    files = sorted(tmp_path.iterdir())
    assert len(files) in (3, 4)
    assert all(re.fullmatch(rf"door-\d{{8}}T\d{{6}}Z(-\d)?{suffix}", file.name) for file in files)
    shown = [read_times(file) for file in files]
    assert sum(map(len, shown)) == stats.frames
    for times in shown:
        assert times[0] < 0.1
        assert times[-1] < 1.1
    with av.open(str(files[1])) as container:
        assert "creation_time" in container.metadata
    assert f"{dst}: recorded as {len(files)} files, {files[0].name} to" in "".join(stats.notes)


def test_a_length_needs_a_recording(toy_model: Path, film: Path) -> None:
    with pytest.raises(UsageError, match="--segment is for a recording"):
        segment_live(film, realtime=True, segment_seconds=60, model=toy_model)
