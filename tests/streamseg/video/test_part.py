"""Parts of videos: the right frames, their times, and the sound that belongs to them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg import EncoderOptions, LabelOutputs, Segmenter, recolor_video
from streamseg.errors import SourceError, UsageError
from streamseg.labelmaps.video import read_label_video
from streamseg.video.part import Part, open_part
from tests.streamseg.clips import Clip, audio_packets, read_frames, read_times
from tests.streamseg.conftest import Cli

LOSSLESS = EncoderOptions(codec="ffv1")


@pytest.fixture(scope="module", params=["mp4", "mkv", "ts"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds with sound, a key frame every 12 frames."""
    folder = tmp_path_factory.mktemp("parts")
    return Clip(frames=50, audio=("aac",)).write(folder / f"in.{request.param}")


def read(path: Path, **part: Any) -> tuple[list[float], list[np.ndarray[Any, Any]]]:
    with open_part(path, Part(**part)) as opened:
        items = list(opened)
        assert [item.index for item in items] == list(range(len(items)))
        return (
            [float(item.frame.pts * item.frame.time_base) for item in items],  # type: ignore[operator]
            [item.frame.to_ndarray() for item in items],
        )


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        ({"start_seconds": 1.2}, range(30, 50)),
        ({"end_seconds": 0.4}, range(10)),
        ({"start_seconds": 0.5, "end_seconds": 1.0}, range(13, 25)),
        ({"stride": 7}, range(0, 50, 7)),
        ({"start_seconds": 1.0, "stride": 5, "max_frames": 3}, range(25, 40, 5)),
        ({"max_frames": 4}, range(4)),
    ],
)
def test_a_part_has_the_frames_asked_for_at_their_times(
    source: Path, part: dict[str, Any], wanted: range
) -> None:
    times, pictures = read(source)
    part_times, part_pictures = read(source, **part)
    assert part_times == [times[index] for index in wanted]
    for index, picture in zip(wanted, part_pictures, strict=True):
        np.testing.assert_array_equal(picture, pictures[index])


def test_a_part_that_is_written_begins_near_0_with_its_sound(
    toy_model: Path, tmp_path: Path, source: Path
) -> None:
    out = tmp_path / "out.mp4"
    part = Part(start_seconds=0.8, end_seconds=1.4)
    with Segmenter(toy_model, threads=1) as segmenter:
        stats = segmenter.video(source, out, part=part)
    assert stats.frames == 15
    assert stats.frames_expected == 15
    times = [float(time) for time in read_times(out)]
    assert times[0] == pytest.approx(0, abs=0.041)
    assert np.diff(times) == pytest.approx([0.04] * 14, abs=0.001)
    sound = [float(time) for time, _ in audio_packets(out)]
    assert -0.001 <= sound[0] <= 0.06
    assert 0.5 <= sound[-1] <= 0.6


def test_labels_of_a_part_are_drawn_again_over_that_part(
    toy_model: Path, tmp_path: Path, source: Path
) -> None:
    maps, once, again = (tmp_path / name for name in ("maps.mkv", "once.mkv", "again.mkv"))
    part = Part(start_seconds=0.4, end_seconds=1.2, stride=2)
    with Segmenter(toy_model, threads=1) as segmenter:
        segmenter.video(source, once, part=part, encoder=LOSSLESS, labels=LabelOutputs(video=maps))
    stats = recolor_video(maps, source, again, part=part, encoder=LOSSLESS)
    assert stats.warnings == ()
    assert len(list(read_label_video(maps))) == 10
    for a, b in zip(read_frames(once), read_frames(again), strict=True):
        assert a.pts == b.pts
        np.testing.assert_array_equal(a.to_ndarray(), b.to_ndarray())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"start_seconds": -1.0}, "--start must be 0 s or later, got -1.0"),
        ({"start_seconds": 2.0, "end_seconds": 2.0}, r"--end \(2.0 s\) must lie behind --start"),
        ({"stride": 0}, "--stride must be 1 or more, got 0"),
        ({"max_frames": 0}, "--max-frames must be 1 or more, got 0"),
    ],
)
def test_a_part_without_frames_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Part(**options)


def test_a_part_behind_the_end_is_an_error(source: Path) -> None:
    with pytest.raises(SourceError, match="has no frame between 50 s and the end"):
        read(source, start_seconds=50.0)


def test_times_on_the_command_line(cli: Cli, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    good = cli("video", clip, out, "--model", "MODEL", "--start", "0:00:00.2", "--stride", "2")
    assert (good.returncode, good.stderr) == (0, "")
    assert len(read_times(out)) == 4
    bad = cli("video", clip, out, "--model", "MODEL", "--start", "noon")
    assert bad.returncode == 2
    assert "'noon' is no time; give seconds, or hours:minutes:seconds." in bad.stderr
