"""What kinds of file come out, with which encoder, and what is refused in words."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from streamseg import EncoderOptions, Segmenter
from streamseg.errors import UsageError
from streamseg.video.codecs import find_encoder, quality_options
from streamseg.video.encoder import encoder_format
from streamseg.video.formats import MP4
from streamseg.video.pixelformats import traits
from tests.streamseg.clips import Clip
from tests.streamseg.conftest import Cli
from tests.streamseg.judge import needs_judge, probe, shown_pictures, streams

pytestmark = needs_judge


@pytest.fixture(scope="module")
def segmenter(toy_model: Path) -> Segmenter:
    return Segmenter(toy_model, threads=1)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Clip(frames=6, audio=("aac",)).write(tmp_path_factory.mktemp("files") / "in.mp4")


@dataclass(frozen=True, slots=True, kw_only=True)
class Out:
    """An output, and what ffprobe must say of its picture."""

    name: str
    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    is_: dict[str, Any]
    says: str = ""


OUTS = [
    Out(name="a.mp4", is_={"codec_name": "h264", "codec_tag_string": "avc1"}),
    Out(name="a.m4v", is_={"codec_name": "h264"}),
    Out(name="a.webm", is_={"codec_name": "vp9"}, says="is encoded as libopus"),
    Out(name="a.avi", is_={"codec_name": "mpeg4"}),
    Out(name="a.ts", is_={"codec_name": "h264"}),
    Out(name="a.m2ts", is_={"codec_name": "h264"}),
    Out(name="a.nut", is_={"codec_name": "h264"}),
    Out(name="a.gif", is_={"codec_name": "gif"}, says="left out: sound 1"),
    *(
        Out(name=name, encoder=EncoderOptions(codec=codec), is_={**is_, "codec_tag_string": "hvc1"})
        for name, codec in (("a.mp4", "hevc"), ("a.mov", "h265"), ("a.m4v", "libx265"))
        for is_ in ({"codec_name": "hevc", "profile": "Main"},)
    ),
    *(
        Out(name=name, encoder=EncoderOptions(codec=codec), is_=is_)
        for name, codec, is_ in (
            ("a.mkv", "h264", {"codec_name": "h264", "profile": "High"}),
            ("a.mp4", "av1", {"codec_name": "av1"}),
            ("a.mov", "prores", {"codec_name": "prores", "pix_fmt": "yuv422p10le"}),
            ("a.avi", "mjpeg", {"codec_name": "mjpeg", "pix_fmt": "yuvj420p"}),
            ("a.mkv", "mpeg2video", {"codec_name": "mpeg2video"}),
            ("a.mov", "png", {"codec_name": "png", "pix_fmt": "rgb24"}),
            ("a.mkv", "libx264rgb", {"pix_fmt": "gbrp"}),
        )
    ),
    Out(
        name="a.mp4",
        encoder=EncoderOptions(pixel_format="yuv444p"),
        is_={"profile": "High 4:4:4 Predictive"},
    ),
]


@pytest.mark.parametrize("out", OUTS, ids=lambda out: f"{out.name}-{out.encoder.codec}")
def test_every_kind_of_file_has_all_frames(
    segmenter: Segmenter, plain: Path, tmp_path: Path, out: Out
) -> None:
    stats = segmenter.video(plain, tmp_path / out.name, encoder=out.encoder)
    (picture,) = streams(tmp_path / out.name, "video")
    assert {key: picture.get(key) for key in out.is_} == out.is_
    shown = shown_pictures(tmp_path / out.name, 6)
    assert len(shown) == stats.frames == 6
    said = [*stats.warnings, *stats.notes]
    assert len(said) == bool(out.says)
    assert all(out.says in text for text in said)
    assert out.name == "a.gif" or len(streams(tmp_path / out.name, "audio")) == 1
    segmenter.video(plain, tmp_path / "exact.mkv", encoder=EncoderOptions(codec="ffv1"))
    exact = shown_pictures(tmp_path / "exact.mkv", 6)
    assert np.abs(shown.astype(int) - exact).mean() < 5


@pytest.mark.parametrize("name", ["a.mp4", "a.mov"])
def test_the_index_lies_in_front_of_the_pictures(
    segmenter: Segmenter, plain: Path, tmp_path: Path, name: str
) -> None:
    segmenter.video(plain, tmp_path / name)
    data = (tmp_path / name).read_bytes()
    assert 0 < data.index(b"moov") < data.index(b"mdat")


def test_times_that_vary_go_to_the_grid_of_files_that_count_frames(
    segmenter: Segmenter, tmp_path: Path
) -> None:
    pts = [0, 2, 3, 7, 8, 20]
    src = Clip(frames=6, pts=pts, time_base=Fraction(1, 25)).write(tmp_path / "in.mkv")
    stats = segmenter.video(src, tmp_path / "out.gif")
    packets = probe(tmp_path / "out.gif", "-show_packets")["packets"]
    assert [float(p["pts_time"]) for p in packets] == [n / 25 for n in pts]
    stats = segmenter.video(src, tmp_path / "out.mkv", encoder=EncoderOptions(codec="mpeg2video"))
    assert stats.frames == len(shown_pictures(tmp_path / "out.mkv", 9)) == 6


def test_frames_that_had_to_be_moved_are_counted(segmenter: Segmenter, tmp_path: Path) -> None:
    src = Clip(frames=4, pts=[0, 13, 40, 77], time_base=Fraction(1, 1000)).write(
        tmp_path / "in.mkv"
    )
    stats = segmenter.video(src, tmp_path / "out.gif")
    assert "2 frames were moved, by 3 ms at most" in stats.warnings[0]


def test_compatible_means_8_bits_420_high(segmenter: Segmenter, tmp_path: Path) -> None:
    src = Clip(frames=2, pixel_format="yuv422p10le").write(tmp_path / "in.mkv")
    segmenter.video(src, tmp_path / "deep.mp4")
    segmenter.video(src, tmp_path / "out.mp4", encoder=EncoderOptions(compatible=True))
    assert streams(tmp_path / "deep.mp4")[0]["pix_fmt"] == "yuv422p10le"
    picture = streams(tmp_path / "out.mp4")[0]
    assert (picture["pix_fmt"], picture["profile"]) == ("yuv420p", "High")


def test_more_than_8_bits_in_webm_are_av1(segmenter: Segmenter, tmp_path: Path) -> None:
    src = Clip(frames=2, pixel_format="yuv420p10le").write(tmp_path / "in.mkv")
    segmenter.video(src, tmp_path / "out.webm")
    picture = streams(tmp_path / "out.webm")[0]
    assert (picture["codec_name"], picture["pix_fmt"]) == ("av1", "yuv420p10le")


def test_crf_acts_on_old_encoders_too(segmenter: Segmenter, plain: Path, tmp_path: Path) -> None:
    for codec, name in (
        ("mpeg4", "mp4"),
        ("mjpeg", "avi"),
        ("libvpx", "webm"),
        ("mpeg2video", "ts"),
    ):
        sizes = []
        for crf in (4, 40):
            out = tmp_path / f"{codec}{crf}.{name}"
            segmenter.video(plain, out, encoder=EncoderOptions(codec=codec, crf=crf))
            sizes.append(out.stat().st_size)
        assert sizes[0] > sizes[1]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.mkv", {"codec": "ffv1", "crf": 3}, "--crf 3: ffv1 is lossless and takes none"),
        ("a.mov", {"codec": "prores", "crf": 3}, "comes from its profile"),
        ("a.mp4", {"crf": 60}, r"libx264 takes 0\.\.51"),
        ("a.mp4", {"preset": "turbo"}, "take one of ultrafast"),
        ("a.mp4", {"codec": "av1", "preset": "veryfast"}, r"take -1\.\.13"),
        ("a.webm", {"preset": "veryfast"}, "libvpx-vp9 has no --preset"),
        ("a.ts", {"codec": "av1"}, "cannot be found again in a MPEG-TS file"),
        ("a.webm", {"codec": "h264"}, "cannot be stored in a webm file"),
        ("a.mp4", {"pixel_format": "pal8"}, "--pix-fmt pal8: libx264 takes yuv420p"),
        ("a.mkv", {"codec": "rawvideo", "pixel_format": "foo"}, "no pixel format of that name"),
        ("a.mp4", {"codec": "aac"}, "is no video encoder"),
        ("a.mp4", {"codec": "nonsense"}, "'streamseg codecs' lists"),
    ],
)
def test_what_an_encoder_lacks_is_refused(
    segmenter: Segmenter,
    plain: Path,
    tmp_path: Path,
    name: str,
    options: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(UsageError, match=message):
        segmenter.video(plain, tmp_path / name, encoder=EncoderOptions(**options))
    assert not list(tmp_path.iterdir())


def test_hardware_encoders_get_a_quality_instead_of_two_megabits() -> None:
    options = quality_options("h264_nvenc", None, None, size=(1920, 1080), rate=Fraction(25))
    assert options == {"rc": "vbr", "b": "0", "cq": "23"}
    options = quality_options("h264_v4l2m2m", None, None, size=(1920, 1080), rate=Fraction(25))
    assert int(options["b"]) > 5_000_000


@pytest.mark.parametrize(
    ("codec", "wanted", "taken"),
    [
        ("h264_nvenc", "yuv420p", "yuv420p"),
        ("hevc_nvenc", "yuv420p10le", "p010le"),
        ("h264_qsv", "yuv422p10le", "nv12"),
        ("av1_amf", "bgra", "yuv420p"),
    ],
)
def test_hardware_encoders_get_samples_that_they_take(codec: str, wanted: str, taken: str) -> None:
    try:
        options = EncoderOptions(codec=find_encoder(codec).name)
    except UsageError:
        pytest.skip(f"this FFmpeg has no {codec}")
    found = encoder_format(options, wanted, MP4)
    assert traits(found).bits == traits(taken).bits
    assert traits(found).chroma == "4:2:0"
    assert not traits(found).rgb


def test_codecs_lists_what_starts_here(cli: Cli) -> None:
    encoders = {e["name"]: e for e in json.loads(cli("codecs", "--json", "-").stdout)["encoders"]}
    assert encoders["libx264"]["works"]
    assert encoders["libx264"]["hardware"] is None
    assert {".mp4", ".mkv"} <= set(encoders["libx264"]["files"])
    all_of_them = json.loads(cli("codecs", "--all", "--json", "-").stdout)["encoders"]
    assert all(e["works"] == (e["why_not"] is None) for e in all_of_them)
    assert {e["name"] for e in all_of_them if e["hardware"] == "nvenc"} >= {"h264_nvenc"}
    assert "libx264 " in cli("codecs").stdout
