"""The one command for a GPU: a part that ends badly costs only itself, and all is written down."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import av
import pytest
from click.testing import CliRunner

from benchmarks.gpu import main, parts_of, run_all
from benchmarks.gpureport import markdown
from benchmarks.guarded import Part, Result
from benchmarks.material import write_clip, write_pictures
from tests.docs.examples import unknown_options


def test_its_commands_have_the_options_that_they_use(tmp_path: Path) -> None:
    parts = parts_of(tmp_path)
    assert len({part.name for part in parts}) == len(parts)
    for part in parts:
        if part.name not in ("card", "tests"):
            assert unknown_options(["python", *part.command[1:]]) == [], part.name


def test_all_are_run_however_each_ends(tmp_path: Path) -> None:
    def fake(name: str, code: str, seconds: float = 20) -> Part:
        return Part(name=name, command=[sys.executable, "-c", code], seconds=seconds)

    parts = [
        fake("fails", "raise SystemExit('no kernel | image')"),
        Part(name="absent", command=["no-such-program"], seconds=5),
        fake("hangs", "import time; time.sleep(60)", seconds=0.5),
        fake("crashes", "import os; os.abort()"),
        fake("cache", "import os; print(os.environ['STREAMSEG_CACHE'])"),
    ]
    out = tmp_path / "new" / "v1.2"
    run_all(parts, seconds=60, cache=tmp_path / "engines", out=out)
    found = json.loads((tmp_path / "new" / "v1.2.json").read_text())["parts"]
    assert [(part["name"], part["outcome"]) for part in found] == [
        ("fails", "failed"),
        ("absent", "not started"),
        ("hangs", "out of time"),
        ("crashes", "failed"),
        ("cache", "done"),
    ]
    assert found[-1]["output"] == str(tmp_path / "engines")
    text = (tmp_path / "new" / "v1.2.md").read_text()
    assert "1 of 5 parts ran to their end." in text
    assert "| fails | failed | 0 | no kernel / image |" in text


def test_what_ends_the_run_leaves_a_report_of_what_was_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Part(name="one", command=[sys.executable, "-c", "print(1)"], seconds=20)
    stops = Part(name="two", command=["two"], seconds=20)

    def run(part: Part, **_: object) -> Result:
        if part is stops:
            raise KeyboardInterrupt
        return Result(name=part.name, outcome="done", seconds=1)

    monkeypatch.setattr("benchmarks.gpu.run", run)
    with pytest.raises(KeyboardInterrupt):
        run_all([done, stops], seconds=60, cache=tmp_path, out=tmp_path / "report")
    assert "| one | done | 1 |  |" in (tmp_path / "report.md").read_text()


def test_the_report_says_how_near_the_targets_are() -> None:
    timings = [{"batch": 1, "ms": 1.0, "fps": 900.0}, {"batch": 8, "ms": 4.0, "fps": 2000.0}]
    built = {"build_seconds": 60.0, "proof": {"share": 0.999, "speed": {"timings": timings}}}
    roof = {"tflop_per_second": 700.0, "gb_per_second": 4000.0, "ms_per_frame": 0.25, "fps": 4000.0}
    fps = {"ours": 380.0, "engine": 2000.0, "transcode": 400.0}
    limits = {"engine": "tensorrt", "fps": fps, "share_of_limit": 1.1}
    text = markdown(
        [
            Result(name="roofline", outcome="done", seconds=5, values=roof),
            Result(name="tensorrt-fp16", outcome="done", seconds=70, values=built),
            Result(name="tensorrt-limits-4K", outcome="done", seconds=70, values=limits),
            Result(name="torch-limits-540p", outcome="failed", seconds=70, why="no", values=limits),
        ],
        {"processor": "one"},
    )
    assert "99.90 % equal labels, 2000 fps at batch 8" in text
    assert "| TensorRT fp16, engine alone / roofline | 0.50 | 0.50 |" in text
    assert "| TensorRT, 4K, end to end / min(engine, transcode) | 0.95 | 0.95 |" in text
    assert "540p, end to end" not in text


def test_without_a_gpu_it_says_so_and_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    found = CliRunner().invoke(main, ["--out", str(tmp_path / "report")])
    assert found.exit_code == 0
    assert found.output.startswith("No NVIDIA GPU is to be seen here: nothing was run.")
    assert list(tmp_path.iterdir()) == []


def test_a_part_that_is_none_is_refused() -> None:
    found = CliRunner().invoke(main, ["--only", "doktor"])
    assert found.exit_code == 2
    assert "no part is called doktor" in found.output


def test_the_drawn_pictures_are_a_data_set(tmp_path: Path) -> None:
    write_pictures(tmp_path / "pictures", count=2)
    for split in ("train", "val"):
        assert len(list((tmp_path / "pictures" / split).iterdir())) == 2
        assert len(list((tmp_path / "pictures" / f"{split}annot").iterdir())) == 2


def test_a_clip_has_the_size_that_was_asked_for(tmp_path: Path) -> None:
    write_clip(tmp_path / "clip.mp4", (320, 180), frames=3)
    with av.open(str(tmp_path / "clip.mp4")) as clip:
        frames = list(clip.decode(video=0))
    assert [(frame.width, frame.height) for frame in frames] == [(320, 180)] * 3
