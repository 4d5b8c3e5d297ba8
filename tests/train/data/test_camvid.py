from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.train.drawn import CAR, SKY, draw_dataset, draw_street
from train.data.camvid import read_labels
from train.data.opening import open_dataset
from train.data.pixels import IGNORE
from train.errors import TrainError


@pytest.mark.parametrize("suffix", ["jpg", "webp", "png"])
def test_pictures_of_any_format(tmp_path: Path, suffix: str) -> None:
    dataset = open_dataset("camvid", draw_dataset(tmp_path / "d", suffix=suffix), "train")
    assert len(dataset) == 4
    picture, labels = dataset[0]
    drawn, truth = draw_street(0)
    assert picture.shape == (3, 64, 96)
    assert picture.dtype == torch.uint8
    difference = np.abs(picture.permute(1, 2, 0).numpy().astype(int) - drawn)
    assert difference.mean() < (16 if suffix == "jpg" else 1e-9)
    assert labels.dtype == torch.uint8
    assert np.array_equal(labels.numpy(), np.where(truth < 11, truth, IGNORE))


def test_class_pixels_leave_void_out(tmp_path: Path) -> None:
    dataset = open_dataset("camvid", draw_dataset(tmp_path / "d", val=1), "val")
    pixels = dataset.class_pixels()
    assert pixels.shape == (11,)
    assert int(pixels.sum()) == 62 * 96
    assert int(pixels[CAR]) == 16 * 24


def test_palette_and_16_bit_index_pictures_are_read(tmp_path: Path) -> None:
    values = np.array([[0, 5], [11, 10]], dtype=np.uint8)
    expected = np.array([[0, 5], [IGNORE, 10]], dtype=np.uint8)
    coloured = Image.fromarray(values)
    coloured.putpalette([7] * 768)
    coloured.save(tmp_path / "p.png")
    Image.fromarray(values.astype(np.uint16)).save(tmp_path / "i.png")
    assert np.array_equal(read_labels(tmp_path / "p.png"), expected)
    assert np.array_equal(read_labels(tmp_path / "i.png"), expected)


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"train: no such folder; --data wants the SegNet layout"):
        open_dataset("camvid", tmp_path, "train")


def test_an_empty_folder(tmp_path: Path) -> None:
    for name in ("train", "trainannot"):
        (tmp_path / name).mkdir()
    with pytest.raises(TrainError, match="the folder is empty"):
        open_dataset("camvid", tmp_path, "train")


def test_a_picture_without_labels(tmp_path: Path) -> None:
    root = draw_dataset(tmp_path / "d")
    (root / "trainannot" / "002.png").unlink()
    with pytest.raises(TrainError, match=r"no label PNG for 1 pictures \(first: 002.png\)"):
        open_dataset("camvid", root, "train")


def test_a_broken_picture(tmp_path: Path) -> None:
    root = draw_dataset(tmp_path / "d")
    (root / "train" / "001.png").write_bytes(b"hello")
    with pytest.raises(TrainError, match=r"001\.png: cannot be read as a picture"):
        open_dataset("camvid", root, "train")


def test_colour_pictures_are_no_labels(tmp_path: Path) -> None:
    root = draw_dataset(tmp_path / "d")
    Image.new("RGB", (96, 64)).save(root / "trainannot" / "001.png")
    with pytest.raises(TrainError, match=r"must be an index picture \(mode L or P\), got RGB"):
        open_dataset("camvid", root, "train")


def test_labels_of_another_size(tmp_path: Path) -> None:
    root = draw_dataset(tmp_path / "d")
    Image.new("L", (10, 10)).save(root / "trainannot" / "001.png")
    with pytest.raises(
        TrainError, match=r"the picture is \(64, 96\) \(height, width\), its labels"
    ):
        open_dataset("camvid", root, "train")


def test_numbers_that_are_no_class_are_refused(tmp_path: Path) -> None:
    root = draw_dataset(tmp_path / "d")
    labels = np.array(Image.open(root / "trainannot" / "001.png"))
    labels[0, :3] = (12, 40, 255)
    Image.fromarray(labels).save(root / "trainannot" / "001.png")
    with pytest.raises(
        TrainError, match=r"001\.png: 12, 40 is no class number; CamVid has 0\.\.10"
    ):
        open_dataset("camvid", root, "train")


def test_a_street_is_drawn_with_sky() -> None:
    assert draw_street(3)[1][0, 0] == SKY
