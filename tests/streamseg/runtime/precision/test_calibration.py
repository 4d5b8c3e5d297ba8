"""Pictures to calibrate with."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from streamseg.errors import SourceError, UsageError
from streamseg.runtime.precision.calibration import calibration_frames


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Ten pictures, each of one grey, the last one red; and a file that is no picture."""
    for index in range(9):
        cv2.imwrite(str(tmp_path / f"{index}.png"), np.full((50, 70, 3), 20 * index, np.uint8))
    cv2.imwrite(str(tmp_path / "9.png"), np.full((50, 70, 3), (0, 0, 255), np.uint8))
    (tmp_path / "notes.txt").write_text("not a picture")
    return tmp_path


def test_pictures_are_spread_over_the_folder(folder: Path) -> None:
    frames = list(calibration_frames(folder, size=(64, 32), count=5))
    assert [f.shape for f in frames] == [(1, 32, 64, 3)] * 5
    assert [int(f[0, 0, 0, 0]) for f in frames] == [0, 40, 80, 120, 160]


def test_pictures_are_rgb_and_no_more_than_there_are(folder: Path) -> None:
    frames = list(calibration_frames(folder, size=(64, 32), count=99))
    assert len(frames) == 10
    assert frames[-1][0, 0, 0].tolist() == [255, 0, 0]


def test_frames_are_spread_over_a_video(clip: Path) -> None:
    frames = np.concatenate(list(calibration_frames(clip, size=(64, 32), count=3)))
    assert frames.shape == (3, 32, 64, 3)
    assert frames.dtype == np.uint8
    everything = np.concatenate(list(calibration_frames(clip, size=(64, 32), count=12)))
    assert len(everything) == 12
    assert np.array_equal(frames, everything[::4])


def test_sources_that_cannot_be_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such folder or video"):
        list(calibration_frames(tmp_path / "nothing", size=(64, 32), count=1))
    with pytest.raises(UsageError, match="at least 1x1, got 0x32"):
        list(calibration_frames(folder, size=(0, 32), count=1))
    with pytest.raises(UsageError, match="count must be at least 1"):
        list(calibration_frames(folder, size=(64, 32), count=0))
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(SourceError, match="has no pictures"):
        list(calibration_frames(empty, size=(64, 32), count=1))
    (folder / "0.png").write_bytes(b"no picture at all")
    with pytest.raises(SourceError, match=r"0\.png: is no picture that can be read"):
        list(calibration_frames(folder, size=(64, 32), count=1))
