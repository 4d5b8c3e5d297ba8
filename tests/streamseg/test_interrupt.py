"""Ctrl-C and a service manager's stop finish a playable file of what was done."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.streamseg.clips import Clip, read_times
from tests.streamseg.conftest import REPOSITORY

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and pipes")

PATIENCE = 120.0
ENOUGH = 300_000
"""Bytes of the endless clip after which some hundred frames have gone through."""


def ignore_sigint() -> None:
    """As a shell does for what it starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def streamseg(
    *args: str | Path, before: Callable[[], None] | None = None
) -> Iterator[subprocess.Popen[str]]:
    command: Sequence[str] = [sys.executable, "-m", "streamseg", *map(str, args)]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@pytest.fixture
def endless(tmp_path: Path) -> Iterator[tuple[Path, threading.Event]]:
    """A clip that never ends, and an event set once much of it was read."""
    data = Clip(format="mpegts").write(tmp_path / "part.ts").read_bytes()
    path, enough = tmp_path / "endless.ts", threading.Event()
    os.mkfifo(path)

    def feed() -> None:
        with suppress(BrokenPipeError), path.open("wb", buffering=0) as pipe:
            for count in range(sys.maxsize):
                pipe.write(data)
                if count * len(data) > ENOUGH:
                    enough.set()

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    yield path, enough
    with suppress(OSError):  # nobody ever opened it: wake the feeder
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
    thread.join(PATIENCE)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize(
    ("number", "before"),
    [(signal.SIGINT, None), (signal.SIGTERM, None), (signal.SIGINT, ignore_sigint)],
    ids=["SIGINT", "SIGTERM", "SIGINT in the background"],
)
def test_an_interrupted_run_leaves_a_playable_file(
    toy_model: Path,
    tmp_path: Path,
    endless: tuple[Path, threading.Event],
    number: signal.Signals,
    before: Callable[[], None] | None,
    suffix: str,
) -> None:
    src, enough = endless
    out = tmp_path / f"out{suffix}"
    with streamseg("video", src, out, "--model", toy_model, before=before) as process:
        assert enough.wait(PATIENCE)
        assert not out.exists(), "the final name appears when the file is complete"
        process.send_signal(number)
        stdout, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    shown = read_times(out)
    assert len(shown) > 0
    assert f"stopped: {out} holds the {len(shown)} frames done so far" in stderr
    assert f"frames: {len(shown)}" in stdout
    assert "Traceback" not in stderr
    assert not list(tmp_path.glob(".*.part"))


def test_an_interrupt_before_the_first_frame_says_that_nothing_was_written(
    toy_model: Path, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"tcp://127.0.0.1:{server.getsockname()[1]}"
        out = tmp_path / "out.mkv"
        args = ["webcam", "--source", address, "--out", str(out), "--model", str(toy_model)]
        with streamseg(*args) as process:
            server.settimeout(PATIENCE)
            connection, _ = server.accept()  # and then silence
            with connection:
                process.send_signal(signal.SIGINT)
                _, stderr = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert stderr.strip() == "interrupted: nothing was written"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer", ["nobody", "silent"])
def test_an_interrupt_does_not_wait_for_a_pipe(
    toy_model: Path, tmp_path: Path, writer: str
) -> None:
    src, out = tmp_path / "pipe.ts", tmp_path / "out.mp4"
    os.mkfifo(src)
    with streamseg("video", src, out, "--model", toy_model) as process:
        pipe = None
        if writer == "silent":
            pipe = os.open(src, os.O_WRONLY)  # returns when the other end is open
        else:
            time.sleep(2)  # nothing tells from outside that it waits
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=PATIENCE)
        if pipe is not None:
            os.close(pipe)
    assert process.returncode == 130
    assert stderr.strip() == "interrupted: nothing was written"
    assert [path.name for path in tmp_path.iterdir()] == ["pipe.ts"]
