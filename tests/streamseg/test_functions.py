"""A segmented file is the source: its times, sound, colours and orientation; only drawn on."""

from __future__ import annotations

import _thread
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from streamseg import Stats, label_frames, open_engine, segment_video
from streamseg.drawing.orientation import ALL, Orientation
from streamseg.errors import EngineError, UsageError
from streamseg.run.job import Job
from streamseg.run.stats import RunClock
from streamseg.runtime.building.request import Watcher
from streamseg.runtime.choosing.maker import Chosen
from streamseg.runtime.choosing.selection import Selector
from streamseg.video.encoder import EncoderOptions
from streamseg.video.orientation import display_matrix
from streamseg.video.output import OutputPath
from tests.streamseg.clips import (
    Clip,
    Picture,
    audio_packets,
    inner,
    matrix_of,
    paint,
    read_frames,
    read_times,
    rgb_of,
    scene,
    times,
    upright,
)
from tests.streamseg.fakes import COLOURS, FakeEngine, FakeSource

pytestmark = pytest.mark.usefixtures("no_thread_left")

Segment = Callable[..., Stats]
THREADS = tuple(f"streamseg-{stage}" for stage in ("engine", "composite", "encode+write"))
UNEVEN = (0, 7, 11, 12, 30, 55, 56, 80, 81, 100, 130, 131)
MILLISECONDS = Fraction(1, 1000)
NTSC = Fraction(24000, 1001)
LOSSLESS = {"crf": 1, "preset": "ultrafast"}
B_FRAMES = (("bf", "3"), ("g", "12"), ("b_strategy", "0"))


@pytest.fixture
def segment(toy_model: Path) -> Segment:
    def run(src: Path, dst: Path, **options: Any) -> Stats:
        return segment_video(src, dst, model=toy_model, **{"threads": 1, **options})

    return run


CLIPS = {
    "25.mp4": Clip(),
    "25.mkv": Clip(),
    "ntsc.mp4": Clip(rate=NTSC, options=B_FRAMES),
    "ntsc.mov": Clip(rate=NTSC, options=B_FRAMES),
    "uneven.mp4": Clip(pts=UNEVEN, time_base=Fraction(1, 90)),
    "uneven-ntsc.mp4": Clip(
        pts=[p * 1001 for p in UNEVEN], time_base=Fraction(1, 24000), options=B_FRAMES
    ),
    "uneven.mov": Clip(pts=UNEVEN, time_base=Fraction(1, 90), options=B_FRAMES),
    "uneven.mkv": Clip(pts=[p * 9 for p in UNEVEN], time_base=MILLISECONDS, options=B_FRAMES),
    "late.mp4": Clip(pts=[p + 123 for p in UNEVEN], time_base=Fraction(1, 90)),
    "late.mkv": Clip(pts=[p + 1234 for p in UNEVEN], time_base=MILLISECONDS),
    "b-frames.mp4": Clip(options=B_FRAMES),
    "fast.mp4": Clip(rate=Fraction(120)),
    "slow.mkv": Clip(rate=Fraction(1, 2), frames=4),
    "one.mp4": Clip(frames=1),
    "one.mkv": Clip(frames=1),
    "two.mp4": Clip(frames=2),
    "mpeg4.mp4": Clip(codec="mpeg4", options=()),
    "ten-bit.mp4": Clip(pixel_format="yuv420p10le"),
    "422.mkv": Clip(pixel_format="yuv422p"),
    "444.mp4": Clip(pixel_format="yuv444p"),
    "grey.mp4": Clip(pixel_format="gray"),
    "odd.mkv": Clip(width=95, height=63, codec="ffv1", options=()),
    "screen.mkv": Clip(codec="libx264rgb", pixel_format="rgb24"),
    "rgba.mov": Clip(codec="png", pixel_format="rgba", options=()),
    "alpha.mkv": Clip(codec="ffv1", pixel_format="yuva420p", options=()),
    "prores.mov": Clip(codec="prores_ks", pixel_format="yuv422p10le", options=()),
}


