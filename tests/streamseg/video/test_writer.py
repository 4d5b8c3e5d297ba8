"""The output appears complete or not at all, and what was there stays until then."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from streamseg import segment_video
from streamseg.errors import OutputError, UsageError
from streamseg.video.encoder import EncoderOptions, encoder_format
from streamseg.video.file import FileSource
from streamseg.video.formats import MP4
from streamseg.video.output import OutputPath
from streamseg.video.writer import VideoWriter, with_decoding_times
from tests.streamseg.clips import Clip, audio_packets, noise, read_times
from tests.streamseg.conftest import REPOSITORY

is_root = hasattr(os, "geteuid") and os.geteuid() == 0


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("out.xyz", r"unknown kind of output; give a name that ends in \.mp4, \.m4v, \.mov, \.mkv"),
        ("out", "unknown kind of output"),
        ("gone/out.mp4", r"the folder .*gone does not exist; create it first"),
        ("folder.mp4", "is a folder; give a file name"),
        ("old.mp4", "already exists; use --overwrite or choose another name"),
    ],
)
def test_an_impossible_place_is_refused_before_any_work(
    clip: Path, toy_model: Path, tmp_path: Path, name: str, message: str
) -> None:
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "old.mp4").write_bytes(b"precious")
    with pytest.raises(UsageError, match=message):
        segment_video(clip, tmp_path / name, model=toy_model)
    assert (tmp_path / "old.mp4").read_bytes() == b"precious"
    assert names(tmp_path) == ["folder.mp4", "old.mp4"]


@pytest.mark.parametrize("how", ["same", "symlink", "hard link", "dots"])
def test_a_video_is_never_written_over_itself(toy_model: Path, tmp_path: Path, how: str) -> None:
    src = Clip(frames=2).write(tmp_path / "in.mp4")
    before, dst = src.read_bytes(), tmp_path / "link.mp4"
    match how:
        case "same":
            dst = src
        case "symlink":
            dst.symlink_to(src)
        case "hard link":
            dst.hardlink_to(src)
        case "dots":
            dst = tmp_path / ".." / tmp_path.name / "in.mp4"
    with pytest.raises(UsageError, match="input and output are the same file"):
        segment_video(src, dst, model=toy_model, overwrite=True)
    assert src.read_bytes() == before


def test_overwrite_keeps_the_old_file_until_the_new_one_is_complete(
    clip: Path, toy_model: Path, tmp_path: Path
) -> None:
    dst = tmp_path / "out.mp4"
    dst.write_bytes(b"old")
    seen: list[bytes] = []
    segment_video(
        clip,
        dst,
        model=toy_model,
        overwrite=True,
        on_progress=lambda _: seen.append(dst.read_bytes()),
    )
    assert set(seen) == {b"old"}
    assert len(read_times(dst)) == 12
    assert names(tmp_path) == ["out.mp4"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("o.mp4", {"codec": "nope"}, "unknown video encoder 'nope'; 'streamseg codecs' lists"),
        ("o.mp4", {"codec": "aac"}, "'aac' is no video encoder"),
        ("o.mov", {"codec": "rv10"}, "cannot be stored in a mov file"),
        ("o.mp4", {"codec": "prores_ks"}, "prores_ks cannot be stored in a mp4 file"),
        ("o.mov", {"codec": "libvpx-vp9"}, r"o\.mov: libvpx-vp9 cannot be stored in this kind"),
        (
            "o.mov",
            {"codec": "h263"},
            r"h263 refused to start .*, yuv420p, 96x64, times in units",
        ),
        (
            "o.mp4",
            {"preset": "warp"},
            "--preset warp: libx264 knows none of that name; take one of ultrafast, ",
        ),
        ("o.mp4", {"crf": 64}, r"--crf must be 0\.\.63, got 64"),
    ],
)
def test_an_encoder_that_cannot_be_is_refused(
    clip: Path, toy_model: Path, tmp_path: Path, name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        segment_video(clip, tmp_path / name, model=toy_model, **options)
    assert names(tmp_path) == []


def test_sound_whose_time_runs_backwards_does_not_cost_the_file(clip: Path, tmp_path: Path) -> None:
    output = OutputPath.check(tmp_path / "out.mkv", overwrite=False)
    with FileSource(clip) as source:
        items = list(source)
        packets = [packet for item in items for packet in item.packets] + source.leftover
        for packet in packets[5::5]:
            assert packet.dts is not None
            packet.dts = packet.pts = packet.dts - 5000
        writer = VideoWriter(
            output,
            source.info,
            size=(96, 64),
            pixel_format="yuv420p",
            options=EncoderOptions(),
        )
        with writer:
            for item in items:
                writer.write(item.frame)
            writer.finish(packets)
    bad = len(packets[5::5])
    assert len(audio_packets(output.final)) == len(packets) - bad
    assert len(read_times(output.final)) == 12
    (warning,) = writer.warnings
    assert f"{bad} packets of sound 1 (aac)" in warning


@pytest.mark.parametrize("frames", [1, 2])
def test_x265_writes_the_shortest_clips(toy_model: Path, tmp_path: Path, frames: int) -> None:
    src = Clip(frames=frames, audio=()).write(tmp_path / "in.mp4")
    # What x265 leaves uninitialised is zero more often than not.
    for attempt in range(6):
        dst = tmp_path / f"{attempt}.mp4"
        segment_video(src, dst, model=toy_model, codec="libx265")
        assert read_times(dst) == read_times(src)


def test_a_decoding_time_that_means_nothing_is_replaced() -> None:
    packet = av.Packet(b"frame")
    packet.pts, packet.dts = 512, -718087874347795726
    with_decoding_times([packet])
    assert packet.dts == 512


def test_a_file_that_appeared_meanwhile_is_not_replaced(
    clip: Path, toy_model: Path, tmp_path: Path
) -> None:
    dst = tmp_path / "out.mp4"

    def another_run(_: object) -> None:
        dst.write_bytes(b"another run's")

    with pytest.raises(
        OutputError, match=r"out\.mp4: appeared while .* left as it is; .* is "
    ) as e:
        segment_video(clip, dst, model=toy_model, on_progress=another_run)
    assert dst.read_bytes() == b"another run's"
    (kept,) = (path for path in tmp_path.iterdir() if path != dst)
    assert str(e.value).endswith(str(kept))
    assert len(read_times(kept)) == 12


def test_a_link_to_nothing_is_not_replaced_either(
    clip: Path, toy_model: Path, tmp_path: Path
) -> None:
    (tmp_path / "out.mp4").symlink_to(tmp_path / "gone")
    with pytest.raises(UsageError, match="already exists"):
        segment_video(clip, tmp_path / "out.mp4", model=toy_model)


@pytest.mark.parametrize("place", ["in", "out"])
def test_a_name_that_is_too_long_is_told(
    clip: Path, toy_model: Path, tmp_path: Path, place: str
) -> None:
    name = tmp_path / f"{'n' * 300}.mp4"
    paths = (name, tmp_path / "out.mp4") if place == "in" else (clip, name)
    with pytest.raises(UsageError, match=r"\.mp4: cannot be looked up \(File name too long\)"):
        segment_video(*paths, model=toy_model)


def test_the_longest_name_a_disk_takes_is_fine(clip: Path, toy_model: Path, tmp_path: Path) -> None:
    dst = tmp_path / f"{'ü' * 125}.mp4"
    segment_video(clip, dst, model=toy_model)
    assert names(tmp_path) == [dst.name]


@pytest.fixture
def read_only_disk(small_disk: Path) -> Path:
    """A file system that takes nothing."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    return small_disk


