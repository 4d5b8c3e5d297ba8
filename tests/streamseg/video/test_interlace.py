"""Interlaced video stays interlaced and marked, is made whole if asked, or is spoken of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from streamseg import DrawOptions, EncoderOptions, Segmenter
from streamseg.video.opening import InputOptions
from tests.streamseg.judge import ffmpeg, needs_judge, probe, shown_pictures, streams

pytestmark = needs_judge

FIELDS = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=50:d=0.4")
TOP = ("-vf", "tinterlace=interleave_top,setfield=tff", "-flags", "+ildct+ilme")
BOTTOM = ("-vf", "tinterlace=interleave_bottom,setfield=bff", "-flags", "+ildct+ilme")
UNDRAWN = DrawOptions(alpha=0)


@pytest.fixture(scope="module")
def segmenter(toy_model: Path) -> Segmenter:
    return Segmenter(toy_model, threads=1)


def fields(path: Path) -> set[tuple[int, int]]:
    """What frames say: whether they are interlaced, and whether the top field is first."""
    only = ("-select_streams", "v:0", "-show_frames", "-show_entries")
    frames = probe(path, *only, "frame=interlaced_frame,top_field_first")["frames"]
    return {(f["interlaced_frame"], f["top_field_first"]) for f in frames}


@pytest.mark.parametrize(("make", "top"), [(TOP, 1), (BOTTOM, 0)], ids=["tff", "bff"])
@pytest.mark.parametrize(
    ("source", "codec", "output"),
    [
        (("in.mp4", "libx264"), "auto", "out.mp4"),
        (("in.ts", "mpeg2video"), "auto", "out.mkv"),
        (("in.mpg", "mpeg2video"), "mpeg2video", "out.ts"),
        (("in.mkv", "ffv1"), "mpeg4", "out.avi"),
        (("in.ts", "mpeg2video"), "ffv1", "out.mkv"),
        (("in.mp4", "libx264"), "prores", "out.mov"),
    ],
)
def test_fields_are_kept_and_marked(
    segmenter: Segmenter,
    tmp_path: Path,
    make: tuple[str, ...],
    top: int,
    source: tuple[str, str],
    codec: str,
    output: str,
) -> None:
    src, out = tmp_path / source[0], tmp_path / output
    first = ("-x264opts", "tff=1" if top else "bff=1") if source[1] == "libx264" else ()
    first = ("-top", str(top), *first)
    ffmpeg(*FIELDS, *make, *first, "-c:v", source[1], "-pix_fmt", "yuv420p", src)
    assert fields(src) == {(1, top)}
    stats = segmenter.video(src, out, encoder=EncoderOptions(codec=codec), draw=UNDRAWN)
    assert fields(out) == {(1, top)}
    assert stats.warnings == ()
    if output.endswith((".mkv", ".mov")):
        assert streams(out, "video")[0]["field_order"] == ("tt" if top else "bb")


@pytest.mark.parametrize(("codec", "name"), [("libx265", "out.mp4"), ("auto", "out.webm")])
def test_an_encoder_without_fields_is_spoken_of(
    segmenter: Segmenter, tmp_path: Path, codec: str, name: str
) -> None:
    ffmpeg(*FIELDS, *TOP, "-c:v", "libx264", src := tmp_path / "in.mp4")
    stats = segmenter.video(src, tmp_path / name, encoder=EncoderOptions(codec=codec))
    assert "is interlaced, and lib" in stats.warnings[0]
    assert "--deinterlace makes frames whole" in stats.warnings[0]


def test_whole_frames_are_made_of_fields(segmenter: Segmenter, tmp_path: Path) -> None:
    moving = "color=white:s=96x64:r=50:d=0.4,drawbox=x=20:w=20:h=64:color=black:t=fill:enable=1"
    moving += ",scroll=h=0.04"
    src, out = tmp_path / "in.mkv", tmp_path / "out.mkv"
    ffmpeg("-f", "lavfi", "-i", moving, *TOP, "-c:v", "ffv1", "-pix_fmt", "yuv420p", src)
    encoder, read = EncoderOptions(codec="ffv1"), InputOptions(deinterlace=True)
    stats = segmenter.video(src, out, encoder=encoder, read=read, draw=UNDRAWN)
    assert fields(out) == {(0, 0)}
    assert stats.warnings == ()
    before, after = (shown_pictures(p, 9)[3:8].astype(int) for p in (src, out))
    assert len(before) == len(after)
    comb = [np.abs(np.diff(p[:, :, :, 1], axis=1)).mean() for p in (before, after)]
    assert comb[1] < comb[0] / 4
    times = [
        [f["pts_time"] for f in probe(p, "-show_frames", "-select_streams", "v")["frames"]]
        for p in (src, out)
    ]
    assert times[0] == times[1]


def test_whole_frames_stay_as_they_are(segmenter: Segmenter, tmp_path: Path) -> None:
    src, out = tmp_path / "in.mkv", tmp_path / "out.mkv"
    ffmpeg(*FIELDS, "-c:v", "ffv1", "-pix_fmt", "yuv420p", src)
    encoder, read = EncoderOptions(codec="ffv1"), InputOptions(deinterlace=True)
    segmenter.video(src, out, encoder=encoder, read=read, draw=UNDRAWN)
    assert np.array_equal(shown_pictures(src, 30), shown_pictures(out, 30))


def test_frames_that_turn_interlaced_are_counted(segmenter: Segmenter, tmp_path: Path) -> None:
    parts = [tmp_path / "one.ts", tmp_path / "two.ts"]
    ffmpeg(*FIELDS, "-r", "25", "-c:v", "mpeg2video", parts[0])
    ffmpeg(*FIELDS, *TOP, "-output_ts_offset", "0.4", "-c:v", "mpeg2video", parts[1])
    src = tmp_path / "in.ts"
    src.write_bytes(b"".join(part.read_bytes() for part in parts))
    stats = segmenter.video(src, tmp_path / "out.mp4")
    assert any("10 of its frames are interlaced, and the first is not" in w for w in stats.warnings)