LOSSY_CLIPS = ("odd.mkv", "screen.mkv", "rgba.mov", "alpha.mkv")
"""RGB, transparency, an odd size."""


@pytest.mark.parametrize("name", CLIPS)
def test_every_frame_keeps_its_time(name: str, segment: Segment, tmp_path: Path) -> None:
    src = CLIPS[name].write(tmp_path / name)
    dst = tmp_path / f"out{src.suffix}"
    stats = segment(src, dst)
    assert read_times(dst) == read_times(src)
    assert len(read_times(src)) == stats.frames == CLIPS[name].frames
    assert stats.frames_expected in (None, stats.frames)
    # What x264 does not hold is said, and nothing else.
    assert all("for libx264, " in warning for warning in stats.warnings)
    assert bool(stats.warnings) == (name in LOSSY_CLIPS)
    assert not stats.interrupted


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_sound_that_begins_before_the_picture_does_not_move_it(
    segment: Segment, tmp_path: Path, suffix: str
) -> None:
    src = Clip(audio=("aac",)).write(tmp_path / "in.mp4")
    assert audio_packets(src)[0][0] < 0, "AAC's priming"
    dst = tmp_path / f"out{suffix}"
    segment(src, dst)
    assert read_times(dst) == read_times(src)
    assert audio_packets(dst)[0][0] == pytest.approx(float(audio_packets(src)[0][0]), abs=0.001)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_a_transport_stream_begins_at_zero_and_keeps_all_differences(
    segment: Segment, tmp_path: Path, suffix: str
) -> None:
    src = Clip(audio=("mp2",), format="mpegts", options=B_FRAMES).write(tmp_path / "a.ts")
    dst = tmp_path / f"out{suffix}"
    assert segment(src, dst).warnings == ()
    begins = min(read_times(src)[0], audio_packets(src)[0][0])
    tick = MILLISECONDS if suffix == ".mkv" else Fraction(1, 48000)
    for at, expected in zip(read_times(dst), read_times(src), strict=True):
        assert abs(at - (expected - begins)) <= (tick / 2 if suffix == ".mkv" else 0)
    assert [data for _, data in audio_packets(dst)] == [data for _, data in audio_packets(src)]
    for (at, _), (expected, _) in zip(audio_packets(dst), audio_packets(src), strict=True):
        assert abs(at - (expected - begins)) <= tick / 2 + tick / 1000


def test_a_raw_stream_without_times_gets_even_ones(segment: Segment, tmp_path: Path) -> None:
    src = Clip(format="h264", options=B_FRAMES).write(tmp_path / "raw.h264")
    segment(src, tmp_path / "out.mp4")
    assert read_times(tmp_path / "out.mp4") == [Fraction(i, 25) for i in range(12)]


def drawn(labels: Any, base: Picture, alpha: float) -> Any:
    return base * (1 - alpha) + np.array(COLOURS, np.uint8)[labels] * alpha


@pytest.mark.parametrize("batch", [1, 5])
def test_every_frame_gets_its_own_labels(segment: Segment, tmp_path: Path, batch: int) -> None:
    src = Clip(frames=13, pixel_format="yuv444p").write(tmp_path / "in.mp4")
    segment(src, tmp_path / "out.mp4", batch=batch, alpha=0.6, **LOSSLESS)
    for index, frame in enumerate(read_frames(tmp_path / "out.mp4")):
        labels = scene(index)
        where = inner(labels)
        expected = drawn(labels, paint(labels), 0.6)
        np.testing.assert_allclose(rgb_of(frame)[where], expected[where], atol=12)


def corner(_: int) -> Picture:
    """A landscape picture, of which every quarter differs: it cannot be turned unnoticed."""
    labels = np.full((64, 96), 2, np.uint8)
    labels[:32, :48], labels[32:, 48:] = 0, 1
    return paint(labels)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("orientation", ALL[1:])
