"""Backdrops: pictures and videos behind what is kept, and transparency in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from streamseg import DrawOptions, EncoderOptions, Segmenter
from streamseg.drawing.orientation import Orientation
from streamseg.errors import SourceError
from streamseg.video.backdrop import open_backdrop
from tests.streamseg.clips import Clip, Picture, matrix_of, read_frames, rgb_of
from tests.streamseg.conftest import Cli
from tests.streamseg.judge import ffmpeg, needs_judge

LOSSLESS = EncoderOptions(codec="ffv1")


def shade(index: int) -> Picture:
    """The darker the earlier."""
    return np.full((64, 96, 3), 20 * index + 10, np.uint8)


def replace(background: Path | str) -> DrawOptions:
    return DrawOptions(mode="replace", classes=["green"], background=background)


def test_a_video_behind_runs_at_its_own_speed_and_begins_anew(tmp_path: Path) -> None:
    behind = Clip(frames=10, rate=Clip().rate / 2, draw=shade).write(tmp_path / "behind.mp4")
    backdrop = open_backdrop(replace(behind))
    assert backdrop is not None
    seen = [int(backdrop.rgb_at(100 + i / 25).mean()) for i in range(24)]
    backdrop.close()
    expected = [20 * (i // 2 % 10) + 10 for i in range(24)]
    np.testing.assert_allclose(seen, expected, atol=3)


def test_a_turned_video_is_upright_behind(tmp_path: Path) -> None:
    turn = Orientation(1, mirrored=False)
    behind = Clip(frames=1, matrix=matrix_of(turn)).write(tmp_path / "behind.mp4")
    backdrop = open_backdrop(replace(behind))
    assert backdrop is not None
    assert backdrop.rgb_at(0).shape == (96, 64, 3)
    backdrop.close()


@pytest.mark.parametrize("kind", ["picture", "video", "colour"])
def test_what_is_not_kept_is_replaced_by_what_is_behind(
    toy_model: Path, tmp_path: Path, kind: str
) -> None:
    source = Clip(frames=4).write(tmp_path / "in.mp4")
    ink = (200, 120, 40)
    behind: Any = "#c87828"
    if kind == "picture":
        behind = tmp_path / "behind.png"
        cv2.imwrite(str(behind), np.full((50, 70, 3), ink[::-1], np.uint8))
    elif kind == "video":
        flat = np.full((64, 96, 3), ink, np.uint8)
        behind = Clip(frames=2, draw=lambda _: flat).write(tmp_path / "behind.mp4")
    with Segmenter(toy_model, threads=1) as segmenter:
        segmenter.video(source, tmp_path / "out.mkv", draw=replace(behind), encoder=LOSSLESS)
        labels = [label for _, label in segmenter.frames(source, full_size=True)]
    for frame, label in zip(read_frames(tmp_path / "out.mkv"), labels, strict=True):
        away = cv2.dilate((label == 1).astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
        np.testing.assert_allclose(rgb_of(frame)[away].mean(axis=0), ink, atol=3)


def test_what_is_neither_picture_nor_video_is_refused(tmp_path: Path) -> None:
    for name in ("x.png", "x.mp4"):
        (tmp_path / name).write_text("no")
        with pytest.raises(SourceError, match=name):
            open_backdrop(replace(tmp_path / name))


@needs_judge
@pytest.mark.parametrize(
    ("codec", "name", "decoder"),
    [
        ("ffv1", "out.mkv", "ffv1"),
        ("prores_ks", "out.mov", "prores"),
        ("libvpx-vp9", "out.mkv", "libvpx-vp9"),
    ],
)
def test_a_cut_out_is_transparent_to_other_programs(
    toy_model: Path, tmp_path: Path, codec: str, name: str, decoder: str
) -> None:
    source = Clip(frames=2).write(tmp_path / "in.mp4")
    draw = DrawOptions(mode="cutout", classes=["green"])
    with Segmenter(toy_model, threads=1) as segmenter:
        stats = segmenter.video(
            source, tmp_path / name, draw=draw, encoder=EncoderOptions(codec=codec)
        )
        _, labels = next(iter(segmenter.frames(source, full_size=True)))
    assert stats.warnings == ()
    raw = tmp_path / "out.rgba"
    given = ("-c:v", decoder, "-i", tmp_path / name)
    ffmpeg(*given, "-frames:v", "1", "-f", "rawvideo", "-pix_fmt", "rgba", raw)
    alpha = np.fromfile(raw, np.uint8).reshape(64, 96, 4)[..., 3]
    inside = cv2.erode((labels == 1).astype(np.uint8), np.ones((9, 9), np.uint8)) == 1
    away = cv2.dilate((labels == 1).astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
    assert alpha[inside].min() > 245
    assert alpha[away].max() < 10


def test_without_transparency_a_cut_out_lies_on_green_and_that_is_said(
    cli: Cli, clip: Path, tmp_path: Path
) -> None:
    options = ("--model", "MODEL", "--mode", "cutout", "--classes", "green", "--quiet")
    done = cli("video", clip, tmp_path / "out.mp4", *options)
    assert done.returncode == 0
    assert "libx264 holds no transparency in this kind of file" in done.stderr
    corner = rgb_of(read_frames(tmp_path / "out.mp4")[0])[2, 90]
    np.testing.assert_allclose(corner, (0, 177, 64), atol=6)


def test_shares_of_classes_on_the_command_line(cli: Cli, clip: Path, tmp_path: Path) -> None:
    bad = cli("video", clip, tmp_path / "o.mp4", "--model", "MODEL", "--alpha", "0.2,gren=0.8")
    assert bad.returncode == 2
    assert "unknown class 'gren'; known: red, green, blue" in bad.stderr
    bad = cli("video", clip, tmp_path / "o.mp4", "--model", "MODEL", "--alpha", "green=2")
    assert bad.returncode == 2
    assert "2.0 is not in the range 0<=x<=1" in bad.stderr
