"""Damaged, cut and foreign files: what is there is segmented, what is lost is told."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path

import pytest

from streamseg import Stats, segment_video
from streamseg.errors import SourceError, UsageError
from streamseg.video.file import FileSource
from tests.streamseg.clips import Clip, noise, read_times, write_sound

LONG = Clip(frames=60, audio=("aac",), options=(("g", "12"), ("crf", "10")))


def segment(src: Path, model: Path) -> tuple[Stats, list[Fraction]]:
    dst = src.with_name("out.mkv" if src.suffix == ".mkv" else "out.mp4")
    stats = segment_video(src, dst, model=model, threads=1, overwrite=True)
    shown = read_times(dst)
    assert len(shown) == stats.frames
    return stats, shown


def cut(path: Path, share: float) -> Path:
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    return path


@pytest.mark.parametrize("share", [0.5, 0.8])
@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv"])
def test_a_cut_file_gives_what_is_there_and_says_what_is_lost(
    toy_model: Path, tmp_path: Path, name: str, share: float
) -> None:
    clip = Clip(
        frames=60,
        audio=("aac",),
        options=LONG.options,
        container_options=(("movflags", "faststart"),) if name.endswith("mp4") else (),
    )
    src = cut(clip.write(tmp_path / name), share)
    stats, shown = segment(src, toy_model)
    assert 10 < stats.frames < 60
    assert shown == sorted(set(shown) & {Fraction(i, 25) for i in range(60)})
    (warning,) = [w for w in stats.warnings if "the file ends early" in w]
    assert str(src) in warning
    lost = int(warning.split("(about ")[1].split(" lost")[0])
    assert abs(lost - (60 - stats.frames)) <= 2


def test_a_cut_transport_stream_gives_what_is_there(toy_model: Path, tmp_path: Path) -> None:
    clip = Clip(frames=60, audio=("mp2",), format="mpegts", options=LONG.options)
    stats, _ = segment(cut(clip.write(tmp_path / "cut.ts"), 0.6), toy_model)
    assert 10 < stats.frames < 60


@pytest.mark.parametrize("suffix", ["ts", "mp4"])
def test_damage_in_the_middle_costs_frames_and_not_the_file(
    toy_model: Path, tmp_path: Path, suffix: str
) -> None:
    clip = Clip(frames=60, draw=noise, options=LONG.options, format={"ts": "mpegts"}.get(suffix))
    src = clip.write(tmp_path / f"hurt.{suffix}")
    data = bytearray(src.read_bytes())
    middle = len(data) // 2
    for offset in range(middle, middle + 3000, 7):
        data[offset] ^= 0xFF
    src.write_bytes(data)
    stats, shown = segment(src, toy_model)
    assert 30 <= stats.frames <= 60
    assert shown == sorted(set(shown))
    assert shown[-1] >= 2, "what comes after the damage is there"
    assert any(str(src) in w and "damaged" in w for w in stats.warnings)


def moov_last(path: Path) -> Path:
    """Cut an MP4 before its index, as a recording that was killed."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        size, kind = struct.unpack(">I4s", data[at : at + 8])
        if kind == b"moov":
            break
        at += size
    path.write_bytes(data[:at])
    return path


def unreadable(kind: str, folder: Path) -> Path:
    path = folder / {"sound only": "bad.m4a", "no index": "bad.mp4"}.get(kind, "bad.mkv")
    match kind:
        case "text":
            path.write_text("not a video\n" * 50)
        case "empty":
            path.touch()
        case "zeros":
            path.write_bytes(bytes(100_000))
        case "sound only":
            write_sound(path)
        case "no index":
            moov_last(Clip().write(path))
        case "no frame":
            data = Clip().write(path).read_bytes()
            path.write_bytes(data[: data.index(b"\x1f\x43\xb6\x75") + 40])  # a cluster's head
    return path


@pytest.mark.parametrize("kind", ["text", "empty", "zeros", "sound only", "no index", "no frame"])
def test_what_is_no_video_is_refused_in_one_sentence(
    toy_model: Path, tmp_path: Path, kind: str
) -> None:
    path = unreadable(kind, tmp_path)
    with pytest.raises(SourceError) as caught:
        segment_video(path, tmp_path / "out.mp4", model=toy_model)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    expected = {
        "empty": "the file is empty",
        "sound only": r"no video stream (only audio (aac))",
        "no frame": "not one frame could be decoded",
    }
    assert (
        expected.get(kind, "not a video that FFmpeg can read, or its index is cut off") in message
    )
    assert list(tmp_path.iterdir()) == [path]


def test_missing_files_and_folders_are_the_callers_mistake(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.mp4: no such file"):
        FileSource(tmp_path / "gone.mp4")
    with pytest.raises(UsageError, match="is a folder; give a video file"):
        FileSource(tmp_path)


def test_a_header_without_length_promises_nothing(toy_model: Path, tmp_path: Path) -> None:
    """A recording that was killed has no duration in its header: nothing is known to be lost."""
    src = tmp_path / "live.mkv"
    Clip(frames=60, options=LONG.options, container_options=(("live", "1"),)).write(src)
    stats, _ = segment(cut(src, 0.6), toy_model)
    assert 10 < stats.frames < 60
    assert stats.frames_expected is None
    assert stats.warnings == ()