def test_a_turned_clip_stays_turned_and_is_drawn_upright(
    toy_model: Path, segment: Segment, tmp_path: Path, orientation: Orientation, suffix: str
) -> None:
    matrix = matrix_of(orientation)
    clip = Clip(frames=2, draw=corner, matrix=matrix, pixel_format="yuv444p")
    src, dst = clip.write(tmp_path / f"in{suffix}"), tmp_path / f"out{suffix}"
    segment(src, dst, mode="mask", **LOSSLESS)
    before, after = read_frames(src)[0], read_frames(dst)[0]
    assert display_matrix(before) == display_matrix(after) == matrix
    labels = upright(before).argmax(axis=2)
    where = inner(labels)
    expected = np.array(COLOURS)[labels]
    np.testing.assert_allclose(upright(after)[where], expected[where], atol=12)
    _, stored = next(iter(label_frames(src, model=toy_model, full_size=True)))
    stored_where = inner(rgb_of(before).argmax(axis=2))
    np.testing.assert_array_equal(stored[stored_where], rgb_of(before).argmax(axis=2)[stored_where])


def test_the_network_sees_a_turned_clip_upright(segment: Segment, tmp_path: Path) -> None:
    src = Clip(frames=2, matrix=matrix_of(Orientation(1))).write(tmp_path / "in.mp4")
    assert segment(src, tmp_path / "out.mp4").size == (64, 96)


def test_pixels_that_are_not_square_stay_so(segment: Segment, tmp_path: Path) -> None:
    src = Clip(frames=2, sample_aspect_ratio=Fraction(8, 3)).write(tmp_path / "in.mp4")
    assert segment(src, tmp_path / "out.mp4").size == (128, 32)
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(8, 3)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("colour", [(1, 1), (1, 2), (5, 1), (5, 2), (9, 1)])
def test_colour_tags_are_kept(
    segment: Segment, tmp_path: Path, colour: tuple[int, int], suffix: str
) -> None:
    clip = Clip(frames=2, colour=colour, pixel_format="yuv444p")
    src, dst = clip.write(tmp_path / f"in{suffix}"), tmp_path / f"out{suffix}"
    segment(src, dst, alpha=0, **LOSSLESS)
    before, after = read_frames(src)[0], read_frames(dst)[0]
    assert (int(after.colorspace), int(after.color_range)) == colour
    np.testing.assert_allclose(rgb_of(after), rgb_of(before).astype(int), atol=6)


@pytest.mark.parametrize(
    ("name", "stored"),
    [("ten-bit.mp4", "yuv420p10le"), ("422.mkv", "yuv422p"), ("444.mp4", "yuv444p")],
)
def test_the_pixel_format_is_kept(segment: Segment, tmp_path: Path, name: str, stored: str) -> None:
    src = CLIPS[name].write(tmp_path / name)
    segment(src, tmp_path / "out.mkv")
    assert read_frames(tmp_path / "out.mkv")[0].format.name == stored


@pytest.mark.parametrize("codec", ["libx264", "libx265", "ffv1"])
def test_a_grey_clip_is_drawn_on_in_colour(segment: Segment, tmp_path: Path, codec: str) -> None:
    src = Clip(frames=2, pixel_format="gray", codec="ffv1", audio=()).write(tmp_path / "in.mkv")
    assert read_frames(src)[0].format.name == "gray"
    dst = tmp_path / "out.mkv"
    segment(src, dst, mode="mask", codec=codec)
    frame = read_frames(dst)[0]
    assert frame.format.name in ("yuv420p", "yuvj420p")
    rgb = rgb_of(frame)
    assert (rgb.max(-1) - rgb.min(-1)).max() > 100  # a class colour, not a grey


