"""What lies beside an output until it is complete: held while written, swept when not."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from streamseg.video import partfile
from streamseg.video.partfile import drop, hold, let_go, part_file, sweep

DAY = 86_400.0


def test_the_name_is_hidden_and_no_longer_than_a_name_may_be(tmp_path: Path) -> None:
    path = part_file(tmp_path / f"{'ä' * 120}.mp4")
    hold(path)
    assert path.name.startswith(".ä")
    drop(path)
    assert list(tmp_path.iterdir()) == []


def test_what_nobody_holds_is_swept(tmp_path: Path) -> None:
    held, left = part_file(tmp_path / "a.mp4"), part_file(tmp_path / "b.mp4")
    hold(held)
    hold(left)
    let_go(left)
    sweep(tmp_path)
    assert list(tmp_path.iterdir()) == [held]
    drop(held)


@pytest.mark.parametrize(("idle", "there"), [(0, True), (DAY / 2, True), (2 * DAY, False)])
def test_another_machines_are_left_for_a_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, idle: float, there: bool
) -> None:
    path = part_file(tmp_path / "a.mp4")
    hold(path)
    let_go(path)
    then = time.time() - idle
    os.utime(path, (then, then))
    monkeypatch.setattr(partfile, "_machine", lambda: "00000000")
    sweep(tmp_path)
    assert path.exists() == there


@pytest.mark.parametrize("name", ["a.part", ".a.mp4.part", ".a.mp4.12-0.part", ".a.12-0-xyz.part"])
def test_files_of_others_are_none_of_our_business(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    sweep(tmp_path)
    assert (tmp_path / name).exists()
