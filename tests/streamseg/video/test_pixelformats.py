"""Depths, chroma, RGB and transparency: held where the encoder can, said where it cannot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamseg import DrawOptions, EncoderOptions, Segmenter
from streamseg.video.pixelformats import losses, nearest
from tests.streamseg.clips import Clip
from tests.streamseg.judge import ffmpeg, needs_judge, streams

UNDRAWN = DrawOptions(alpha=0)
PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=0.08")
SEE_THROUGH = (*PICTURE, "-vf", "format=yuva444p,geq=lum='p(X,Y)':cb='p(X,Y)':cr='p(X,Y)':a='2*X'")


@pytest.fixture(scope="module")
def segmenter(toy_model: Path) -> Segmenter:
    return Segmenter(toy_model, threads=1)


def samples(path: Path, pixel_format: str) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """All samples of a file in a format, as bytes."""
    raw = ffmpeg("-i", path, "-pix_fmt", pixel_format, "-f", "rawvideo", "-")
    return np.frombuffer(raw, np.uint8)


@needs_judge
@pytest.mark.parametrize(
    "name",
    [
        *("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "yuv440p", "yuv411p", "yuv410p"),
        *("nv12", "yuyv422"),
        *(f"yuv420p{bits}le" for bits in (9, 10, 12, 14, 16)),
        *("yuv422p10le", "yuv422p14le", "yuv444p12le", "yuv444p16le"),
        *("yuv440p10le", "yuv422p10be"),
        *("yuva420p", "yuva422p16le", "gbrp10le", "gbrap12le"),
        *("bgr0", "bgra", "rgb24", "gbrp", "rgb48be", "rgba64le"),
    ],
)
def test_a_lossless_encoder_holds_every_format(
    segmenter: Segmenter, tmp_path: Path, name: str
) -> None:
    make = SEE_THROUGH if "a" in name.replace("gray", "") else PICTURE
    ffmpeg(*make, "-pix_fmt", name, "-c:v", "rawvideo", "-strict", "-2", src := tmp_path / "in.nut")
    stats = segmenter.video(
        src, out := tmp_path / "out.mkv", draw=UNDRAWN, encoder=EncoderOptions(codec="ffv1")
    )
    assert stats.warnings == ()
    name = "bgr24" if name == "bgr0" else name  # whose fourth byte means nothing
    assert np.array_equal(samples(src, name), samples(out, name))


@needs_judge
@pytest.mark.parametrize(
    ("name", "codec", "suffix", "becomes", "says"),
    [
        ("yuv420p12le", "libx264", ".mp4", "yuv420p10le", "12 bits a sample become 10"),
        ("yuv422p12le", "libx264", ".mkv", "yuv422p10le", "12 bits a sample become 10"),
        ("yuv444p16le", "libx265", ".mp4", "yuv444p12le", "16 bits a sample become 12"),
        ("yuv422p10le", "libsvtav1", ".mp4", "yuv420p10le", "chroma 4:2:2 becomes 4:2:0"),
        ("yuv444p12le", "mpeg4", ".mp4", "yuv420p", "become 8 and chroma 4:4:4 becomes 4:2:0"),
        ("yuv411p", "libx264", ".mkv", "yuv422p", ""),
        ("yuv440p", "libx264", ".mkv", "yuv444p", ""),
        ("gray", "libx264", ".mp4", "yuv420p", ""),
        ("gray12le", "ffv1", ".mkv", "yuv420p12le", ""),
        ("gray10le", "libx264", ".mp4", "yuv420p10le", ""),
        ("bgr24", "libx264", ".mp4", "yuv420p", "RGB becomes YUV 4:2:0"),
        ("bgr24", "libx264rgb", ".mkv", "gbrp", ""),
        ("gbrp10le", "libx265", ".mkv", "yuv420p10le", "RGB becomes YUV 4:2:0"),
        ("bgra", "libvpx-vp9", ".webm", "yuv420p", "RGB becomes YUV 4:2:0"),
        ("bgra", "libx264", ".mp4", "yuv420p", "transparency, if there is any, is left out"),
        ("yuva420p", "libx264", ".mp4", "yuv420p", "transparency is left out"),
        ("yuva420p", "libvpx-vp9", ".mp4", "yuv420p", "transparency is left out"),
        ("yuva444p10le", "prores_ks", ".mov", "yuva444p12le", ""),
        ("yuv422p10be", "libx264", ".mp4", "yuv422p10le", ""),
    ],
)
def test_the_nearest_format_is_taken_and_losses_are_said(
    segmenter: Segmenter,
    tmp_path: Path,
    name: str,
    codec: str,
    suffix: str,
    becomes: str,
    says: str,
) -> None:
    ffmpeg(
        *PICTURE, "-pix_fmt", name, "-c:v", "rawvideo", "-strict", "-2", src := tmp_path / "in.nut"
    )
    out = tmp_path / f"out{suffix}"
    stats = segmenter.video(src, out, encoder=EncoderOptions(codec=codec), draw=UNDRAWN)
    assert streams(out, "video")[0]["pix_fmt"] == becomes
    assert len(stats.warnings) == bool(says), stats.warnings
    assert all(says in text for text in stats.warnings)
    # And the colours are right: RGB and its tags above all.
    apart = samples(src, "rgb24").astype(int) - samples(out, "rgb24")
    assert np.abs(apart).mean() < 12


def transparency(path: Path) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    alone = ("-vf", "alphaextract", "-pix_fmt", "gray", "-f", "rawvideo", "-")
    return np.frombuffer(ffmpeg("-i", path, *alone), np.uint8)


@needs_judge
def test_transparency_comes_along(segmenter: Segmenter, tmp_path: Path) -> None:
    src, out = tmp_path / "in.mov", tmp_path / "out.mov"
    ffmpeg(*SEE_THROUGH, "-c:v", "prores_ks", "-pix_fmt", "yuva444p10le", src)
    segmenter.video(src, out, encoder=EncoderOptions(codec="prores"))
    before = transparency(src)
    assert before.max() - before.min() > 150
    assert np.abs(before.astype(int) - transparency(out)).max() <= 1


def raw(name: str, folder: Path, *what: str | Path) -> Path:
    """A clip in a pixel format."""
    path = folder / f"{name}.nut"
    ffmpeg(*(what or PICTURE), "-pix_fmt", name, "-c:v", "rawvideo", "-strict", "-2", path)
    return path


@needs_judge
def test_classes_are_drawn_on_deep_and_rgb_planes(segmenter: Segmenter, tmp_path: Path) -> None:
    draw, encoder = DrawOptions(mode="mask", legend=True), EncoderOptions(codec="ffv1")
    scene = Clip(frames=1, codec="ffv1", pixel_format="yuv444p", options=(), width=384, height=256)
    drawn = scene.write(tmp_path / "scene.mkv")
    seen = []
    for name in ("yuv444p", "yuv444p16le", "gbrp", "bgra", "yuv444p9le", "gbrp12le"):
        out = tmp_path / f"{name}.mkv"
        segmenter.video(raw(name, tmp_path, "-i", drawn), out, encoder=encoder, draw=draw)
        seen.append(samples(out, "rgb24").astype(int))
    for other in seen[1:]:
        assert np.abs(other - seen[0]).mean() < 2


@needs_judge
def test_an_odd_size_that_is_cut_is_said(segmenter: Segmenter, tmp_path: Path) -> None:
    src = tmp_path / "in.mkv"
    ffmpeg(*PICTURE, "-vf", "scale=97:65", "-pix_fmt", "yuv444p", "-c:v", "ffv1", src)
    whole = EncoderOptions(codec="ffv1")
    assert segmenter.video(src, tmp_path / "whole.mkv", encoder=whole).warnings == ()
    cut = EncoderOptions(codec="libx265", pixel_format="yuv420p")
    stats = segmenter.video(src, tmp_path / "cut.mkv", encoder=cut)
    assert "an odd row or column is cut, 96x64 is left" in stats.warnings[0]


def test_which_is_nearest() -> None:
    assert nearest("yuv420p", ["yuv444p", "yuv422p", "yuv420p10le", "nv12"]) == "nv12"
    assert nearest("yuv422p10le", ["yuv420p", "yuv420p10le", "yuv444p10le"]) == "yuv444p10le"
    assert nearest("p010le", ["gbrp10le", "yuv420p", "yuv420p10le"]) == "yuv420p10le"
    assert nearest("yuv420p10le", ["nv12", "p010le", "p016le"]) == "p010le"
    assert nearest("pal8", ["rgb8", "pal8"]) == "pal8"
    assert nearest("yuv420p", ["gray"]) is None
    assert losses("gray", "yuv420p") == []
    assert losses("yuva444p12le", "yuv420p") == [
        "12 bits a sample become 8",
        "chroma 4:4:4 becomes 4:2:0",
        "transparency is left out",
    ]