@pytest.mark.parametrize("codec", ["libx264", "ffv1"])
def test_a_grey_clip_keeps_its_greys(segment: Segment, tmp_path: Path, codec: str) -> None:
    src = Clip(frames=2, pixel_format="gray", codec="ffv1", audio=()).write(tmp_path / "in.mkv")
    dst = tmp_path / "out.mkv"
    lossless = {"crf": 0} if codec == "libx264" else {}
    segment(src, dst, alpha=0, codec=codec, **lossless)
    before, after = rgb_of(read_frames(src)[0]), rgb_of(read_frames(dst)[0])
    np.testing.assert_allclose(after, before, atol=3)


@pytest.mark.parametrize("name", ["screen.mkv", "rgba.mov", "alpha.mkv"])
def test_a_format_that_no_player_shows_keeps_its_colours(
    segment: Segment, tmp_path: Path, name: str
) -> None:
    src, dst = CLIPS[name].write(tmp_path / name), tmp_path / "out.mp4"
    segment(src, dst, alpha=0, **LOSSLESS)
    before, after = rgb_of(read_frames(src)[0]), read_frames(dst)[0]
    assert after.format.name == "yuv420p"
    rgb = rgb_of(after)
    where = inner(scene(0, before.shape[1], before.shape[0]))[: rgb.shape[0], : rgb.shape[1]]
    cut = before[: rgb.shape[0], : rgb.shape[1]]
    np.testing.assert_allclose(rgb[where], cut[where].astype(int), atol=8)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("audio_first", [False, True])
def test_sound_is_copied_packet_by_packet(
    segment: Segment, tmp_path: Path, audio_first: bool, suffix: str
) -> None:
    clip = Clip(audio=("aac",), audio_first=audio_first, audio_seconds=1.5)
    src, dst = clip.write(tmp_path / f"in{suffix}"), tmp_path / f"out{suffix}"
    stats = segment(src, dst)
    assert stats.warnings == (), "sound that goes on after the last picture is no loss"
    assert len(audio_packets(src)) > 50
    assert audio_packets(dst) == audio_packets(src)
    assert read_times(dst) == read_times(src)


def test_sound_and_picture_that_start_late_stay_together(segment: Segment, tmp_path: Path) -> None:
    late = Clip(pts=[p + 123 for p in UNEVEN], time_base=Fraction(1, 90), audio=("aac",))
    src, dst = late.write(tmp_path / "in.mp4"), tmp_path / "out.mp4"
    segment(src, dst)
    assert read_times(dst) == read_times(src)
    assert audio_packets(dst) == audio_packets(src)


def test_all_of_several_sounds_are_copied(segment: Segment, tmp_path: Path) -> None:
    src = Clip(audio=("aac", "ac3")).write(tmp_path / "in.mkv")
    segment(src, tmp_path / "out.mkv")
    for index in (0, 1):
        assert len(audio_packets(src, index)) > 10
        assert audio_packets(tmp_path / "out.mkv", index) == audio_packets(src, index)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("codec", ["pcm_s16le", "libopus", "flac", "ac3", "libmp3lame", "mp2"])
def test_sound_is_copied_or_its_loss_is_told(
    segment: Segment, tmp_path: Path, codec: str, suffix: str
) -> None:
    src = Clip(audio=(codec,)).write(tmp_path / "in.mkv")
    dst = tmp_path / f"out{suffix}"
    stats = segment(src, dst)
    assert read_times(dst) == read_times(src)
    copied = audio_packets(dst)
    if said := stats.warnings + stats.notes:
        assert len(said) == 1
        assert "cannot be copied into MOV and is encoded as" in said[0]
        assert bool(stats.notes) == ("without loss" in said[0]) == (codec == "flac")
        assert copied
    else:
        assert b"".join(data for _, data in copied) == b"".join(d for _, d in audio_packets(src))


