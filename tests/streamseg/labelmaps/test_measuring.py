"""What a run measures is what its labels say, at the times at which people see it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from streamseg import (
    EncoderOptions,
    LabelOutputs,
    MeasureOptions,
    Part,
    Segmenter,
    recolor_video,
)
from streamseg.errors import UsageError
from streamseg.labelmaps.measuring import shares_of
from streamseg.measures.tables import read_table
from tests.streamseg.clips import BLUE, GREEN, Clip, Picture, audio_packets, paint, read_frames
from tests.streamseg.conftest import Cli

LOSSLESS = EncoderOptions(codec="ffv1")


def now_and_then(index: int) -> Picture:
    """Blue; green from frame 10 to 14 and 30 to 39, and for one frame at 17."""
    there = 10 <= index < 15 or 30 <= index < 40 or index == 17
    return paint(np.full((64, 96), GREEN if there else BLUE, np.uint8))


@pytest.fixture(scope="module", params=["mp4", "ts"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("measured")
    return Clip(frames=50, draw=now_and_then, audio=("aac",)).write(folder / f"in.{request.param}")


def test_shares_are_those_of_the_labels() -> None:
    labels = np.array([[0, 0, 2], [2, 2, 2]], np.uint8)
    np.testing.assert_allclose(shares_of(labels, 4), [1 / 3, 0, 2 / 3, 0])


def test_a_table_has_each_frame_at_its_time(toy_model: Path, tmp_path: Path, source: Path) -> None:
    table = tmp_path / "t.csv"
    with Segmenter(toy_model, threads=1) as segmenter:
        said = [shares_of(labels, 3) for _, labels in segmenter.frames(source)]
        stats = segmenter.video(source, None, measure=MeasureOptions(table=table))
    assert stats.frames == 50
    read = read_table(table)
    assert read.classes == ("red", "green", "blue")
    np.testing.assert_allclose(read.shares, said, atol=1e-6)
    np.testing.assert_allclose(read.seconds, np.arange(50) / 25, atol=1e-6)


def test_events_are_found_and_cut_out_with_their_sound(
    toy_model: Path, tmp_path: Path, source: Path
) -> None:
    measure = MeasureOptions(
        when=["green > 50%"], events=tmp_path / "e.json", clips=tmp_path / "clips", gap_seconds=0.1
    )
    out = tmp_path / "out.mkv"
    with Segmenter(toy_model, threads=1) as segmenter:
        stats = segmenter.video(
            source, out, measure=measure, encoder=LOSSLESS, part=Part(start_seconds=0.2)
        )
    assert "green > 50%: 2 events, 0.7 s in all" in stats.notes
    events = json.loads((tmp_path / "e.json").read_text())["events"]
    assert [(e["start_seconds"], e["end_seconds"], e["frames"]) for e in events] == [
        (0.4, 0.72, 6),
        (1.2, 1.6, 10),
    ]
    clips = sorted((tmp_path / "clips").iterdir())
    names = ["event-001-00h00m00.40s.mkv", "event-002-00h00m01.20s.mkv"]
    assert [clip.name for clip in clips] == names
    drawn = read_frames(out)
    for clip, first, count in zip(clips, (5, 25), (8, 10), strict=True):
        frames = read_frames(clip)
        assert len(frames) == count
        assert frames[0].pts == 0
        for one, other in zip(frames, drawn[first : first + count], strict=True):
            np.testing.assert_array_equal(one.to_ndarray(), other.to_ndarray())
        assert audio_packets(clip)


def test_stored_labels_are_measured_without_a_network(
    toy_model: Path, tmp_path: Path, source: Path
) -> None:
    maps, once, again = tmp_path / "m.mkv", tmp_path / "once.csv", tmp_path / "again.csv"
    with Segmenter(toy_model, threads=1) as segmenter:
        labels = LabelOutputs(video=maps)
        segmenter.video(source, None, labels=labels, measure=MeasureOptions(table=once))
    recolor_video(maps, source, tmp_path / "o.mkv", measure=MeasureOptions(table=again))
    assert again.read_text() == once.read_text()


def test_measures_without_a_place_or_a_condition_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--when needs a place: --events"):
        MeasureOptions(when=["car > 1%"])
    with pytest.raises(UsageError, match="--events and --event-clips need a condition"):
        MeasureOptions(events=tmp_path / "e.json")
    with pytest.raises(UsageError, match="--event-gap must be 0 s or more, got -1"):
        MeasureOptions(gap_seconds=-1)
    (tmp_path / "clips").mkdir()
    (tmp_path / "clips" / "event-001.mp4").touch()
    measure = MeasureOptions(when=["a > 1%"], clips=tmp_path / "clips")
    with pytest.raises(UsageError, match="holds events already; use --overwrite"):
        measure.plan(["a"], overwrite=False, source=tmp_path / "in.mp4")


def test_measuring_on_the_command_line(cli: Cli, clip: Path, tmp_path: Path) -> None:
    table = tmp_path / "t.jsonl"
    good = cli("video", clip, "--model", "MODEL", "--measure", table, "--quiet")
    assert (good.returncode, good.stderr, len(table.read_text().splitlines())) == (0, "", 12)
    bad = cli("video", clip, "--model", "MODEL", "--when", "gren > 1%", "--events", "e.json")
    assert bad.returncode == 2
    assert "unknown class 'gren'; known: red, green, blue" in bad.stderr
