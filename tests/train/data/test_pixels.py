from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train.data.pixels import IGNORE, IndexLabels, read_picture
from train.errors import TrainError


def test_16_bits_of_grey_keep_their_upper_eight(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16).reshape(8, 8)
    for name in ("grey.png", "grey.tif"):
        Image.fromarray(ramp).save(tmp_path / name)
        found = read_picture(tmp_path / name)
        assert found.shape == (8, 8, 3)
        np.testing.assert_array_equal(found, np.repeat(ramp[..., None] >> 8, 3, axis=2))
        assert found.flags.writeable


@pytest.mark.parametrize(("mode", "channels"), [("L", 1), ("RGBA", 4), ("P", 1), ("CMYK", 4)])
def test_pictures_of_every_mode_become_rgb(tmp_path: Path, mode: str, channels: int) -> None:
    path = tmp_path / "a.tif"
    Image.new("RGB", (6, 4), (200, 200, 200)).convert(mode).save(path)
    found = read_picture(path)
    assert found.shape == (4, 6, 3)
    assert abs(int(found[0, 0, 0]) - 200) < 8


def test_a_picture_without_a_known_range_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 0.5, np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(TrainError, match=r"a\.tif: has 32 bits a pixel .* 8 or 16 bits"):
        read_picture(tmp_path / "a.tif")


def test_a_picture_that_unpacks_to_gigabytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("1", (300, 300)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(TrainError, match=r"a\.png: cannot be read as a picture \(Image size"):
        read_picture(tmp_path / "a.png")


def test_a_huge_number_costs_no_table(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    Image.fromarray(np.full((4, 4), 2**31 - 1, np.int32)).save(path)
    reader = IndexLabels(classes={0: 0}, void=frozenset({7}), meaning="0 and 7")
    with pytest.raises(TrainError, match=r"a\.tif: 2147483647 is no class number; 0 and 7"):
        reader(path)
    Image.fromarray(np.array([[0, 7]], np.uint8)).save(path)
    assert reader(path).tolist() == [[0, IGNORE]]