def test_a_cover_picture_is_not_the_video(segment: Segment, tmp_path: Path) -> None:
    plain = Clip(audio=("aac",)).write(tmp_path / "plain.mp4")
    cover = Clip(frames=1, codec="png", pixel_format="rgb24", options=(), format="image2")
    src = with_cover(plain, cover.write(tmp_path / "cover.png"), tmp_path / "in.mp4")
    segment(src, tmp_path / "out.mp4")
    assert len(read_frames(tmp_path / "out.mp4")) == 12
    assert audio_packets(tmp_path / "out.mp4") == audio_packets(plain)


def with_cover(plain: Path, cover: Path, path: Path) -> Path:
    """The clip with a picture as its first stream, marked as its cover."""
    with (
        av.open(str(plain)) as clip,
        av.open(str(cover)) as picture,
        av.open(str(path), "w") as out,
    ):
        sources = [picture.streams.video[0], clip.streams.video[0], clip.streams.audio[0]]
        streams = {s: out.add_stream_from_template(s) for s in sources}
        streams[sources[0]].disposition = av.stream.Disposition.attached_pic
        for container, chosen in ((picture, sources[:1]), (clip, sources[1:])):
            for packet in container.demux(*chosen):
                if packet.size:
                    packet.stream = streams[packet.stream]
                    out.mux(packet)
    return path


def test_an_edited_clip_is_not_called_cut_off(segment: Segment, tmp_path: Path) -> None:
    """An edit list hides the frames before a cut; a player does not show them, nor do we."""
    whole = Clip(frames=20, options=(("g", "20"), ("bf", "0"))).write(tmp_path / "whole.mp4")
    src = tmp_path / "edited.mp4"
    with av.open(str(whole)) as clip, av.open(str(src), "w") as out:
        stream = out.add_stream_from_template(clip.streams.video[0])
        for packet in clip.demux(clip.streams.video[0]):
            if packet.dts is None:
                continue
            assert packet.pts is not None
            packet.pts, packet.dts = packet.pts - 8 * 512, packet.dts - 8 * 512
            packet.stream = stream
            out.mux(packet)
    stats = segment(src, tmp_path / "out.mp4")
    assert 0 < len(read_times(src)) < 20
    assert read_times(tmp_path / "out.mp4") == read_times(src)
    assert stats.warnings == ()


def test_joined_files_follow_each_other(segment: Segment, tmp_path: Path) -> None:
    first = Clip(audio=("mp2",), format="mpegts").write(tmp_path / "a.ts")
    second = Clip(audio=("mp2",), format="mpegts", width=144, height=96).write(tmp_path / "b.ts")
    src = tmp_path / "both.ts"
    src.write_bytes(first.read_bytes() + second.read_bytes())
    stats = segment(src, tmp_path / "out.mp4")
    shown = read_times(tmp_path / "out.mp4")
    assert stats.frames == len(shown) == 24
    assert shown == sorted(set(shown))
    assert shown[12:] == pytest.approx([t + shown[12] - shown[0] for t in shown[:12]])
    assert Fraction(1, 50) <= shown[12] - shown[11] <= Fraction(1, 5)
    assert {(f.width, f.height) for f in read_frames(tmp_path / "out.mp4")} == {(96, 64)}
    sound = [data for _, data in audio_packets(src)]
    assert [data for _, data in audio_packets(tmp_path / "out.mp4")] == sound
    changed, joined = stats.warnings
    assert "12 frames of 144x96 were fitted into 96x64" in changed
    assert "start over" in joined
    labels = scene(5)
    rgb = rgb_of(read_frames(tmp_path / "out.mp4")[17])
    np.testing.assert_allclose(
        rgb[inner(labels, 5)], drawn(labels, paint(labels), 0.5)[inner(labels, 5)], atol=20
    )


def test_a_gap_in_time_stays_a_gap(segment: Segment, tmp_path: Path) -> None:
    pts = [*range(0, 240, 40), *range(60_000, 60_240, 40)]
    src = Clip(pts=pts, time_base=MILLISECONDS).write(tmp_path / "in.mkv")
    segment(src, tmp_path / "out.mkv")
    assert read_times(tmp_path / "out.mkv") == read_times(src)


