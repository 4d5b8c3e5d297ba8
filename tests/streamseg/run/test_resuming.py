"""However often a run ends before its time, the output is that of a run that did not."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import threading
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from streamseg import Segmenter
from streamseg.drawing.options import DrawOptions
from streamseg.errors import OutputError, StreamsegError, UsageError
from streamseg.labelmaps.options import CleanOptions
from streamseg.labelmaps.outputs import LabelOutputs
from streamseg.run import resuming
from streamseg.run.job import RunProgress
from streamseg.run.stats import Stats
from streamseg.video.encoder import EncoderOptions
from streamseg.video.journal import Journal, resume_folder
from streamseg.video.part import Part
from tests.streamseg.clips import Clip
from tests.streamseg.conftest import REPOSITORY

SEGMENT = Fraction(1, 5)
"""Seconds: five frames of a clip."""


@pytest.fixture(autouse=True)
def short_segments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resuming, "_SEGMENT_SECONDS", SEGMENT)


def contents(path: Path) -> tuple[list[Any], list[NDArray[np.uint8]]]:
    """All packets of a file, those of video without their bytes, and its pictures."""
    with av.open(str(path)) as container:
        packets = [
            (p.stream_index, p.pts, p.dts, p.duration, p.is_keyframe)
            + (() if p.stream.type == "video" else (bytes(p),))
            for p in container.demux()
            if p.size
        ]
    with av.open(str(path)) as container:
        return packets, [
            np.asarray(f.to_ndarray(format="rgb24"), np.uint8) for f in container.decode(video=0)
        ]


def assert_same(path: Path, other: Path) -> None:
    """One file is the other, but for what libx264 itself does: with AVX-512 it does not write the
    same bytes twice, not even on one thread."""
    (packets, pictures), (others, other_pictures) = contents(path), contents(other)
    assert packets == others
    assert len(pictures) == len(other_pictures)
    for one, another in zip(pictures, other_pictures, strict=True):
        assert np.abs(one.astype(int) - another).mean() < 1


def fail_after(segments: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk is full once so many segments of a run are done."""
    real, count = Journal.end_segment, 0

    def end(journal: Journal) -> None:
        nonlocal count
        real(journal)
        count += 1
        if count == segments:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Journal, "end_segment", end)


def in_pieces(segmenter: Segmenter, src: Path, dst: Path, **options: Any) -> Stats:
    """A run that ends twice before its time."""
    for segments in (1, 2):
        with pytest.MonkeyPatch.context() as patch:
            fail_after(segments, patch)
            with pytest.raises(OutputError, match=r"keeps \d+ frames, and the same"):
                segmenter.video(src, dst, resume=True, **options)
        assert not dst.exists()
    return segmenter.video(src, dst, resume=True, **options)


UNEVEN = tuple(sum((0, 1, 5, 2, 1, 3)[i % 6] for i in range(n)) + n for n in range(32))


