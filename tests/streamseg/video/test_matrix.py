"""Kinds of clips as people have them: nothing is lost, nothing is wrong, nothing is silent.

Each row makes its clip with the system's ffmpeg and says what must hold of the output, which that
ffmpeg's prober reads again. What holds of all: every frame is there, at its time, and nothing is
said but what the row expects.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from streamseg import EncoderOptions, Segmenter
from tests.streamseg.judge import Probe, ffmpeg, needs_judge, probe, streams

pytestmark = needs_judge

SECOND = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=1")
TONE = ("-f", "lavfi", "-i", "sine=d=1")
H264 = ("-c:v", "libx264", "-g", "12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A kind of clip, and what must hold of its output."""

    name: str
    """Of the file, from which ffmpeg takes its kind."""
    make: tuple[str, ...] = (*SECOND, *H264)
    """What ffmpeg is told to make it."""
    then: tuple[str, ...] = ()
    """What it is told to make the second half, which is put behind the first."""
    outs: tuple[str, ...] = (".mp4", ".mkv")
    encoder: EncoderOptions = field(default_factory=EncoderOptions)
    same: tuple[str, ...] = ()
    """What ffprobe must say of the picture as it does of the source's."""
    becomes: dict[str, Any] = field(default_factory=dict)
    """What ffprobe must say of the picture."""
    times: float = 0.001
    """How exact times are, seconds; Matroska's unit is a millisecond."""
    starts_by: float = 0.1
    """The first frame is shown no later than this, seconds."""
    lasts: float | None = None
    """Of the whole, seconds."""
    says: str = ""
    """Pattern of all that is said; nothing else may be."""


ROWS = {
    "broadcast": Row(
        name="in.ts",
        make=(*SECOND, *TONE, *H264, "-c:a", "aac", "-output_ts_offset", "40000"),
        outs=(".mp4", ".mov", ".mkv"),
        says=r"its clock begins at 40001\.\d+ s; all streams were moved alike",
    ),
    "clock that wraps": Row(
        name="in.ts", make=(*SECOND, *TONE, *H264, "-c:a", "aac", "-output_ts_offset", "95443")
    ),
    "program stream": Row(name="in.mpg", make=(*SECOND, *TONE)),
    "HLS": Row(name="in.m3u8", make=(*SECOND, *H264, "-hls_time", "0.4"), says="its clock begins"),
    "late Matroska": Row(
        name="in.mkv",
        make=(*SECOND, *TONE, *H264, "-output_ts_offset", "5"),
        outs=(".mp4",),
        says="its clock begins at 4.9",
    ),
    "late Matroska stays late": Row(
        name="in.mkv",
        make=(*SECOND, *TONE, *H264, "-output_ts_offset", "5"),
        outs=(".mkv",),
        starts_by=5.1,
    ),
    "variable rate": Row(
        name="in.mp4",
        make=(*SECOND, "-vf", "select='not(mod(n,7))+eq(n,3)'", "-fps_mode", "vfr", *H264),
    ),
    "AVI with dropped frames": Row(
        name="in.avi",
        make=(
            *("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=5"),
            *("-vf", "select='mod(n,33)'", "-fps_mode", "vfr", "-c:v", "mpeg4"),
        ),
    ),
    "AVI that reorders": Row(
        name="in.avi", make=(*SECOND, "-c:v", "libx264", "-bf", "2", "-g", "12")
    ),
    "size that changes": Row(
        name="in.ts",
        make=(*SECOND, *H264),
        then=("-f", "lavfi", "-i", "testsrc2=s=64x64:r=25:d=1", *H264, "-output_ts_offset", "1.2"),
        becomes={"width": 96, "height": 64},
        says="changes size or shape once; 25 frames of 64x64 were fitted|clock begins|damaged",
    ),
    "shape that changes": Row(
        name="in.ts",
        make=(*SECOND, *H264),
        then=(*SECOND, "-vf", "setsar=2", *H264, "-output_ts_offset", "1.2"),
        becomes={"width": 96, "height": 64, "sample_aspect_ratio": "1:1"},
        says="25 frames of 96x64 with pixels 2:1 were fitted into 96x64|clock begins|damaged",
    ),
    "slide show": Row(
        name="in.mp4",
        make=("-f", "lavfi", "-i", "testsrc2=s=96x64:r=1/2:d=6", *H264),
        outs=(".mp4", ".mov", ".mkv"),
        lasts=6,
    ),
    "raw DV": Row(
        name="in.dv",
        make=("-f", "lavfi", "-i", "testsrc2=s=720x480:r=30000/1001:d=0.2", "-pix_fmt", "yuv411p"),
        becomes={"avg_frame_rate": "30000/1001"},
    ),
}


def shown(path: Path) -> list[Fraction]:
    """When frames are shown, as ffprobe sees it."""
    unit = Fraction(picture(path)["time_base"])
    only = ("-select_streams", "v:0", "-show_entries")
    if path.suffix == ".avi":  # which says when frames are decoded, one after the other
        packets = probe(path, "-show_packets", *only, "packet=dts")["packets"]
        return sorted(packet["dts"] * unit for packet in packets)
    frames = probe(path, "-show_frames", *only, "frame=pts,pkt_dts")["frames"]
    return [frame.get("pts", frame.get("pkt_dts")) * unit for frame in frames]


def sound_start(path: Path) -> Fraction:
    """When sound begins, seconds; at once if there is none."""
    sounds = streams(path, "audio")
    return Fraction(sounds[0]["start_time"]) if sounds else shown(path)[0]


def picture(path: Path) -> Probe:
    return streams(path, "video")[0]


@pytest.fixture(scope="module")
def segmenter(toy_model: Path) -> Segmenter:
    return Segmenter(toy_model, threads=1)


@pytest.mark.parametrize(
    ("kind", "suffix"), [(kind, suffix) for kind, row in ROWS.items() for suffix in row.outs]
)
def test_a_clip_of_every_kind_arrives(
    segmenter: Segmenter, tmp_path: Path, kind: str, suffix: str
) -> None:
    row = ROWS[kind]
    src, dst = tmp_path / row.name, tmp_path / f"out{suffix}"
    ffmpeg(*row.make, src)
    if row.then:
        ffmpeg(*row.then, second := tmp_path / f"second{src.suffix}")
        src.write_bytes(src.read_bytes() + second.read_bytes())
    stats = segmenter.video(src, dst, encoder=row.encoder)
    before, after = shown(src), shown(dst)
    assert len(before) == len(after) == stats.frames
    assert after[0] <= row.starts_by
    moved = after[0] - before[0]
    assert all(abs(b + moved - a) <= row.times for b, a in zip(before, after, strict=True))
    assert abs(sound_start(src) + moved - sound_start(dst)) <= row.times
    if row.lasts is not None:
        assert float(probe(dst)["format"]["duration"]) == pytest.approx(row.lasts, abs=0.002)
    said = [*stats.warnings, *stats.notes]
    assert all(row.says and re.search(row.says, text) for text in said), said
    assert bool(said) == bool(row.says)
    source, output = picture(src), picture(dst)
    assert {key: output.get(key) for key in row.same} == {key: source.get(key) for key in row.same}
    assert {key: output.get(key) for key in row.becomes} == row.becomes