@pytest.mark.parametrize(
    "name", ["with space.mp4", "100%d.mp4", "a:b.mp4", "ünï-日本.mp4", "-dash.mp4", "concat:x.mp4"]
)
def test_a_file_may_be_called_anything(
    segment: Segment, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Clip(frames=3).write(Path(name))
    segment(Path(name), Path(f"out {name}"))
    assert len(read_times(Path(f"out {name}"))) == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, f"out {name}"])


@pytest.mark.parametrize("codec", ["libx265", "mpeg4", "libvpx-vp9", "libsvtav1", "ffv1"])
def test_other_encoders_keep_the_times_too(segment: Segment, tmp_path: Path, codec: str) -> None:
    clip = Clip(frames=6, pts=UNEVEN[:6], time_base=Fraction(1, 90), width=128, height=96)
    src = clip.write(tmp_path / "in.mp4")
    segment(src, tmp_path / "out.mkv", codec=codec)
    for got, expected in zip(read_times(tmp_path / "out.mkv"), read_times(src), strict=True):
        assert abs(got - expected) <= MILLISECONDS / 2


def test_label_frames_yields_each_frame_with_its_labels(clip: Path, toy_model: Path) -> None:
    pairs = list(label_frames(clip, model=toy_model, batch=5))
    assert times(frame for frame, _ in pairs) == read_times(clip)
    for index, (_, labels) in enumerate(pairs):
        where = inner(scene(index))
        np.testing.assert_array_equal(labels[where], scene(index)[where])


def test_label_maps_have_the_networks_size_or_the_frames(clip: Path, toy_model: Path) -> None:
    _, small = next(label_frames(clip, model=toy_model, size="192x64"))
    assert small.shape == (64, 192)
    frame, large = next(label_frames(clip, model=toy_model, size="192x64", full_size=True))
    assert large.shape == (frame.height, frame.width)


def test_label_frames_may_be_left_early(clip: Path, toy_model: Path) -> None:
    for _, labels in label_frames(clip, model=toy_model):
        assert labels.max() == 2
        break


def run_job(engine: FakeEngine, source: FakeSource, path: Path, **options: Any) -> Stats:
    job = Job(source, engine, clock=RunClock(), **options)
    return job.record(OutputPath.check(path, overwrite=True), EncoderOptions())


def test_the_engine_gets_its_batches_and_the_rest(tmp_path: Path) -> None:
    engine = FakeEngine(batch=4)
    stats = run_job(engine, FakeSource(10), tmp_path / "out.mp4")
    assert engine.batches == [(4, 64, 96, 3), (4, 64, 96, 3), (2, 64, 96, 3)]
    assert stats.frames == 10
    assert [row.items for row in stats.stages] == [10] * 5


def test_several_workers_keep_the_order(tmp_path: Path) -> None:
    run_job(FakeEngine(workers=3), FakeSource(30), tmp_path / "out.mp4")
    assert read_times(tmp_path / "out.mp4") == [Fraction(i, 25) for i in range(30)]


def test_an_engine_that_dies_leaves_no_file(tmp_path: Path) -> None:
    def dies(call: int) -> None:
        if call == 5:
            raise EngineError("fake: out of steam")

    with pytest.raises(EngineError, match="out of steam"):
        run_job(FakeEngine(before=dies), FakeSource(50), tmp_path / "out.mp4")
    assert list(tmp_path.iterdir()) == []


def test_a_source_that_dies_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "out.mp4").write_bytes(b"old")

    def dies(index: int) -> None:
        if index == 5:
            raise OSError("pulled the plug")

    with pytest.raises(OSError, match="pulled the plug"):
        run_job(FakeEngine(), FakeSource(50, before=dies), tmp_path / "out.mp4")
    assert [p.name for p in tmp_path.iterdir()] == ["out.mp4"]
    assert (tmp_path / "out.mp4").read_bytes() == b"old"


