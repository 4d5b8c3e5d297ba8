from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.train.data.drawn_layouts import draw_folder, save
from tests.train.drawn import CAR, draw_dataset
from train.data import counts, dataset
from train.data.counts import count_pixels
from train.data.opening import open_dataset
from train.errors import TrainError


def kept(root: Path, layout: str = "camvid") -> bool:
    """Whether a data set answers without its files."""
    data = open_dataset(layout, root, "train")
    for item in data.items:
        item.picture.unlink()
    try:
        data.read(0)
    except TrainError:
        return False
    return True


def test_small_splits_are_kept_and_big_ones_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = 64 * 96 * 4
    monkeypatch.setattr(dataset, "KEEP_BYTES", 4 * pair)
    assert kept(draw_dataset(tmp_path / "small"))
    monkeypatch.setattr(dataset, "KEEP_BYTES", 4 * pair - 1)
    assert not kept(draw_dataset(tmp_path / "big"))


def test_the_estimate_sees_more_than_the_first_picture(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = draw_folder(tmp_path, train=16, val=1)
    for index in range(8, 16):
        save(root / "images" / "train" / f"{index:04d}.jpg", np.zeros((640, 960, 3), np.uint8))
        save(root / "labels" / "train" / f"{index:04d}.png", np.zeros((640, 960), np.uint8))
    monkeypatch.setattr(dataset, "KEEP_BYTES", 16 * 64 * 96 * 4)
    assert not kept(root, "folder")


def test_the_limit_fits_camvid_and_not_cityscapes() -> None:
    assert dataset.KEEP_BYTES > 367 * 480 * 360 * 4
    assert dataset.KEEP_BYTES < 2975 * 2048 * 1024 * 4


@pytest.mark.parametrize("in_memory", [True, False])
def test_counting_gives_what_the_pairs_hold(tmp_path: Path, in_memory: bool) -> None:
    data = open_dataset("camvid", draw_dataset(tmp_path / "d"), "train", in_memory=in_memory)
    pixels = data.class_pixels()
    assert pixels.shape == (11,)
    for index in range(11):
        assert int(pixels[index]) == sum(int((labels == index).sum()) for _, labels in data.pairs())
    assert int(pixels[CAR]) > 0


def test_counting_reads_no_picture(tmp_path: Path) -> None:
    root = draw_dataset(tmp_path / "d")
    data = open_dataset("camvid", root, "train", in_memory=False)
    for item in data.items:
        item.picture.unlink()
    done: list[tuple[int, int]] = []
    pixels = data.class_pixels(lambda *progress: done.append(progress))
    assert int(pixels.sum()) == 4 * 62 * 96
    assert done == [(1, 4), (2, 4), (3, 4), (4, 4)]


@pytest.fixture
def remembering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Counts of any number of files are remembered, in this folder."""
    monkeypatch.setattr(counts, "REMEMBER_FROM", 1)
    monkeypatch.setenv("STREAMSEG_COUNTS", str(tmp_path / "counts"))
    return tmp_path / "counts"


def test_counts_of_big_splits_are_remembered(tmp_path: Path, remembering: Path) -> None:
    items = open_dataset("camvid", draw_dataset(tmp_path / "d"), "train", in_memory=False).items
    first = count_pixels(items)
    (path,) = remembering.iterdir()
    # The same times and sizes: what is remembered answers, not the files.
    status = items[0].labels.stat()
    content = items[0].labels.read_bytes()
    items[0].labels.write_bytes(b"x" * len(content))
    os.utime(items[0].labels, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert np.array_equal(count_pixels(items), first)
    # Changed labels are counted again.
    Image.fromarray(np.full((64, 96), 5, np.uint8)).save(items[0].labels)
    again = count_pixels(items)
    assert again[5] == first[5] + 64 * 96
    assert len(list(remembering.iterdir())) == 2
    assert path.is_file()


def test_other_classes_are_another_count(tmp_path: Path, remembering: Path) -> None:
    root = draw_folder(tmp_path / "d")
    before = open_dataset("folder", root, "val", in_memory=False).class_pixels()
    with (root / "classes.txt").open("a") as file:
        file.write("fifth\n")
    after = open_dataset("folder", root, "val", in_memory=False).class_pixels()
    assert (len(before), len(after)) == (4, 5)
    assert len(list(remembering.iterdir())) == 2


def test_a_cache_that_is_broken_or_cannot_be_written_is_no_error(
    tmp_path: Path, remembering: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    items = open_dataset("camvid", draw_dataset(tmp_path / "d"), "val", in_memory=False).items
    expected = count_pixels(items)
    (path,) = remembering.iterdir()
    for text in ("", "{", "[1, 2]", '["a"]', "[-1]"):
        path.write_text(text)
        assert np.array_equal(count_pixels(items), expected)
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STREAMSEG_COUNTS", str(tmp_path / "file" / "below"))
    assert np.array_equal(count_pixels(items), expected)


def test_broken_labels_are_named_and_not_remembered(tmp_path: Path, remembering: Path) -> None:
    items = open_dataset("camvid", draw_dataset(tmp_path / "d"), "val", in_memory=False).items
    items[1].labels.write_bytes(b"hello")
    with pytest.raises(TrainError, match=r"001\.png: cannot be read as a picture"):
        count_pixels(items)
    items[1].labels.unlink()
    with pytest.raises(TrainError, match=r"001\.png: cannot be read as a picture"):
        count_pixels(items)
    assert not remembering.exists()
