"""The command line: exit codes, one sentence per error, and streams that keep their purpose."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import av
import pytest
from click.testing import CliRunner

from streamseg.cli.main import main
from streamseg.sample import street_clip
from tests.streamseg.clips import Clip, read_times, write_sound
from tests.streamseg.conftest import REPOSITORY, Cli

ESCAPE = "\x1b"


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


def animated_webp() -> bytes:
    """Two pictures, as Pillow writes them."""
    image = pytest.importorskip("PIL.Image")
    file = io.BytesIO()
    pictures = [image.new("RGB", (64, 64), colour) for colour in ("red", "blue")]
    pictures[0].save(file, "WEBP", save_all=True, append_images=pictures[1:], duration=100)
    return file.getvalue()


@pytest.fixture
def run(toy_model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run a command in this process, in the folder of the test; the model is the toy."""
    monkeypatch.chdir(tmp_path)

    def call(*args: str | Path) -> Ran:
        options: Sequence[str] = [str(arg) for arg in args]
        if "--model" not in options and options[0] == "video":
            options = [*options[:1], "--model", str(toy_model), *options[1:]]
        result = CliRunner().invoke(main, options)
        return Ran(result.exit_code, result.stdout, result.stderr)

    return call


@pytest.fixture
def files(clip: Path, tmp_path: Path) -> None:
    """What the bad command lines below are about."""
    (tmp_path / "in.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "text.mp4").write_text("no video\n" * 100)
    (tmp_path / "notes.onnx").write_text("no model\n" * 100)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "film.mpd").write_text("<MPD/>")
    (tmp_path / "anim.webp").write_bytes(animated_webp())
    (tmp_path / "there.mp4").write_bytes(b"precious")
    (tmp_path / "folder").mkdir()
    write_sound(tmp_path / "sound.m4a")


BAD = [
    (2, "video gone.mp4 out.mp4", "gone.mp4: no such file"),
    (2, "video folder out.mp4", "folder: is a folder"),
    (1, "video text.mp4 out.mp4", "text.mp4: not a video that FFmpeg can read"),
    (1, "video empty.mp4 out.mp4", "empty.mp4: the file is empty"),
    (1, "video film.mpd out.mp4", "film.mpd: a DASH manifest, and this FFmpeg is built without"),
    (1, "video sound.m4a out.mp4", "sound.m4a: has no video stream (only audio (aac))"),
    (2, "video in.mp4 gone/out.mp4", "the folder gone does not exist"),
    (2, "video in.mp4 out.wmv", "out.wmv: unknown kind of output"),
    (2, "video in.mp4 there.mp4", "there.mp4: already exists; use --overwrite"),
    (2, "video in.mp4 in.mp4 --overwrite", "input and output are the same file"),
    (2, "video in.mp4 out.mp4 --codec nope", "unknown video encoder 'nope'"),
    (2, "video in.mp4 out.mp4 --preset nope", "--preset nope: libx264 knows none of that name"),
    (
        2,
        "video rtsp://host/a out.mp4",
        "rtsp://host/a: is the address of a stream; use 'streamseg",
    ),
    (2, "video in.mp4 - --json -", "-: takes the video or the statistics, not both"),
    (2, "video %03d.png out.mp4", "%03d.png: no such file, and as a pattern without pictures"),
    (2, "video *.mp4 out.mp4", "*.mp4: no such file, and as a pattern without pictures"),
    (2, "video in.mp4 out.mp4 --fps 5", "in.mp4: has a rate of its own; --fps is for pictures"),
    (2, "video in.mp4 out.mp4 --fps x", "'x' is no rate; give 25, 29.97 or 30000/1001"),
    (1, "video anim.webp out.mp4", "FFmpeg decodes no animated WebP"),
    (2, "video in.mp4 out.mp4 --size big", "size is 'big'; write WIDTHxHEIGHT"),
    (2, "video in.mp4 out.mp4 --classes dog", "unknown class 'dog'; known: red, green, blue"),
    (2, "video in.mp4 out.mp4 --mode x", "'x' is not one of 'overlay', 'mask', 'side-by-side'"),
    (2, "video in.mp4 out.mp4 --alpha 2", "2.0 is not in the range 0<=x<=1"),
    (2, "video in.mp4 out.mp4 --threads 0", "0 is not in the range x>=1"),
    (2, "video in.mp4", "Missing argument 'OUT'"),
    (2, "video in.mp4 out.mp4 --nonsense", "No such option"),
    (2, "video in.mp4 out.mp4 --model nope", "unknown model 'nope'; known: "),
    (1, "video in.mp4 out.mp4 --model notes.onnx", "notes.onnx: not an ONNX file"),
    (2, "video in.mp4 out.mp4 --model gone.onnx", "gone.onnx: no such model file"),
    (2, "video in.mp4 out.mp4 --json gone/s.json", "the folder gone does not exist"),
    (2, "video in.mp4 out.mp4 --json in.mp4", "in.mp4: is the video"),
    (2, "video in.mp4 out.mp4 --json folder", "folder: is a folder"),
    (2, "webcam --source in.mp4", "add --realtime"),
    (2, "webcam --source nonsense", "neither a camera nor an address"),
    (2, "sample there.mp4", "there.mp4: already exists; use --overwrite"),
    (2, "sample out.mkv", "out.mkv: the sample clip is an MP4"),
    (2, "nonsense", "No such command 'nonsense'"),
]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(("code", "line", "message"), BAD, ids=[line for _, line, _ in BAD])
def test_a_bad_command_line_gets_one_sentence_and_leaves_everything_as_it_was(
    run: Run, toy_model: Path, tmp_path: Path, code: int, line: str, message: str
) -> None:
    before = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    model = ["--model", str(toy_model)] if line.startswith("webcam") else []
    result: Ran = run(*line.split(), *model)
    assert result.code == code
    assert message in result.err
    assert "Traceback" not in result.err
    assert "bug of streamseg" not in result.err
    assert result.out == ""
    assert result.err.count("rror: ") == 1
    after = {path: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}
    assert after == before


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("place", [["--debug", "video"], ["video", "--debug"]])
def test_debug_shows_the_traceback(cli: Cli, tmp_path: Path, place: list[str]) -> None:
    result = cli(*place, tmp_path / "text.mp4", tmp_path / "out.mp4", "--model", "MODEL")
    assert result.returncode == 1
    assert "Traceback" in result.stderr
    assert "SourceError" in result.stderr


