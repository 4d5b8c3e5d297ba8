"""Live sources: wall-clock time, every frame accounted for, and an end that keeps the recording."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from av.video.frame import VideoFrame

from streamseg import Stats, segment_live
from streamseg.errors import SourceError, UsageError
from streamseg.live.address import find_cameras, resolve
from streamseg.live.options import CameraOptions
from streamseg.live.source import RealtimeFile
from streamseg.live.stamps import TIME_BASE, Stamps
from streamseg.run.job import Job
from streamseg.run.stats import RunClock
from streamseg.video.encoder import EncoderOptions
from streamseg.video.output import OutputPath
from tests.streamseg.clips import Clip, read_times
from tests.streamseg.fakes import FakeEngine, FakeSource
from tests.streamseg.live.senders import free_port

pytestmark = pytest.mark.usefixtures("no_thread_left")

STREAM = Clip(frames=50, format="mpegts", options=(("g", "5"), ("bf", "0")))
needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="no ffmpeg to send with")


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    return STREAM.write(tmp_path / "stream.ts")


ONCE = CameraOptions(timeout_seconds=1.0, give_up_after_seconds=0)
"""Ends with the first connection, or after a second of silence."""


def check_recording(stats: Stats, path: Path) -> None:
    shown = read_times(path)
    assert len(shown) == stats.frames > 0
    assert shown == sorted(set(shown))
    received = stats.stages[0].items
    assert received == stats.frames + stats.dropped
    assert sum(stats.dropped_before.values()) == stats.dropped
    if stats.camera is not None:  # a fake source says nothing
        counts = stats.camera.counts
        assert counts.delivered + counts.no_signal == stats.frames + stats.dropped
    assert stats.latency_p50_ms is not None
    assert stats.latency_p95_ms is not None
    assert not list(path.parent.glob(".*.part"))


@contextmanager
def sender(stream: Path, url: str) -> Iterator[None]:
    command = ["ffmpeg", "-v", "error", "-re", "-i", str(stream), "-c", "copy", "-f", "mpegts", url]
    process = subprocess.Popen(command)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def segment_when_it_listens(address: str, dst: Path, model: Path) -> Stats:
    for _ in range(200):
        try:
            return segment_live(address, dst, model=model, camera=ONCE)
        except SourceError as error:
            if "cannot be reached" not in str(error):
                raise
            time.sleep(0.1)
    raise AssertionError("the sender never listened")


@needs_ffmpeg
def test_a_stream_over_tcp_is_recorded(stream: Path, toy_model: Path, tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port(socket.SOCK_STREAM)}"
    with sender(stream, f"{address}?listen=1"):
        stats = segment_when_it_listens(address, tmp_path / "rec.mkv", toy_model)
    check_recording(stats, tmp_path / "rec.mkv")
    (warning,) = stats.warnings
    assert warning.startswith(f"{address}: the stream ended; the recording is kept")


@pytest.mark.parametrize("seconds", [0, -1, float("nan")])
def test_a_duration_that_cannot_be_is_refused(clip: Path, toy_model: Path, seconds: float) -> None:
    with pytest.raises(UsageError, match=r"duration must be above 0 seconds, got"):
        segment_live(clip, realtime=True, duration_seconds=seconds, model=toy_model)


def test_a_camera_number_may_be_a_number_and_a_file_a_path(clip: Path, toy_model: Path) -> None:
    with pytest.raises(SourceError, match="camera 97: not found"):
        segment_live(97, model=toy_model)
    assert segment_live(clip, realtime=True, duration_seconds=0.2, model=toy_model).frames > 0


def test_a_sender_that_serves_once_is_not_left_to_ask_for_the_size(
    stream: Path, toy_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As where an engine was built, or TensorRT is installed.
    monkeypatch.setattr("streamseg.segmenter.size_matters", lambda _: True)
    with server(stream.read_bytes(), then="close") as address:
        stats = segment_live(address, tmp_path / "rec.mkv", model=toy_model, camera=ONCE)
    check_recording(stats, tmp_path / "rec.mkv")


def test_frames_of_a_burst_are_told_apart_in_milliseconds() -> None:
    stamps = Stamps()
    items = [stamps.stamp(VideoFrame(16, 16, "yuv420p"), 7.0) for _ in range(50)]
    times = [item.frame.pts * TIME_BASE for item in items if item.frame.pts is not None]
    assert times[0] == 0
    assert len({round(1000 * t) for t in times}) == 50


@needs_ffmpeg
def test_a_stream_over_udp_is_recorded(stream: Path, toy_model: Path, tmp_path: Path) -> None:
    address = f"udp://127.0.0.1:{free_port(socket.SOCK_DGRAM)}"
    with sender(stream, f"{address}?pkt_size=1316"):
        stats = segment_live(address, tmp_path / "rec.mp4", model=toy_model, camera=ONCE)
    check_recording(stats, tmp_path / "rec.mp4")
    (warning,) = stats.warnings
    assert "no frame arrived for 1 s; the recording is kept" in warning


@contextmanager
def server(data: bytes, *, then: str) -> Iterator[str]:
    """Sends bytes to whoever connects, and then closes, resets or stays silent."""
    done = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(data)
                if then == "silence":
                    done.wait(60)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"tcp://127.0.0.1:{listener.getsockname()[1]}"
        done.set()
        thread.join(10)


@pytest.mark.parametrize(
    ("then", "reason"), [("close", "the stream ended"), ("silence", "no frame arrived for 1 s")]
)
def test_a_sender_that_dies_leaves_a_finished_recording(
    stream: Path, toy_model: Path, tmp_path: Path, then: str, reason: str
) -> None:
    data = stream.read_bytes()
    with server(data[: len(data) * 2 // 3], then=then) as address:
        stats = segment_live(address, tmp_path / "rec.mp4", model=toy_model, camera=ONCE)
    check_recording(stats, tmp_path / "rec.mp4")
    assert any(reason in warning for warning in stats.warnings)
    assert not stats.interrupted


@pytest.mark.parametrize("then", ["close", "silence"])
def test_a_sender_of_no_video_is_refused_in_one_sentence(
    toy_model: Path, tmp_path: Path, then: str
) -> None:
    junk = b"this is no video" * 5000
    with server(junk, then=then) as url, pytest.raises(SourceError) as caught:
        segment_live(url, tmp_path / "rec.mp4", model=toy_model, camera=ONCE)
    assert str(caught.value).startswith(f"{url}: ")
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_an_address_where_nobody_listens_says_so(toy_model: Path, tmp_path: Path) -> None:
    address = f"tcp://127.0.0.1:{free_port(socket.SOCK_STREAM)}"
    with pytest.raises(SourceError, match=r"cannot be reached .*check .*sender is running"):
        segment_live(address, tmp_path / "rec.mp4", model=toy_model, camera=ONCE)
    assert list(tmp_path.iterdir()) == []


def test_a_camera_that_is_not_there_says_what_is(toy_model: Path) -> None:
    found = ", ".join(find_cameras()) or "no camera was found on this machine"
    with pytest.raises((SourceError, UsageError)) as caught:
        segment_live("97", model=toy_model)
    assert str(caught.value).startswith("camera 97: ")
    assert found in str(caught.value)


def test_a_live_source_that_is_a_file_needs_realtime(clip: Path) -> None:
    with pytest.raises(UsageError, match="is a file; add --realtime"):
        resolve(str(clip))
    with pytest.raises(UsageError, match="neither a camera nor an address"):
        resolve("the kitchen")


class Naps:
    """A sleep that passes no time, and remembers."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


