"""All that a file holds beside the picture comes along, or is named in one warning."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from pathlib import Path

import pytest

from streamseg import Stats, segment_video
from streamseg.errors import SourceError
from streamseg.video.metadata import language_of, needs_free_tags
from tests.streamseg.clips import Clip, read_frames
from tests.streamseg.judge import Probe, ffmpeg, needs_judge, probe, streams

pytestmark = needs_judge

SRT = """1
00:00:00,100 --> 00:00:00,200
Hello <i>there</i>

2
00:00:00,240 --> 00:00:00,440
Zweite Zeile
日本
"""
TAGS = {
    "title": "A title",
    "artist": "Someone",
    "comment": "A comment",
    "date": "2024-05-06",
    "creation_time": "2024-05-06T07:08:09.000000Z",
    "location": "+52.5200+013.4050/",
}
APPLE = {
    "com.apple.quicktime.make": "Apple",
    "com.apple.quicktime.location.ISO6709": "+52.5200+013.4050+010.000/",
}
CHAPTERS = (
    ";FFMETADATA1\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=200\ntitle=Eins\n"
    "[CHAPTER]\nTIMEBASE=1/1000\nSTART=200\nEND=480\ntitle=Zwei\n"
)
TEXT_IN = {".mkv": "subrip", ".mp4": "mov_text", ".mov": "mov_text"}


@pytest.fixture
def rich(tmp_path: Path) -> Path:
    """A Matroska file with two sounds, subtitles, chapters, tags, a font and a cover."""
    two = Clip(audio=("aac", "aac")).write(tmp_path / "two.mkv")
    (tmp_path / "a.srt").write_text(SRT, encoding="utf-8")
    (tmp_path / "chapters").write_text(CHAPTERS, encoding="utf-8")
    (tmp_path / "font.ttf").write_bytes(b"no font at all")
    cover = Clip(frames=1, codec="mjpeg", pixel_format="yuvj420p", options=(), format="image2")
    cover.write(tmp_path / "cover.jpg")
    path = tmp_path / "rich.mkv"
    ffmpeg(
        *("-i", two, "-i", tmp_path / "a.srt", "-i", tmp_path / "chapters"),
        *("-map", "0", "-map", "1", "-map_chapters", "2", "-c", "copy"),
        *(word for key, value in TAGS.items() for word in ("-metadata", f"{key}={value}")),
        *("-metadata:s:v:0", "title=Bild", "-metadata:s:v:0", "language=jpn"),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:0", "title=Main"),
        *("-metadata:s:a:1", "language=deu", "-metadata:s:a:1", "title=Kommentar"),
        *("-metadata:s:s:0", "language=swe"),
        *("-disposition:a:0", "0", "-disposition:a:1", "default+comment"),
        *("-disposition:s:0", "default+forced"),
        *("-attach", tmp_path / "font.ttf", "-metadata:s:t:0", "mimetype=font/ttf"),
        *("-attach", tmp_path / "cover.jpg", "-metadata:s:t:1", "mimetype=image/jpeg"),
        path,
    )
    return path


def segment(src: Path, dst: Path, model: Path) -> Stats:
    return segment_video(src, dst, model=model, threads=1)


def tags(found: Probe) -> dict[str, str]:
    return {key.lower(): value for key, value in found.get("tags", {}).items()}


def sound_hashes(path: Path) -> list[str]:
    count = len(streams(path, "audio"))
    raw = [
        ffmpeg("-i", path, "-map", f"0:a:{i}", "-c", "copy", "-f", "adts", "-")
        for i in range(count)
    ]
    return [hashlib.sha256(data).hexdigest() for data in raw]


def subtitles(path: Path) -> str:
    text = ffmpeg("-i", path, "-map", "0:s:0", "-f", "srt", "-").decode()
    return "\n".join(line for line in text.splitlines() if "-->" not in line)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
@pytest.mark.parametrize("via", [".mkv", ".mp4", ".mov"])
def test_everything_a_container_holds_arrives_in_every_other(
    rich: Path, toy_model: Path, tmp_path: Path, via: str, suffix: str
) -> None:
    """From Matroska to `via`, and from that to `suffix`."""
    first, dst = tmp_path / f"first{via}", tmp_path / f"out{suffix}"
    told = segment(rich, first, toy_model)
    segment(first, dst, toy_model)
    assert [s["codec_type"] for s in streams(dst)][:4] == ["video", "audio", "audio", "subtitle"]
    assert sound_hashes(dst) == sound_hashes(rich)
    assert streams(dst, "subtitle")[0]["codec_name"] == TEXT_IN[suffix]
    assert subtitles(dst) == subtitles(rich)
    assert [c["tags"]["title"] for c in probe(dst)["chapters"]] == ["Eins", "Zwei"]
    assert [float(c["start_time"]) for c in probe(dst)["chapters"]] == [0.0, 0.2]
    got = tags(probe(dst)["format"])
    assert {key: got.get(key) for key in TAGS} == TAGS
    languages = [language_of(tags(s).get("language", "")) for s in streams(dst)[1:4]]
    assert languages == ["eng", "deu", "swe"]
    assert [s["disposition"]["default"] for s in streams(dst)[1:3]] == [0, 1]
    losses = [w for w in told.warnings if "cannot hold" in w]
    assert len(losses) == (via != ".mkv")
    assert all("attachment font.ttf" in loss and ".mkv output holds" in loss for loss in losses)


def test_matroska_keeps_attachments_cover_titles_and_flags(
    rich: Path, toy_model: Path, tmp_path: Path
) -> None:
    dst = tmp_path / "out.mkv"
    stats = segment(rich, dst, toy_model)
    assert stats.warnings == stats.notes == ()
    attached = {s["tags"]["filename"]: s for s in streams(dst) if "filename" in s.get("tags", {})}
    assert sorted(attached) == ["cover.jpg", "font.ttf"]
    assert attached["font.ttf"]["tags"]["mimetype"] == "font/ttf"
    assert attached["cover.jpg"]["disposition"]["attached_pic"] == 1
    ffmpeg("-dump_attachment:t:0", tmp_path / "font", "-i", dst, "-map", "0:v:0", "-f", "null", "-")
    assert (tmp_path / "font").read_bytes() == b"no font at all"
    assert [tags(s).get("title") for s in streams(dst)[:3]] == ["Bild", "Main", "Kommentar"]
    flags = streams(dst)[2]["disposition"], streams(dst)[3]["disposition"]
    assert (flags[0]["comment"], flags[1]["forced"]) == (1, 1)
    assert len(read_frames(dst)) == 12


def test_mp4_keeps_the_cover(rich: Path, toy_model: Path, tmp_path: Path) -> None:
    for src, dst in ((rich, tmp_path / "a.mp4"), (tmp_path / "a.mp4", tmp_path / "b.mkv")):
        segment(src, dst, toy_model)
        (cover,) = [s for s in streams(dst, "video") if s["disposition"]["attached_pic"]]
        assert (cover["codec_name"], cover["width"], cover["height"]) == ("mjpeg", 96, 64)
    stats = segment(rich, tmp_path / "c.mov", toy_model)
    assert any("cover" in warning for warning in stats.warnings)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov"])
def test_a_phones_own_tags_are_kept(toy_model: Path, tmp_path: Path, suffix: str) -> None:
    plain, src = Clip(frames=2).write(tmp_path / "plain.mov"), tmp_path / "in.mov"
    more = [
        word for key, value in {**TAGS, **APPLE}.items() for word in ("-metadata", f"{key}={value}")
    ]
    ffmpeg("-i", plain, "-c", "copy", *more, "-movflags", "use_metadata_tags", src)
    dst = tmp_path / f"out{suffix}"
    assert segment(src, dst, toy_model).warnings == ()
    got = probe(dst)["format"]["tags"]
    if suffix == ".mkv":
        got = {key.lower(): value for key, value in got.items()}
        assert {k.lower(): v for k, v in APPLE.items()}.items() <= got.items()
        return
    assert APPLE.items() <= got.items()
    back = tmp_path / "back.mov"
    segment(dst, back, toy_model)
    assert APPLE.items() <= probe(back)["format"]["tags"].items()


def test_fixed_tags_stay_where_every_player_looks() -> None:
    assert not needs_free_tags(["TITLE", "location-eng", "date"], "mp4")
    assert needs_free_tags(["title", "com.apple.quicktime.make"], "mov")
    assert not needs_free_tags(["anything"], "matroska")


@pytest.mark.parametrize(
    ("tag", "code"),
    [("de", "deu"), ("ger", "deu"), ("sve", "swe"), ("pt-BR", "por"), ("", "und"), ("qaa", "qaa")],
)
def test_languages_have_one_name(tag: str, code: str) -> None:
    assert language_of(tag) == code


@pytest.mark.parametrize("via", [".mkv", ".mov", ".mp4"])
@pytest.mark.parametrize("suffix", [".mov", ".mp4"])
def test_a_timecode_stays(toy_model: Path, tmp_path: Path, via: str, suffix: str) -> None:
    plain, src = Clip(frames=4).write(tmp_path / "plain.mov"), tmp_path / "in.mov"
    ffmpeg("-i", plain, "-c", "copy", "-timecode", "01:02:03:04", src)
    assert segment(src, tmp_path / f"via{via}", toy_model).warnings == ()
    assert segment(tmp_path / f"via{via}", tmp_path / f"out{suffix}", toy_model).warnings == ()
    (track,) = streams(tmp_path / f"out{suffix}", "data")
    assert track["codec_tag_string"] == "tmcd"
    assert track["tags"]["timecode"] == "01:02:03:04"


def two_videos(tmp_path: Path, flags: tuple[str, str]) -> Path:
    small = Clip(frames=6, audio=("aac",)).write(tmp_path / "small.mp4")
    large = Clip(frames=6, width=192, height=128).write(tmp_path / "large.mp4")
    path = tmp_path / "two.mkv"
    given = [word for i, flag in enumerate(flags) for word in (f"-disposition:v:{i}", flag)]
    ffmpeg("-i", small, "-i", large, "-map", "0", "-map", "1", "-c", "copy", *given, path)
    return path


@pytest.mark.parametrize(
    ("flags", "width"), [(("0", "0"), 192), (("default", "0"), 96), (("default", "default"), 192)]
)
def test_the_flagged_or_the_largest_picture_is_segmented_and_the_other_copied(
    toy_model: Path, tmp_path: Path, flags: tuple[str, str], width: int
) -> None:
    src, dst = two_videos(tmp_path, flags), tmp_path / "out.mkv"
    (warning,) = segment(src, dst, toy_model).warnings
    other = 288 - width
    assert "has 2 video streams" in warning
    assert f"{width}x{width * 2 // 3}) is segmented" in warning
    assert [s["width"] for s in streams(dst, "video")] == [96, 192]
    which = int(other == 192)
    hashes = [
        ffmpeg("-i", path, "-map", f"0:v:{which}", "-f", "framemd5", "-").split(b"\n#dimensions")[
            -1
        ]
        for path in (src, dst)
    ]
    assert hashes[0] == hashes[1]


def test_of_an_hls_master_one_variant_is_read_with_its_sound(
    toy_model: Path, tmp_path: Path
) -> None:
    plain = Clip(audio=("aac",)).write(tmp_path / "a.mp4")
    ffmpeg(
        *("-i", plain, "-map", "0:v", "-map", "0:v", "-map", "0:a", "-c:v", "libx264"),
        *("-s:v:0", "48x32", "-b:v:0", "50k", "-b:v:1", "200k", "-c:a", "copy", "-f", "hls"),
        *("-var_stream_map", "v:0,agroup:a v:1,agroup:a a:0,agroup:a,language:swe,default:yes"),
        *("-master_pl_name", "in.m3u8", tmp_path / "v%v.m3u8"),
    )
    stats = segment(tmp_path / "in.m3u8", tmp_path / "out.mp4", toy_model)
    assert any("of its variants 96x64 is taken, not 48x32" in note for note in stats.notes)
    assert stats.warnings == ()
    (sound,) = streams(tmp_path / "out.mp4", "audio")
    assert [s["width"] for s in streams(tmp_path / "out.mp4", "video")] == [96]
    assert sound["tags"]["language"] == "swe"


def test_variants_of_one_bit_rate_are_told_apart(toy_model: Path, tmp_path: Path) -> None:
    Clip(audio=("aac",)).write(tmp_path / "a.mp4")
    for name, size in (("one", "48x32"), ("two", "96x64")):
        segments = ("-s", size, "-c:v", "libx264", "-c:a", "copy", "-f", "hls")
        ffmpeg("-i", tmp_path / "a.mp4", *segments, tmp_path / f"{name}.m3u8")
    variant = "#EXT-X-STREAM-INF:BANDWIDTH=9000"
    lines = ["#EXTM3U", variant, "one.m3u8", variant, "two.m3u8", ""]
    (tmp_path / "in.m3u8").write_text("\n".join(lines))
    stats = segment(tmp_path / "in.m3u8", tmp_path / "out.mp4", toy_model)
    assert any("of its variants 96x64 is taken, not 48x32" in note for note in stats.notes)
    assert [s["width"] for s in streams(tmp_path / "out.mp4", "video")] == [96]
    assert len(streams(tmp_path / "out.mp4", "audio")) == 1


def with_unknown_sound(path: Path) -> Path:
    """The first sound's entry renamed to Apple's spatial codec, which FFmpeg does not know."""
    data = path.read_bytes()
    at = data.index(b"mp4a", data.index(b"stsd"))
    entry = data[at:].replace(b"mp4a", b"apac", 1).replace(b"esds", b"dapa", 1)
    path.write_bytes(data[:at] + entry)
    return path


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("sounds", [1, 2])
def test_sound_that_nobody_knows_is_passed_over_and_said(
    toy_model: Path, tmp_path: Path, sounds: int, suffix: str
) -> None:
    clip = Clip(frames=6, audio=("aac",) * sounds)
    src = with_unknown_sound(clip.write(tmp_path / "in.mp4"))
    stats = segment(src, tmp_path / f"out{suffix}", toy_model)
    (warning,) = stats.warnings
    assert "FFmpeg knows no codec for sound 1" in warning
    assert len(streams(tmp_path / f"out{suffix}", "audio")) == sounds - 1


@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
@pytest.mark.parametrize(
    ("codec", "kept"), [("pcm_alaw", True), ("wmav2", False), ("adpcm_ms", False)]
)
def test_sound_that_cannot_be_copied_is_encoded_anew(
    toy_model: Path, tmp_path: Path, codec: str, kept: bool, suffix: str
) -> None:
    tone, src = tmp_path / "tone.mkv", tmp_path / "in.mkv"
    Clip(audio=("pcm_s16le",), frames=25).write(tone)
    ffmpeg("-i", tone, "-c:v", "copy", "-c:a", codec, src)
    dst = tmp_path / f"out{suffix}"
    stats = segment(src, dst, toy_model)
    (said,) = stats.notes if kept else stats.warnings
    assert f"sound 1 ({codec}) cannot be copied" in said
    (sound,) = streams(dst, "audio")
    length = float(Fraction(probe(dst)["format"]["duration"]))
    assert length == pytest.approx(float(probe(src)["format"]["duration"]), abs=0.1)
    if kept:
        pcm = [ffmpeg("-i", p, "-map", "0:a", "-f", "s16le", "-") for p in (src, dst)]
        assert sound["codec_name"] == "flac"
        assert pcm[0] == pcm[1]


def test_a_sound_whose_packets_are_refused_costs_only_itself(
    toy_model: Path, tmp_path: Path
) -> None:
    """AAC without its header: Matroska's muxer finds out at the first packet."""
    src = Clip(frames=6, audio=("aac",)).write(tmp_path / "in.mp4")
    data = src.read_bytes()
    at = data.index(b"esds")
    src.write_bytes(data[:at] + b"free" + data[at + 4 :])
    stats = segment(src, tmp_path / "out.mkv", toy_model)
    assert stats.frames == len(read_frames(tmp_path / "out.mkv")) == 6
    assert any("sound 1" in warning for warning in stats.warnings)


def test_a_file_of_sound_alone_says_what_it_has(toy_model: Path, tmp_path: Path) -> None:
    src = tmp_path / "in.mkv"
    ffmpeg("-i", Clip(frames=6, audio=("aac",)).write(tmp_path / "a.mp4"), "-map", "0:a", src)
    with pytest.raises(SourceError, match=r"has no video stream \(only audio \(.+\)\)"):
        segment(src, tmp_path / "out.mkv", toy_model)


def test_a_song_with_a_cover_is_not_called_a_video(toy_model: Path, tmp_path: Path) -> None:
    film, cover, song = tmp_path / "a.mp4", tmp_path / "cover.png", tmp_path / "song.m4a"
    ffmpeg("-i", Clip(frames=2, audio=("aac",)).write(film), "-frames:v", "1", cover)
    marked = ("-map", "0:a", "-map", "1:v", "-c", "copy", "-disposition:v:0", "attached_pic")
    ffmpeg("-i", film, "-i", cover, *marked, "-f", "mp4", song)
    with pytest.raises(SourceError, match=r"only audio \(aac\), a cover picture \(png\)"):
        segment(song, tmp_path / "out.mkv", toy_model)
