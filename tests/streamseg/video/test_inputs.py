"""Where videos come from and go to beside files: pipes, pictures, addresses, other silicon."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamseg import DrawOptions, EncoderOptions, LabelOutputs, Segmenter, recolor_video
from streamseg.errors import SourceError, UsageError
from streamseg.video.opening import InputOptions
from streamseg.video.part import Part
from tests.streamseg.clips import Clip, paint, read_frames, read_times, rgb_of, scene
from tests.streamseg.conftest import REPOSITORY
from tests.streamseg.judge import needs_judge, streams

LOSSLESS = EncoderOptions(codec="ffv1")


@pytest.fixture(scope="module")
def segmenter(toy_model: Path) -> Segmenter:
    return Segmenter(toy_model, threads=1)


Pipe = Callable[..., "subprocess.CompletedProcess[bytes]"]


@pytest.fixture
def pipe(toy_model: Path) -> Pipe:
    """Run `streamseg video` between pipes."""

    def run(*args: str | Path, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        command = [sys.executable, "-m", "streamseg", "video", *map(str, args)]
        command += ["--model", str(toy_model)]
        return subprocess.run(
            command, input=given, capture_output=True, cwd=REPOSITORY, timeout=60, check=False
        )

    return run


@needs_judge
@pytest.mark.parametrize(("kind", "suffix"), [(None, ".mkv"), ("mp4", ".mp4"), ("mpegts", ".ts")])
def test_a_video_goes_through_pipes(
    pipe: Pipe, tmp_path: Path, kind: str | None, suffix: str
) -> None:
    src = Clip(frames=6, audio=("aac",)).write(tmp_path / "in.mkv")
    ran = pipe("-", "-", *(["--format", kind] if kind else []), given=src.read_bytes())
    assert ran.returncode == 0, ran.stderr
    out = tmp_path / f"out{suffix}"
    out.write_bytes(ran.stdout)
    assert len(read_frames(out)) == 6
    video, sound = streams(out, "video")[0], streams(out, "audio")[0]
    late = float(video["start_time"]) - float(sound["start_time"])
    assert late == pytest.approx(1024 / 48000, abs=0.001)  # the encoder of the sound begins early


def test_standard_output_takes_one_thing(pipe: Pipe, tmp_path: Path, clip: Path) -> None:
    ran = pipe(clip, "-", "--json", "-")
    assert (ran.returncode, ran.stdout) == (2, b"")
    assert b"not both" in ran.stderr
    ran = pipe(clip, tmp_path / "a.mp4", "--format", "nut")
    assert b"a.mp4: its name says what kind of file it is" in ran.stderr
    assert b"unknown; give one of mp4" in pipe(clip, "-", "--format", "doc").stderr


def test_what_cannot_be_read_in_one_go_is_told(pipe: Pipe) -> None:
    ran = pipe("-", "-", given=b"no video" * 100)
    assert ran.returncode == 1
    assert b"standard input: " in ran.stderr
    assert b"send MPEG-TS or Matroska" in ran.stderr


def draw(folder: Path, *names: str) -> None:
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        cv2.imwrite(str(folder / name), np.ascontiguousarray(paint(scene(index))[..., ::-1]))


@pytest.mark.parametrize("pattern", ["", "*.png", "%d.png", "?*.[p]ng"])
def test_pictures_are_a_video_in_the_order_of_their_numbers(
    segmenter: Segmenter, tmp_path: Path, pattern: str
) -> None:
    shots = tmp_path / "shots"
    draw(shots, "7.png", "8.png", "9.png", "10.png", "11.png")
    (shots / "notes.txt").write_text("no picture")
    read = InputOptions(fps=Fraction(10))
    out = tmp_path / "out.mkv"
    encoder = EncoderOptions(codec="ffv1", pixel_format="yuv444p")
    segmenter.video(shots / pattern, out, read=read, encoder=encoder, draw=DrawOptions(alpha=0))
    assert read_times(out) == [Fraction(n, 10) for n in range(5)]
    for index, frame in enumerate(read_frames(out)):
        labels = rgb_of(frame).argmax(axis=2)
        assert (labels == scene(index)).mean() > 0.95


def test_a_picture_that_cannot_be_read_leaves_its_time_empty(
    segmenter: Segmenter, tmp_path: Path
) -> None:
    draw(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "2.png").write_bytes(b"nothing")
    stats = segmenter.video(tmp_path / "%d.png", tmp_path / "out.mkv", encoder=LOSSLESS)
    assert read_times(tmp_path / "out.mkv") == [0, Fraction(2, 25)]
    assert (
        "1 of 3 pictures cannot be read, and their time is left empty: 2.png" in stats.warnings[0]
    )


def test_pictures_of_another_size_are_fitted(segmenter: Segmenter, tmp_path: Path) -> None:
    draw(tmp_path, "1.png", "2.png")
    cv2.imwrite(str(tmp_path / "2.png"), np.zeros((64, 32, 3), np.uint8))
    stats = segmenter.video(tmp_path / "%d.png", tmp_path / "out.mkv", encoder=LOSSLESS)
    assert [f.width for f in read_frames(tmp_path / "out.mkv")] == [96, 96]
    assert "1 frames of 32x64 were fitted into 96x64" in stats.warnings[0]


def test_labels_of_pictures_are_drawn_again(segmenter: Segmenter, tmp_path: Path) -> None:
    draw(tmp_path, *(f"{n}.png" for n in range(4)))
    read, labels = InputOptions(fps=Fraction(10)), tmp_path / "labels.mkv"
    src, out = tmp_path / "*.png", tmp_path / "out.mkv"
    segmenter.video(src, None, labels=LabelOutputs(video=labels), read=read)
    stats = recolor_video(labels, src, out, encoder=LOSSLESS, read=read)
    assert (stats.frames, read_times(out)) == (4, [Fraction(n, 10) for n in range(4)])


def test_a_part_of_pictures(segmenter: Segmenter, tmp_path: Path) -> None:
    draw(tmp_path, *(f"{n}.png" for n in range(10)))
    part = Part(start_seconds=0.08, end_seconds=0.2)
    stats = segmenter.video(tmp_path / "*.png", tmp_path / "out.mkv", encoder=LOSSLESS, part=part)
    assert stats.frames == 3


@pytest.mark.parametrize("name", ["empty", "*.jpg", "%04d.png", "gone/*.png"])
def test_no_pictures_are_told(segmenter: Segmenter, tmp_path: Path, name: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="without pictures"):
        segmenter.video(tmp_path / name, tmp_path / "out.mkv")


def test_a_rate_is_for_pictures(segmenter: Segmenter, clip: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has a rate of its own"):
        segmenter.video(clip, tmp_path / "out.mkv", read=InputOptions(fps=Fraction(5)))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """Serves a folder, without ranges."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path))) as served:
        threading.Thread(target=served.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()


def test_a_file_is_read_from_a_server(segmenter: Segmenter, tmp_path: Path, server: str) -> None:
    Clip(frames=6).write(tmp_path / "in.mkv")
    stats = segmenter.video(f"{server}/in.mkv", tmp_path / "out.mkv", encoder=LOSSLESS)
    assert stats.frames == len(read_frames(tmp_path / "out.mkv")) == 6
    with pytest.raises(SourceError, match=r"gone.mkv: cannot be fetched.*404"):
        segmenter.video(f"{server}/gone.mkv", tmp_path / "out2.mkv")


def test_a_device_that_is_not_there_is_fallen_back_from_in_words(
    segmenter: Segmenter, clip: Path, tmp_path: Path
) -> None:
    read = InputOptions(hwaccel="auto")
    stats = segmenter.video(clip, tmp_path / "out.mkv", encoder=LOSSLESS, read=read)
    assert stats.frames == 12
    assert "is decoded on" in stats.notes[0]
    with pytest.raises(UsageError, match="--hwaccel abacus: this FFmpeg knows"):
        segmenter.video(clip, tmp_path / "out2.mkv", read=InputOptions(hwaccel="abacus"))
