from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from tests.train.drawn import draw_dataset
from train.data.opening import open_dataset
from train.data.transforms import preparation
from train.errors import TrainError


def test_pairs_come_back_as_their_files_have_them(tmp_path: Path) -> None:
    root, cache = draw_dataset(tmp_path / "d"), tmp_path / "cache"
    plain = open_dataset("camvid", root, "train", in_memory=False)
    cached = open_dataset("camvid", root, "train", cache=cache)
    assert len(plain) == len(cached) > 1
    for index in range(len(plain)):
        for ours, theirs in zip(cached.read(index), plain.read(index), strict=True):
            assert np.array_equal(ours, theirs)
        for ours_, theirs_ in zip(cached[0, index], plain[0, index], strict=True):
            assert torch.equal(ours_, theirs_)
    assert torch.equal(plain.class_pixels(), cached.class_pixels())
    assert sorted(path.suffix for path in cache.iterdir()) == [".json", ".u8"]


def test_the_files_are_read_once_until_they_change(tmp_path: Path) -> None:
    root, cache = draw_dataset(tmp_path / "d"), tmp_path / "cache"
    open_dataset("camvid", root, "train", cache=cache)
    before = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    again = open_dataset("camvid", root, "train", cache=cache)
    assert {path.name: path.stat().st_mtime_ns for path in cache.iterdir()} == before
    changed = again.items[0].picture
    cv2.imwrite(str(changed), np.full_like(again.read(0)[0], 7))
    other = open_dataset("camvid", root, "train", cache=cache)
    assert int(other.read(0)[0].mean()) == 7
    small = open_dataset("camvid", root, "train", cache=cache, prepare=preparation(resize=32))
    assert small.read(0)[1].shape == (32, 32)
    assert len(list(cache.glob("*.u8"))) == 3


def test_a_cache_that_was_cut_and_a_disk_without_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root, cache = draw_dataset(tmp_path / "d"), tmp_path / "cache"
    open_dataset("camvid", root, "train", cache=cache)
    (file,) = cache.glob("*.u8")
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(TrainError, match=r"cut short; delete it and .*\.json"):
        open_dataset("camvid", root, "train", cache=cache)
    usage = type("Usage", (), {"free": 1 << 20})
    monkeypatch.setattr("train.data.rawcache.shutil.disk_usage", lambda path: usage)
    with pytest.raises(TrainError, match=r"data\.cache needs some 0\.. GB more, and 0\.0 are free"):
        open_dataset("camvid", root, "train", cache=tmp_path / "other")
    assert not list((tmp_path / "other").iterdir())