def test_a_file_in_real_time_waits_for_each_frame(clip: Path) -> None:
    naps = Naps()
    with RealtimeFile(clip, sleep=naps) as source:
        items = list(source)
    assert len(items) == 12
    # Nobody slept, so each frame is waited for from the start: i/25 s, less what decoding took.
    assert len(naps.seconds) == 11
    assert all(nap <= i / 25 for i, nap in enumerate(naps.seconds, 1))
    assert naps.seconds[-1] > 0.3


def test_live_times_are_the_arrival_and_rise_from_zero(clip: Path) -> None:
    with RealtimeFile(clip, sleep=Naps()) as source:
        items = list(source)
    pts = [item.frame.pts for item in items]
    assert pts[0] == 0
    assert pts == sorted(set(pts))  # type: ignore[type-var]
    assert {item.frame.time_base for item in items} == {Fraction(1, 90_000)}
    assert [item.index for item in items] == list(range(12))
    for item in items:
        assert item.captured is not None
        assert item.frame.pts is not None
        since_first = item.captured - (items[0].captured or 0)
        # Without real sleep, frames come faster than the millisecond they are apart at least.
        late = item.frame.pts / 90_000 - since_first
        assert -0.001 <= late <= 0.001 * (item.index + 1)


def test_a_file_in_real_time_is_recorded_and_accounted(
    clip: Path, toy_model: Path, tmp_path: Path
) -> None:
    stats = segment_live(str(clip), tmp_path / "rec.mp4", realtime=True, model=toy_model)
    check_recording(stats, tmp_path / "rec.mp4")
    assert stats.stages[0].items == 12
    assert stats.bottleneck != stats.stages[0].name, "waiting for the world is no bottleneck"


