"""Pictures are read as people see them, whatever they are stored in."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from streamseg.errors import SourceError
from streamseg.video.picture import (
    check_picture_place,
    read_picture,
    write_picture,
)
from tests.streamseg.clips import paint, scene

PICTURE = paint(scene(3))
BGR = np.ascontiguousarray(PICTURE[..., ::-1])


def test_16_bits_become_8(tmp_path: Path) -> None:
    path = tmp_path / "deep.png"
    assert cv2.imwrite(str(path), BGR.astype(np.uint16) * 257)
    assert np.abs(read_picture(path).astype(int) - PICTURE).max() <= 1


def test_grey_and_transparent_pictures_become_rgb(tmp_path: Path) -> None:
    assert cv2.imwrite(str(tmp_path / "grey.png"), PICTURE[..., 0])
    grey = read_picture(tmp_path / "grey.png")
    assert grey.shape == PICTURE.shape
    assert np.array_equal(grey[..., 1], PICTURE[..., 0])
    assert cv2.imwrite(str(tmp_path / "clear.png"), np.dstack([BGR, PICTURE[..., 0]]))
    assert np.array_equal(read_picture(tmp_path / "clear.png"), PICTURE)


def exif(orientation: int) -> bytes:
    entry = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, 1) + entry + struct.pack("<I", 0)


def with_exif(data: bytes, orientation: int) -> bytes:
    """A JPEG or PNG with an orientation."""
    block = exif(orientation)
    if data[:2] == b"\xff\xd8":
        app1 = b"Exif\0\0" + block
        return data[:2] + b"\xff\xe1" + struct.pack(">H", len(app1) + 2) + app1 + data[2:]
    chunk = b"eXIf" + block
    made = struct.pack(">I", len(block)) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return data[:33] + made + data[33:]


UPRIGHT = {
    1: lambda p: p,
    2: lambda p: p[:, ::-1],
    3: lambda p: p[::-1, ::-1],
    4: lambda p: p[::-1],
    5: lambda p: p.transpose(1, 0, 2),
    6: lambda p: np.rot90(p, -1),
    7: lambda p: np.rot90(p, 2).transpose(1, 0, 2),
    8: lambda p: np.rot90(p),
}
"""EXIF's orientation -> what a viewer does with the stored picture."""


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_exif_orientation_is_heeded(tmp_path: Path, orientation: int, suffix: str) -> None:
    path = tmp_path / f"turned{suffix}"
    data = cv2.imencode(suffix, BGR, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    path.write_bytes(with_exif(data, orientation))
    wanted = UPRIGHT[orientation](PICTURE)
    got = read_picture(path)
    assert got.shape == wanted.shape
    assert np.abs(got.astype(int) - wanted).mean() < 10


@pytest.mark.parametrize("data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n"])
def test_what_is_no_picture_is_said(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.png"
    path.write_bytes(data)
    with pytest.raises(SourceError, match=r"bad\.png: is no picture"):
        read_picture(path)


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot be read"):
        read_picture(tmp_path / "none.png")


def test_a_picture_is_written_whole_and_as_it_was(tmp_path: Path) -> None:
    for name in ("a.png", "b.webp"):
        write_picture(check_picture_place(tmp_path / name, overwrite=False), PICTURE)
        assert np.array_equal(read_picture(tmp_path / name), PICTURE)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "b.webp"]
