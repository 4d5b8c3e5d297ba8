"""Clips are shown as they were, the network sees them upright, whatever says how to turn them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from streamseg import label_frames, segment_video
from streamseg.drawing.options import Mode
from streamseg.drawing.orientation import ALL, AS_STORED, Orientation, nearest_to_matrix
from streamseg.video.file import FileSource
from streamseg.video.orientation import fitted_matrix, orientation_of
from tests.streamseg.clips import Clip, Picture, inner, matrix_of, paint, read_frames
from tests.streamseg.fakes import COLOURS
from tests.streamseg.judge import ffmpeg, needs_judge, shown_pictures


def corner(_: int) -> Picture:
    """A landscape picture, of which every quarter differs: it cannot be turned unnoticed."""
    labels = np.full((64, 96), 2, np.uint8)
    labels[:32, :48], labels[32:, 48:] = 0, 1
    return paint(labels)


CLIP = Clip(frames=2, draw=corner, pixel_format="yuv444p")


@pytest.mark.parametrize("orientation", ALL)
class TestArithmetic:
    def test_stored_undoes_upright(self, orientation: Orientation) -> None:
        picture = np.arange(12).reshape(3, 4)
        np.testing.assert_array_equal(orientation.stored(orientation.upright(picture)), picture)
        height, width = orientation.upright(picture).shape
        assert orientation.shown_size(4, 3) == (width, height)

    def test_the_matrix_says_where_a_pixel_goes(self, orientation: Orientation) -> None:
        picture = np.zeros((5, 5), int)
        picture[2 - 1, 2 + 2] = 1  # two to the right of the middle and one up
        a, b, c, d = orientation.matrix
        shown = np.argwhere(orientation.upright(picture))[0]
        assert shown.tolist() == [2 + 2 * b - d, 2 + 2 * a - c]

    def test_a_direction_is_taken_back(self, orientation: Orientation) -> None:
        picture = np.zeros((3, 3), int)
        picture[1, 2] = 1  # to the right of the middle
        down, right = np.argwhere(orientation.stored(picture))[0] - 1
        assert orientation.stored_direction(1, 0) == (right, down)

    @pytest.mark.parametrize("degrees", [-0.01, 0.01, 30, -30])
    def test_what_is_a_little_off_is_snapped(
        self, orientation: Orientation, degrees: float
    ) -> None:
        assert nearest_to_matrix(matrix_of(orientation, degrees)) == orientation


def test_no_matrix_and_one_of_zeros_change_nothing() -> None:
    assert nearest_to_matrix(None) == nearest_to_matrix((0,) * 9) == AS_STORED


def test_what_a_matrix_moves_grows_with_the_picture() -> None:
    turned = (0, 65536, 0, -65536, 0, 0, 64 << 16, 0, 1 << 30)
    assert fitted_matrix(turned, (96, 64), (96, 128))[6:8] == (128 << 16, 0)
    assert fitted_matrix(turned, (96, 64), (96, 64)) == turned


@needs_judge
@pytest.mark.parametrize("degrees", [0, -0.01])
@pytest.mark.parametrize("orientation", ALL)
def test_a_player_shows_it_as_it_was(
    toy_model: Path, tmp_path: Path, orientation: Orientation, degrees: float
) -> None:
    matrix = matrix_of(orientation, degrees)
    clip = Clip(frames=2, draw=corner, pixel_format="yuv444p", matrix=matrix)
    src, dst = clip.write(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    segment_video(src, dst, model=toy_model, mode="mask", crf=1)
    before, after = shown_pictures(src)[0], shown_pictures(dst)[0]
    labels = before.argmax(axis=2)
    where = inner(labels)
    np.testing.assert_allclose(after[where], np.array(COLOURS)[labels[where]], atol=12)


def patched(path: Path, matrix: tuple[int, ...]) -> Path:
    """The clip with a matrix in its first track's header, as recorders write it."""
    data = bytearray(path.read_bytes())
    at = data.find(b"tkhd") + 44
    data[at : at + 36] = struct.pack(">9i", *matrix)
    path.write_bytes(data)
    return path


@needs_judge
@pytest.mark.parametrize("mode", ["overlay", "side-by-side"])
def test_a_selfie_that_is_moved_back_into_its_frame(
    toy_model: Path, tmp_path: Path, mode: Mode
) -> None:
    mirror = (-65536, 0, 0, 0, 65536, 0, 96 << 16, 0, 1 << 30)
    src = patched(CLIP.write(tmp_path / "in.mp4"), mirror)
    segment_video(src, tmp_path / "out.mp4", model=toy_model, mode=mode, alpha=0, crf=1)
    shown = shown_pictures(tmp_path / "out.mp4")[0]
    for left in range(0, shown.shape[1], 96):
        pane = shown[:, left : left + 96].astype(int)
        np.testing.assert_allclose(pane[8:-8, 8:-8], shown_pictures(src)[0][8:-8, 8:-8], atol=24)
    matrix = FileSource(tmp_path / "out.mp4").info.display_matrix
    assert matrix is not None
    assert matrix[6] == shown.shape[1] << 16


@needs_judge
@pytest.mark.parametrize(
    ("options", "orientation"),
    [
        ("rotate=90", Orientation(1)),
        ("flip=horizontal", Orientation(0, mirrored=True)),
        ("flip=vertical", Orientation(2, mirrored=True)),
    ],
)
def test_a_turn_in_the_codec_counts_too(
    toy_model: Path, tmp_path: Path, options: str, orientation: Orientation
) -> None:
    plain, src = CLIP.write(tmp_path / "plain.mp4"), tmp_path / "in.mp4"
    bsf = f"h264_metadata=display_orientation=insert:{options}"
    ffmpeg("-i", plain, "-c", "copy", "-bsf:v", bsf, src)
    segment_video(src, tmp_path / "out.mp4", model=toy_model, mode="mask", crf=1)
    for path in (src, tmp_path / "out.mp4"):
        assert orientation_of(read_frames(path)[0]) == orientation
    labels = shown_pictures(src)[0].argmax(axis=2)
    where = inner(labels)
    shown = shown_pictures(tmp_path / "out.mp4")[0]
    np.testing.assert_allclose(shown[where], np.array(COLOURS)[labels[where]], atol=12)


def with_exif(jpeg: bytes, orientation: int) -> bytes:
    entry = struct.pack("<HHHIHHI", 1, 0x112, 3, 1, orientation, 0, 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + entry
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:]


TOP_LEFT_OF = {1: AS_STORED, 2: Orientation(0, mirrored=True), 3: Orientation(2),
               4: Orientation(2, mirrored=True), 5: Orientation(1, mirrored=True),
               6: Orientation(3), 7: Orientation(3, mirrored=True), 8: Orientation(1)}  # fmt: skip


@pytest.mark.parametrize("exif", TOP_LEFT_OF)
def test_a_photo_is_seen_as_its_exif_says(toy_model: Path, tmp_path: Path, exif: int) -> None:
    still = Clip(
        frames=1, draw=corner, codec="mjpeg", pixel_format="yuvj444p", colour=(5, 2), options=(),
        format="image2",
    ).write(tmp_path / "in.jpg")  # fmt: skip
    still.write_bytes(with_exif(still.read_bytes(), exif))
    with FileSource(still) as source:
        assert source.info.orientation == TOP_LEFT_OF[exif]
    frame, labels = next(iter(label_frames(still, model=toy_model, full_size=True)))
    assert labels.shape == (frame.height, frame.width)
    assert (labels[8, 8], labels[-8, -8], labels[8, -8]) == (0, 1, 2), "over the stored picture"