def test_without_a_recording_it_only_measures(clip: Path, toy_model: Path, tmp_path: Path) -> None:
    stats = segment_live(str(clip), realtime=True, model=toy_model)
    assert stats.output is None
    assert stats.frames + stats.dropped == 12


def test_a_duration_ends_the_run(toy_model: Path, tmp_path: Path) -> None:
    src = Clip(frames=250).write(tmp_path / "in.mp4")
    stats = segment_live(
        str(src), tmp_path / "rec.mp4", realtime=True, model=toy_model, duration_seconds=0.5
    )
    check_recording(stats, tmp_path / "rec.mp4")
    assert stats.stages[0].items <= 13
    assert stats.warnings == ()


def test_a_recording_over_its_own_source_is_refused(clip: Path, toy_model: Path) -> None:
    with pytest.raises(UsageError, match="input and output are the same file"):
        segment_live(str(clip), clip, realtime=True, model=toy_model, overwrite=True)


def test_ctrl_c_ends_a_silent_live_run_and_keeps_every_frame(tmp_path: Path) -> None:
    silence = threading.Event()

    def goes_silent(index: int) -> None:
        if index == 5:
            silence.wait(60)

    fired: list[Any] = []

    def interrupt(progress: Any) -> None:
        if progress.frames + progress.dropped == 5 and not fired:
            fired.append(progress)
            raise KeyboardInterrupt

    job = Job(FakeSource(10, before=goes_silent), FakeEngine(), clock=RunClock(), live=True)
    output = OutputPath.check(tmp_path / "rec.mp4", overwrite=False)
    stats = job.record(output, EncoderOptions(), interrupt)
    silence.set()
    check_recording(stats, output.final)
    assert stats.stages[0].items == 5


def test_a_slow_engine_drops_the_oldest_and_counts_them(tmp_path: Path) -> None:
    job = Job(
        FakeSource(60, before=lambda _: time.sleep(0.002)),
        FakeEngine(before=lambda _: time.sleep(0.02)),
        clock=RunClock(),
        live=True,
    )
    stats = job.record(OutputPath.check(tmp_path / "r.mp4", overwrite=False), EncoderOptions())
    check_recording(stats, tmp_path / "r.mp4")
    assert stats.dropped > 0
    assert stats.stages[0].items == 60
