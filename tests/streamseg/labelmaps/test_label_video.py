"""Label videos: every index, every time, names and colours; and drawing from them is the same."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamseg import DrawOptions, EncoderOptions, LabelOutputs, Segmenter, recolor_video
from streamseg.drawing.orientation import Orientation
from streamseg.errors import SourceError, UsageError
from streamseg.labelmaps.options import CleanOptions
from streamseg.labelmaps.video import read_label_video
from tests.streamseg.clips import Clip, matrix_of, read_frames
from tests.streamseg.conftest import Cli
from tests.streamseg.fakes import toy_header

LOSSLESS = EncoderOptions(codec="ffv1")


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("turn", [None, Orientation(1, mirrored=False), Orientation(2, True)])
def test_a_label_video_holds_what_the_network_said(
    toy_model: Path, tmp_path: Path, suffix: str, turn: Orientation | None
) -> None:
    if suffix == "ts" and turn is not None:
        pytest.skip("transport streams have no display matrix")
    matrix = None if turn is None else matrix_of(turn)
    uneven = None if suffix == "ts" else [0, 1, 2, 5, 6, 9, 14, 15]
    source = Clip(frames=8, pts=uneven, matrix=matrix).write(tmp_path / f"in.{suffix}")
    maps = tmp_path / "maps.mkv"
    with Segmenter(toy_model, threads=1) as segmenter:
        said = [(frame.time, labels) for frame, labels in segmenter.frames(source)]
        stats = segmenter.video(source, None, labels=LabelOutputs(video=maps))
    assert (stats.frames, stats.output, stats.warnings) == (8, None, ())
    stored = list(read_label_video(maps))
    assert len(stored) == 8
    for (at, labels), (seconds, back) in zip(said, stored, strict=True):
        np.testing.assert_array_equal(back, labels)
        late = seconds - stored[0][0]
        assert late == pytest.approx((at or 0) - (said[0][0] or 0), abs=0.00101)


@pytest.mark.parametrize("suffix", ["mp4", "ts"])
def test_recoloring_gives_what_a_run_with_the_network_gives(
    toy_model: Path, tmp_path: Path, suffix: str
) -> None:
    source = Clip(frames=6, audio=("aac",)).write(tmp_path / f"in.{suffix}")
    draw = DrawOptions(alpha=0.3, classes=["green"], legend=True)
    maps, once, again = (tmp_path / name for name in ("maps.mkv", "once.mkv", "again.mkv"))
    with Segmenter(toy_model, threads=1) as segmenter:
        segmenter.video(source, once, draw=draw, encoder=LOSSLESS, labels=LabelOutputs(video=maps))
    stats = recolor_video(maps, source, again, draw=draw, encoder=LOSSLESS)
    assert (stats.frames, stats.model) == (6, "toy")
    for a, b in zip(read_frames(once), read_frames(again), strict=True):
        assert a.pts == b.pts
        np.testing.assert_array_equal(a.to_ndarray(), b.to_ndarray())


def test_labels_can_be_cleaned_when_they_are_drawn_again(toy_model: Path, tmp_path: Path) -> None:
    source, maps = Clip(frames=2).write(tmp_path / "in.mp4"), tmp_path / "maps.mkv"
    with Segmenter(toy_model, threads=1) as segmenter:
        segmenter.video(source, None, labels=LabelOutputs(video=maps))
    draw = DrawOptions(mode="mask")
    for name, clean in (("plain", CleanOptions()), ("clean", CleanOptions(min_area=1000))):
        recolor_video(
            maps, source, tmp_path / f"{name}.mkv", draw=draw, clean=clean, encoder=LOSSLESS
        )
    plain, clean_frames = (read_frames(tmp_path / f"{n}.mkv") for n in ("plain", "clean"))
    assert (plain[0].to_ndarray() != clean_frames[0].to_ndarray()).any()


def test_labels_of_another_video_are_refused(toy_model: Path, tmp_path: Path) -> None:
    source, maps = Clip(frames=3).write(tmp_path / "in.mp4"), tmp_path / "maps.mkv"
    other = Clip(frames=3, pts=[1000, 1001, 1002]).write(tmp_path / "other.mp4")
    with Segmenter(toy_model, threads=1) as segmenter:
        segmenter.video(source, None, labels=LabelOutputs(video=maps))
    with pytest.raises(SourceError, match=r"maps\.mkv: holds no labels for .*other\.mp4"):
        recolor_video(maps, other, tmp_path / "out.mp4")
    assert not (tmp_path / "out.mp4").exists()
    with pytest.raises(SourceError, match=r"in\.mp4: is no label video: it names no classes"):
        recolor_video(source, source, tmp_path / "out.mp4")


def test_frames_without_labels_are_left_out_and_that_is_said(
    toy_model: Path, tmp_path: Path
) -> None:
    short = Clip(frames=4).write(tmp_path / "short.mp4")
    long = Clip(frames=7).write(tmp_path / "long.mp4")
    maps = tmp_path / "maps.mkv"
    with Segmenter(toy_model, threads=1) as segmenter:
        segmenter.video(short, None, labels=LabelOutputs(video=maps))
    stats = recolor_video(maps, long, tmp_path / "out.mp4")
    assert stats.frames == 4
    assert any("3 of 7 frames of" in warning for warning in stats.warnings)


def test_pictures_hold_every_index_and_a_file_names_the_classes(
    toy_model: Path, tmp_path: Path
) -> None:
    source, folder = Clip(frames=3).write(tmp_path / "in.mp4"), tmp_path / "maps"
    outputs = LabelOutputs(pictures=folder)
    with Segmenter(toy_model, threads=1) as segmenter:
        said = [labels for _, labels in segmenter.frames(source)]
        segmenter.video(source, None, labels=outputs)
        with pytest.raises(UsageError, match="holds PNGs already; use --overwrite"):
            segmenter.video(source, None, labels=outputs)
        segmenter.video(source, None, labels=outputs, overwrite=True)
    for index, labels in enumerate(said):
        picture = cv2.imread(str(folder / f"{index:06d}.png"), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(np.asarray(picture), labels)
    classes = json.loads((folder / "classes.json").read_text())["classes"]
    assert [entry["name"] for entry in classes] == list(toy_header().classes.names)


def test_a_run_that_fails_leaves_no_label_video(toy_model: Path, tmp_path: Path) -> None:
    source = Clip(frames=3).write(tmp_path / "in.mp4")
    with Segmenter(toy_model, threads=1) as segmenter, pytest.raises(UsageError):
        segmenter.video(
            source,
            tmp_path / "out.mp4",
            encoder=EncoderOptions(codec="nonsense"),
            labels=LabelOutputs(video=tmp_path / "maps.mkv"),
        )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.mp4"]


def test_on_the_command_line(cli: Cli, clip: Path, tmp_path: Path) -> None:
    maps, out = tmp_path / "maps.mkv", tmp_path / "out.mp4"
    first = cli("video", clip, "--model", "MODEL", "--labels", maps, "--quiet")
    assert (first.returncode, first.stderr) == (0, "")
    second = cli("recolor", maps, clip, out, "--mode", "mask")
    assert second.returncode == 0
    assert "frames: 12" in second.stdout.splitlines()
    third = cli("recolor", tmp_path / "none.mkv", clip, tmp_path / "x.mp4")
    assert third.returncode == 2
    assert third.stderr == f"error: {tmp_path / 'none.mkv'}: no such file\n"
    fourth = cli("video", clip, clip, "--out-dir", tmp_path, "--labels", maps, "--overwrite")
    assert fourth.returncode == 2