@pytest.mark.parametrize(
    ("suffix", "codec", "clip"),
    [
        (".mp4", "auto", Clip(frames=32, audio=("aac",))),
        (".mp4", "libx264", Clip(frames=32, pts=UNEVEN, time_base=Fraction(1, 100))),
        (".mkv", "libx265", Clip(frames=27, audio=("aac", "aac"))),
        (".mkv", "ffv1", Clip(frames=30, pts=UNEVEN, time_base=Fraction(1, 100))),
        (".webm", "libvpx-vp9", Clip(frames=22, audio=("libopus",))),
        (".mov", "prores_ks", Clip(frames=26)),
        (".avi", "mpeg4", Clip(frames=26, pts=UNEVEN, time_base=Fraction(1, 100))),
        (".ts", "libx264", Clip(frames=26, audio=("aac",))),
        (".gif", "gif", Clip(frames=18)),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_output_is_that_of_a_run_that_did_not_end(
    toy_model: Path, tmp_path: Path, suffix: str, codec: str, clip: Clip
) -> None:
    src = clip.write(tmp_path / ("in.mkv" if suffix == ".webm" else "in.mp4"))
    encoder = EncoderOptions(codec=codec)
    with Segmenter(toy_model, threads=1) as segmenter:
        whole = segmenter.video(src, tmp_path / f"whole{suffix}", resume=True, encoder=encoder)
        stats = in_pieces(segmenter, src, tmp_path / f"pieces{suffix}", encoder=encoder)
    assert_same(tmp_path / f"pieces{suffix}", tmp_path / f"whole{suffix}")
    assert stats.frames == clip.frames
    assert stats.frames_resumed in (15, 21), "of three segments: five or seven frames each"
    assert (whole.frames, whole.frames_resumed) == (clip.frames, 0)
    left = sorted(path.name for path in tmp_path.iterdir())
    assert left == sorted([src.name, f"pieces{suffix}", f"whole{suffix}"])


@pytest.mark.parametrize(
    "options",
    [
        {"hold": "auto", "clean": CleanOptions(stabilize=True)},
        {"draw": DrawOptions(mode="wipe", wipe_seconds=1, legend=True)},
        {"part": Part(start_seconds=0.2, end_seconds=1.2)},
    ],
    ids=["hold, stabilize", "wipe, legend", "part"],
)
def test_what_remembers_frames_is_no_other_in_pieces(
    toy_model: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    src = Clip(frames=34).write(tmp_path / "in.mp4")
    with Segmenter(toy_model, threads=1) as segmenter:
        segmenter.video(src, tmp_path / "whole.mp4", resume=True, **options)
        in_pieces(segmenter, src, tmp_path / "pieces.mp4", **options)
    assert_same(tmp_path / "pieces.mp4", tmp_path / "whole.mp4")


def test_a_video_behind_goes_on_too(toy_model: Path, tmp_path: Path) -> None:
    src = Clip(frames=34).write(tmp_path / "in.mp4")
    behind = Clip(frames=8).write(tmp_path / "behind.mp4")
    with Segmenter(toy_model, threads=1) as segmenter:
        kept = segmenter.header.classes.names[:1]
        draw = DrawOptions(mode="replace", classes=kept, background=behind)
        segmenter.video(src, tmp_path / "whole.mp4", resume=True, draw=draw)
        in_pieces(segmenter, src, tmp_path / "pieces.mp4", draw=draw)
    assert_same(tmp_path / "pieces.mp4", tmp_path / "whole.mp4")


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_kill_9_at_any_moment(toy_model: Path, tmp_path: Path) -> None:
    src = Clip(frames=300, audio=("aac",)).write(tmp_path / "in.mp4")
    chance, dst = random.Random(5), tmp_path / "pieces.mp4"
    begin = (
        "import sys; from fractions import Fraction; import streamseg.run.resuming as r; "
        f"r._SEGMENT_SECONDS = Fraction({SEGMENT.numerator}, {SEGMENT.denominator}); "
        "from streamseg.cli.main import main; main(sys.argv[1:])"
    )
    options = ["--resume", "--quiet", "--threads", "1", "--model", str(toy_model)]
    command = [sys.executable, "-c", begin, "video", str(src)]
    env = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    killed = 0
    for _ in range(4):
        process = subprocess.Popen([*command, str(dst), *options], env=env)
        folder = resume_folder(dst)
        deadline = time.monotonic() + 60
        before = len(list(folder.glob("*.segment")))
        while process.poll() is None and time.monotonic() < deadline:
            if len(list(folder.glob("*.segment"))) > before:
                time.sleep(chance.random() * 0.02)
                break
        process.send_signal(signal.SIGKILL)
        killed += process.wait() == -signal.SIGKILL
    subprocess.run([*command, str(dst), *options, "--overwrite"], env=env, check=True)
    subprocess.run([*command, str(tmp_path / "whole.mp4"), *options], env=env, check=True)
    assert killed >= 2, "it was too fast to be killed"
    assert_same(dst, tmp_path / "whole.mp4")


def test_a_stop_leaves_the_rest_to_another_run(toy_model: Path, tmp_path: Path) -> None:
    src, dst = Clip(frames=400).write(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    stop = threading.Event()

    def enough(progress: RunProgress) -> None:
        if progress.frames > 5:
            stop.set()

    with Segmenter(toy_model, threads=1) as segmenter:
        stats = segmenter.video(src, dst, resume=True, stop=stop, on_progress=enough)
        assert stats.interrupted
        assert stats.output is None
        assert not dst.exists()
        assert "frames, and the same command goes on" in "".join(stats.notes)
        again = segmenter.video(src, dst, resume=True)
    assert 0 < again.frames_resumed < 400
    assert (again.frames, again.interrupted) == (400, False)


def test_another_run_than_that_of_the_folder_is_refused(toy_model: Path, tmp_path: Path) -> None:
    src, dst = Clip(frames=12).write(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    with Segmenter(toy_model, threads=1) as segmenter:
        with pytest.MonkeyPatch.context() as patch:
            fail_after(1, patch)
            with pytest.raises(OutputError):
                segmenter.video(src, dst, resume=True)
        other = DrawOptions(alpha=0.25)
        with pytest.raises(UsageError, match=r"out\.mp4\.resume: is of a run with another draw"):
            segmenter.video(src, dst, resume=True, draw=other)
        plain = segmenter.video(src, dst, draw=other)
        assert "out.mp4.resume is of an earlier run, which --resume would" in "".join(plain.notes)
        src.touch()
        with pytest.raises(UsageError, match="of a run with another source"):
            segmenter.video(src, dst, resume=True, overwrite=True)


def test_what_cannot_be_gone_on_with_is_refused(toy_model: Path, tmp_path: Path) -> None:
    src = Clip(frames=6).write(tmp_path / "in.mp4")
    labels = LabelOutputs(video=tmp_path / "labels.mkv")
    with Segmenter(toy_model, threads=1) as segmenter:
        with pytest.raises(UsageError, match="standard input cannot be read again"):
            segmenter.video("-", tmp_path / "out.mp4", resume=True)
        with pytest.raises(UsageError, match="--resume is for an OUT that is a file"):
            segmenter.video(src, None, labels=labels, resume=True)
        with pytest.raises(UsageError, match="--resume keeps the video alone"):
            segmenter.video(src, tmp_path / "out.mp4", labels=labels, resume=True)
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


def test_an_error_before_the_first_segment_leaves_nothing(toy_model: Path, tmp_path: Path) -> None:
    src, dst = Clip(frames=6).write(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    with (
        Segmenter(toy_model, threads=1) as segmenter,
        pytest.raises(StreamsegError, match="no-such"),
    ):
        segmenter.video(src, dst, resume=True, encoder=EncoderOptions(codec="no-such"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]