def test_a_run_tells_people_in_plain_lines(cli: Cli, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    result = cli("video", clip, out, "--model", "MODEL")
    assert result.returncode == 0
    assert result.stderr == ""
    assert ESCAPE not in result.stdout
    lines = result.stdout.splitlines()
    assert f"output: {out}" in lines
    assert "frames: 12" in lines
    for stage in ("decode", "downscale", "engine", "composite", "encode+write"):
        assert any(line.startswith(f"stage {stage}: 12 frames, p50 ") for line in lines)
    assert len(read_times(out)) == 12


def test_quiet_says_nothing_on_success(cli: Cli, clip: Path, tmp_path: Path) -> None:
    target = tmp_path / "stats.json"
    result = cli("video", clip, tmp_path / "o.mp4", "--model", "MODEL", "--quiet", "--json", target)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    stats = json.loads(target.read_text())
    assert (stats["frames"], stats["source"], stats["model"]) == (12, str(clip), "toy")
    assert stats["size"] == [96, 64]
    assert stats["bottleneck"] in [stage["name"] for stage in stats["stages"]]


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libsvtav1"])
def test_json_on_standard_output_is_nothing_but_json(cli: Cli, tmp_path: Path, codec: str) -> None:
    src = Clip(frames=3, width=128, height=96).write(tmp_path / "in.mp4")
    out = tmp_path / "o.mkv"
    result = cli("video", src, out, "--model", "MODEL", "--json", "-", "--codec", codec)
    assert result.returncode == 0
    assert json.loads(result.stdout)["output"] == str(out)


def test_a_warning_goes_to_standard_error_and_costs_nothing(run: Run, tmp_path: Path) -> None:
    data = Clip(frames=40, options=(("g", "10"),)).write(tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: len(data) * 6 // 10])
    result: Ran = run("video", "cut.mkv", "out.mkv", "--quiet")
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith("warning: cut.mkv: the file ends early; its header promises")
    assert len(read_times(tmp_path / "out.mkv")) > 10


def test_a_name_may_start_with_a_dash(run: Run, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "-in.mp4").write_bytes(clip.read_bytes())
    result: Ran = run("video", "--", "-in.mp4", "-out.mp4")
    assert result.code == 0
    assert len(read_times(tmp_path / "-out.mp4")) == 12


def test_options_reach_the_run(run: Run, clip: Path, tmp_path: Path) -> None:
    line = "--mode side-by-side --size 64x64 --batch 3 --threads 1 --classes red,blue --json -"
    result: Ran = run("video", clip, "out.mkv", *line.split())
    stats = json.loads(result.out)
    assert (stats["size"], stats["batch"], stats["threads"]) == ([64, 64], 3, 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no full device")
@pytest.mark.parametrize("options", [[], ["--json", "-"]])
def test_statistics_that_cannot_be_printed_are_told(
    toy_model: Path, clip: Path, tmp_path: Path, options: list[str]
) -> None:
    out = tmp_path / "o.mp4"
    command = [sys.executable, "-m", "streamseg", "video", str(clip), str(out)]
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [*command, "--model", str(toy_model), *options],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
    assert result.returncode == 1
    assert result.stderr == (
        "error: standard output: cannot be written to (No space left on device); "
        "the video is complete\n"
    )
    assert len(read_times(out)) == 12


@pytest.mark.parametrize("options", [[], ["--json", "-"]])
def test_nobody_needs_standard_output(
    run: Run, clip: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    # As Python sets it for a process that was started with `>&-`.
    monkeypatch.setattr("streamseg.cli.output.sys", SimpleNamespace(stdout=None))
    result: Ran = run("video", clip, "out.mp4", *options)
    assert (result.code, result.out, result.err) == (0, "", "")


@pytest.mark.parametrize(
    "line",
    [
        "webcam --duration nan",
        "webcam --duration inf",
        "video in.mp4 s.mp4 --alpha nan",
    ],
)
def test_what_is_no_number_is_refused(run: Run, tmp_path: Path, line: str) -> None:
    result: Ran = run(*line.split())
    assert result.code == 2
    assert "Invalid value for '--" in result.err
    assert list(tmp_path.glob("s.mp4")) == []


def test_escapes_in_a_file_s_name_are_shown_and_do_not_act(run: Run) -> None:
    result: Ran = run("video", f"{ESCAPE}[31mred\r.mp4", "out.mp4")
    assert result.code == 2
    assert r"\x1b[31mred\r.mp4" in result.err
    assert ESCAPE not in result.err


def test_the_version_is_the_package_s(run: Run) -> None:
    import streamseg

    result: Ran = run("--version")
    assert result.out == f"streamseg, version {streamseg.__version__}\n"
    full = json.loads(run("--version", "--json").out)
    assert full["streamseg"] == streamseg.__version__
    assert full["packages"]["av"] == av.__version__
    assert "libavcodec" in full["ffmpeg"]
    assert run("--json", "models").code == 2


def test_the_sample_is_copied_out(run: Run, tmp_path: Path) -> None:
    result: Ran = run("sample", "street.mp4")
    assert (result.code, result.err) == (0, "")
    assert result.out == "street.mp4: 110 frames, 960x540, 4.4 s\n"
    assert (tmp_path / "street.mp4").read_bytes() == street_clip().read_bytes()
    quiet: Ran = run("sample", "street.mp4", "--overwrite", "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8:strict"])
def test_a_name_that_the_outputs_encoding_lacks_fails_nothing(
    clip: Path, toy_model: Path, tmp_path: Path, encoding: str
) -> None:
    src = tmp_path / "\N{AUTOMOBILE}\udcff.mp4"
    src.write_bytes(clip.read_bytes())
    words = [sys.executable, "-m", "streamseg", "video", src, f"{src}.mkv", "--model", toy_model]
    command = [os.fsencode(str(word)) for word in words]
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONIOENCODING": encoding}
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 0
    assert b"\\udcff.mp4.mkv" in done.stdout
    done = subprocess.run(command, capture_output=True, env=environment, check=False)
    assert done.returncode == 2
    assert b"already exists" in done.stderr


def test_an_mp4_through_a_pipe_is_not_called_damaged(
    clip: Path, toy_model: Path, tmp_path: Path, cli: Cli
) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    data, apart = clip.read_bytes(), 1 << 20  # the index, further behind than FFmpeg remembers
    index = data.rindex(b"moov") - 4
    long = tmp_path / "long.mp4"
    long.write_bytes(
        data[:index] + apart.to_bytes(4, "big") + b"free" + bytes(apart - 8) + data[index:]
    )
    feeder = subprocess.Popen(["sh", "-c", f"cat '{long}' > '{pipe}'"], stderr=subprocess.DEVNULL)
    done = cli("video", pipe, tmp_path / "out.mp4", "--model", "MODEL")
    feeder.wait(10)
    assert done.returncode == 1
    assert "send MPEG-TS or Matroska" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.skipif(Path("/dev/nvidiactl").exists(), reason="a driver is here")
def test_nvenc_without_a_driver_names_the_driver(
    clip: Path, toy_model: Path, tmp_path: Path, cli: Cli
) -> None:
    codec = ["--codec", "h264_nvenc"]
    done = cli("video", clip, tmp_path / "out.mp4", "--model", "MODEL", *codec)
    if "unknown video encoder" in done.stderr:
        pytest.skip("this FFmpeg has no NVENC")
    assert done.returncode == 2
    assert "needs an NVIDIA GPU and its driver" in done.stderr
    assert len(done.stderr.splitlines()) == 1