def test_a_read_only_disk_is_told_before_any_work(
    toy_model: Path, read_only_disk: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match=r"out\.mp4: the folder may not be written to"):
        segment_video(tmp_path / "not opened", read_only_disk / "out.mp4", model=toy_model)


def test_frames_are_encoded_in_their_own_format_where_possible() -> None:
    assert encoder_format(EncoderOptions(codec="libx264"), "yuv422p10le", MP4) == "yuv422p10le"
    assert encoder_format(EncoderOptions(codec="libsvtav1"), "yuv444p", MP4) == "yuv420p"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    try:
        mounted = (
            is_root and subprocess.run(mount, capture_output=True, check=False).returncode == 0
        )
    except FileNotFoundError:
        mounted = False
    if not mounted:
        pytest.skip("no right to mount a small disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_full_disk_is_told_and_leaves_nothing(
    toy_model: Path, tmp_path: Path, small_disk: Path, suffix: str
) -> None:
    src = Clip(frames=30, draw=noise).write(tmp_path / "in.mp4")
    with pytest.raises(OutputError, match=r"the disk is full .*free space"):
        segment_video(src, small_disk / f"out{suffix}", model=toy_model, crf=0, mode="side-by-side")
    assert names(small_disk) == []


LIMITED = """
import resource, signal, sys
from streamseg import segment_video
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[4]), int(sys.argv[4])))
try:
    segment_video(sys.argv[1], sys.argv[2], model=sys.argv[3], crf=0, overwrite=True)
except Exception as error:
    print(type(error).__name__, error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limits")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("limit", [0, 1000, 20_000])
def test_wherever_writing_stops_nothing_half_done_appears(
    toy_model: Path, tmp_path: Path, limit: int, suffix: str
) -> None:
    src = Clip(frames=30, draw=noise).write(tmp_path / "in.mp4")
    dst = tmp_path / f"out{suffix}"
    dst.write_bytes(b"old")
    result = subprocess.run(
        [sys.executable, "-c", LIMITED, str(src), str(dst), str(toy_model), str(limit)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
    )
    assert result.stdout.startswith(f"OutputError {dst}: the disk is full")
    assert dst.read_bytes() == b"old"
    assert names(tmp_path) == sorted(["in.mp4", dst.name])


@pytest.mark.skipif(is_root, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_told(
    clip: Path, toy_model: Path, tmp_path: Path
) -> None:
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match="the folder may not be written to"):
        segment_video(clip, tmp_path / "out.mp4", model=toy_model)


def test_the_unfinished_file_is_hidden_beside_the_final_one(tmp_path: Path) -> None:
    output = OutputPath.check(tmp_path / "out.mp4", overwrite=False)
    assert output.partial.parent == tmp_path
    assert output.partial.name.startswith(".out.mp4.")
    assert output.partial.suffix == ".part"


@pytest.mark.skipif(sys.platform == "win32", reason="links and modes of POSIX")
class TestWhatIsThere:
    """An output that replaces something replaces what it stands for, no more."""

    @pytest.mark.parametrize("there", [True, False])
    def test_a_links_target_is_replaced_not_the_link(
        self, clip: Path, toy_model: Path, tmp_path: Path, there: bool
    ) -> None:
        (tmp_path / "disk").mkdir()
        (tmp_path / "folder").mkdir()
        target, link = tmp_path / "disk" / "real.mp4", tmp_path / "folder" / "out.mp4"
        if there:
            target.write_bytes(b"old")
        link.symlink_to(Path("..") / "disk" / "real.mp4")
        stats = segment_video(clip, link, model=toy_model, overwrite=True)
        assert stats.output == str(link)
        assert link.is_symlink()
        assert len(read_times(target)) == 12
        assert names(tmp_path / "folder") == ["out.mp4"]
        assert names(tmp_path / "disk") == ["real.mp4"]

    @pytest.mark.parametrize("mode", [0o600, 0o664, 0o444])
    def test_its_mode_is_kept(self, clip: Path, toy_model: Path, tmp_path: Path, mode: int) -> None:
        out = tmp_path / "out.mp4"
        out.write_bytes(b"old")
        out.chmod(mode)
        segment_video(clip, out, model=toy_model, overwrite=True)
        assert out.stat().st_mode & 0o777 == mode
        assert len(read_times(out)) == 12

    def test_what_is_no_plain_file_is_left(self, tmp_path: Path) -> None:
        os.mkfifo(tmp_path / "pipe.mp4")
        (tmp_path / "null.mp4").symlink_to(os.devnull)
        (tmp_path / "lost.mp4").symlink_to(tmp_path / "gone" / "out.mp4")
        for name, message in (
            ("pipe.mp4", "is no plain file"),
            ("null.mp4", "is no plain file"),
            ("lost.mp4", "which does not exist"),
        ):
            with pytest.raises(UsageError, match=message):
                OutputPath.check(tmp_path / name, overwrite=True)
