"""The clip that ships: real, small, with sound; copied out whole or not at all."""

from __future__ import annotations

import shutil
from fractions import Fraction
from pathlib import Path

import av
import pytest

from streamseg import OutputError, UsageError, write_sample
from streamseg.sample import street_clip


def test_the_clip_is_small_and_can_be_played() -> None:
    assert street_clip().stat().st_size < 700_000
    with av.open(str(street_clip())) as container:
        (video,), (audio,) = container.streams.video, container.streams.audio
        assert (video.name, audio.name) == ("h264", "aac")
        assert (video.width, video.height, video.average_rate) == (960, 540, Fraction(25))
        frames = list(container.decode(video))
    assert len(frames) == 110
    assert all(not frame.is_corrupt for frame in frames)


def test_players_need_not_read_the_whole_file_first() -> None:
    data = street_clip().read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_its_licence_lies_beside_it() -> None:
    text = street_clip().with_name("LICENSE-street.txt").read_text()
    assert "udacity/CarND-LaneLines-P1" in text
    assert "MIT License" in text
    assert "Copyright (c) 2016-2018 Udacity, Inc." in text


def test_an_existing_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "mine.mp4"
    path.write_bytes(b"mine")
    with pytest.raises(UsageError, match=r"mine\.mp4: already exists; use --overwrite"):
        write_sample(path)
    assert path.read_bytes() == b"mine"
    write_sample(path, overwrite=True)
    assert path.read_bytes() == street_clip().read_bytes()
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("failure", "seen"),
    [(OSError(28, "No space left"), OutputError), (KeyboardInterrupt(), KeyboardInterrupt)],
)
def test_a_failure_leaves_no_half_file_and_the_old_one(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    seen: type[BaseException],
) -> None:
    path = tmp_path / "street.mp4"
    path.write_bytes(b"mine")

    def half(source: Path, target: Path) -> None:
        target.write_bytes(source.read_bytes()[:1000])
        raise failure

    monkeypatch.setattr(shutil, "copyfile", half)
    with pytest.raises(seen):
        write_sample(path, overwrite=True)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_bytes() == b"mine"


def test_places_that_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"folder .* does not exist"):
        write_sample(tmp_path / "none" / "a.mp4")
    with pytest.raises(UsageError, match=r"the sample clip is an MP4; give a name that ends"):
        write_sample(tmp_path / "a.avi")
    with pytest.raises(UsageError, match=r"the sample clip is an MP4"):
        write_sample(tmp_path / "a.mkv")
    (tmp_path / "dir.mp4").mkdir()
    with pytest.raises(UsageError, match="is a folder"):
        write_sample(tmp_path / "dir.mp4", overwrite=True)
    assert [p.name for p in tmp_path.iterdir()] == ["dir.mp4"]
