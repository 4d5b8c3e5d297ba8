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

from streamseg import segment_video
from tests.streamseg.clips import Clip, read_times
from tests.streamseg.conftest import REPOSITORY

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and pipes")

PATIENCE = 120.0
ENOUGH = 300_000
"""Bytes of the endless clip after which some hundred frames have gone through."""


def hear_sighup() -> None:
    """What `nohup` started has it ignored, and so has all that this starts."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


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
    [
        (signal.SIGINT, None),
        (signal.SIGTERM, None),
        (getattr(signal, "SIGHUP", signal.SIGTERM), hear_sighup),
        (signal.SIGINT, ignore_sigint),
    ],
    ids=["SIGINT", "SIGTERM", "SIGHUP", "SIGINT in the background"],
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


def test_a_closed_terminal_leaves_a_playable_file(
    toy_model: Path, tmp_path: Path, endless: tuple[Path, threading.Event]
) -> None:
    src, enough = endless
    out = tmp_path / "out.mp4"
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "streamseg", "video", src, out, "--model", toy_model]
    process = subprocess.Popen(
        [*map(str, command)],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=take_terminal,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "TERM": "xterm"},
    )
    os.close(theirs)
    try:
        while not enough.wait(0.1):
            os.read(ours, 65_536)
        os.close(ours)
        process.send_signal(signal.SIGHUP)  # as the shell does, after the kernel did
        assert process.wait(PATIENCE) == 130
    finally:
        process.kill()
    assert len(read_times(out)) > 0
    assert not list(tmp_path.glob(".*.part"))


def take_terminal() -> None:
    """Make standard input the terminal that this session hangs on."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    hear_sighup()


def test_nohup_means_that_the_run_goes_on(
    toy_model: Path, tmp_path: Path, endless: tuple[Path, threading.Event]
) -> None:
    src, enough = endless
    out = tmp_path / "out.mp4"

    def nohup() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    with streamseg("video", src, out, "--model", toy_model, before=nohup) as process:
        assert enough.wait(PATIENCE)
        process.send_signal(signal.SIGHUP)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1)


HANGING = """
import sys, threading
from streamseg.cli import interrupts
from streamseg.cli.main import main
from streamseg.video.writer import VideoWriter

interrupts.GRACE_SECONDS = float(sys.argv.pop(1))

def hang(*_):
    print("hanging", flush=True)
    threading.Event().wait()

VideoWriter.{method} = hang
main()
"""


@pytest.mark.parametrize(
    ("grace", "signals"),
    [(0.5, [signal.SIGINT, signal.SIGTERM]), (PATIENCE, [signal.SIGINT] * 3)],
    ids=["some seconds after the second", "at the third"],
)
@pytest.mark.parametrize("method", ["write", "finish"])
def test_a_native_call_that_never_returns_can_be_left(
    toy_model: Path,
    clip: Path,
    tmp_path: Path,
    method: str,
    grace: float,
    signals: list[signal.Signals],
) -> None:
    command = [sys.executable, "-c", HANGING.format(method=method), grace, "video", clip]
    process = subprocess.Popen(
        [*map(str, command), str(tmp_path / "out.mp4"), "--model", str(toy_model)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "hanging\n"
        assert list(tmp_path.glob(".*.part"))
        for number in signals:
            process.send_signal(number)
            time.sleep(0.3)
        _, stderr = process.communicate(timeout=PATIENCE / 2)
    finally:
        process.kill()
    assert process.returncode == 130
    assert "nothing was written" in stderr
    assert "Traceback" not in stderr
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_left_is_swept_and_what_lives_is_not(
    toy_model: Path, clip: Path, tmp_path: Path, endless: tuple[Path, threading.Event]
) -> None:
    src, enough = endless
    with streamseg("video", src, tmp_path / "out.mp4", "--model", toy_model) as process:
        assert enough.wait(PATIENCE)
        (part,) = tmp_path.glob(".*.part")
        segment_video(clip, tmp_path / "other.mp4", model=toy_model)
        assert part.exists(), "its process lives"
    segment_video(clip, tmp_path / "other.mp4", model=toy_model, overwrite=True)
    assert process.returncode == -signal.SIGKILL
    assert not list(tmp_path.glob(".*.part"))