def test_a_second_interrupt_throws_the_file_away(tmp_path: Path) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    job = Job(FakeSource(10_000), FakeEngine(), clock=RunClock())
    output = OutputPath.check(tmp_path / "out.mp4", overwrite=False)
    with pytest.raises(KeyboardInterrupt):
        job.record(output, EncoderOptions(), interrupt)
    assert list(tmp_path.iterdir()) == []


def test_a_third_interrupt_does_not_close_the_file_under_its_writer(tmp_path: Path) -> None:
    busy, twice = threading.Event(), threading.Event()
    fired: list[int] = []

    def work(call: int) -> None:
        if call == 5:
            busy.set()
            twice.wait(10)
            time.sleep(0.2)  # by now the run waits for this very call
            _thread.interrupt_main()
            time.sleep(0.2)

    def interrupt(progress: Any) -> None:
        if busy.is_set():
            fired.append(progress.frames)
            if len(fired) == 2:
                twice.set()
            raise KeyboardInterrupt

    job = Job(FakeSource(100_000), FakeEngine(before=work), clock=RunClock())
    output = OutputPath.check(tmp_path / "out.mp4", overwrite=False)
    with pytest.raises(KeyboardInterrupt):
        job.record(output, EncoderOptions(), interrupt)
    assert len(fired) == 2
    assert [t.name for t in threading.enumerate() if t.name in THREADS] == []
    assert list(tmp_path.iterdir()) == []


def test_a_callback_that_dies_leaves_no_file_and_no_thread(tmp_path: Path) -> None:
    def die(progress: Any) -> None:
        if progress.frames > 3:
            raise RuntimeError("the display is gone")

    job = Job(FakeSource(100_000), FakeEngine(), clock=RunClock())
    output = OutputPath.check(tmp_path / "out.mp4", overwrite=False)
    with pytest.raises(RuntimeError, match="the display is gone"):
        job.record(output, EncoderOptions(), die)
    # Or the container would be closed under the thread that writes to it: a segmentation fault.
    assert not [t.name for t in threading.enumerate() if "encode" in t.name]
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_finishes_the_file(tmp_path: Path) -> None:
    fired: list[int] = []

    def interrupt_once(progress: Any) -> None:
        if progress.frames > 3 and not fired:
            fired.append(progress.frames)
            raise KeyboardInterrupt

    job = Job(FakeSource(100_000), FakeEngine(), clock=RunClock())
    output = OutputPath.check(tmp_path / "out.mp4", overwrite=False)
    stats = job.record(output, EncoderOptions(), interrupt_once)
    assert stats.interrupted
    shown = read_times(tmp_path / "out.mp4")
    assert len(shown) == stats.frames > 3
    assert shown == [Fraction(i, 25) for i in range(stats.frames)], "nothing under way was lost"


def test_bad_sizes_are_refused_before_a_file_is_made(
    segment: Segment, clip: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="between 32 and 8192"):
        segment(clip, tmp_path / "out.mp4", size=3)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("how", ["label_frames", "open_engine"])
def test_from_python_a_build_is_not_silent(
    clip: Path,
    toy_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    how: str,
) -> None:
    def choose(self: Selector) -> Chosen:
        self.watcher.notice("building the engine: 100 % of it")
        return self.onnxruntime("no faster engine is built")

    monkeypatch.setattr(Selector, "choose", choose)

    def call(watcher: Watcher | None) -> None:
        if how == "label_frames":
            next(iter(label_frames(clip, model=toy_model, watcher=watcher)))
        else:
            open_engine(toy_model, watcher=watcher).close()

    told: list[str] = []
    call(Watcher(notice=told.append))
    assert told == ["building the engine: 100 % of it"]
    assert caplog.messages == []
    with caplog.at_level("INFO", "streamseg"):
        call(None)
    assert caplog.messages == told
