"""build-engine, engines, doctor, and --engine: what people type, and what they read."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from click.testing import CliRunner

from streamseg.cli.main import main
from streamseg.runtime.backends import names
from tests.streamseg import fake_backend
from tests.streamseg.engines_kit import listing
from tests.streamseg.fake_backend import Behaviour
from tests.streamseg.slow_model import write_pictures, write_slow_toy


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str


Run = Callable[..., Ran]


@pytest.fixture
def behaviour(monkeypatch: pytest.MonkeyPatch) -> Behaviour:
    monkeypatch.setitem(names.BACKENDS, "tensorrt", fake_backend.__name__)
    monkeypatch.setattr("streamseg.runtime.choosing.maker.find_spec", lambda _: None)
    monkeypatch.setattr("streamseg.runtime.choosing.choice.find_spec", lambda _: None)
    fake_backend.behaviour = Behaviour()
    return fake_backend.behaviour


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("slow")
    write_pictures(folder / "pictures")
    return write_slow_toy(folder / "toy.onnx")


@pytest.fixture
def run(
    slow_model: Path, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Run:
    """Run a command here; ``build`` stands for build-engine with model, backend and pictures."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "engines"))
    monkeypatch.setattr("streamseg.runtime.building.timing.ROUND_SECONDS", 0.05)
    build = ["build-engine", "--model", slow_model, "--backend", "tensorrt", "--threads", "1"]
    build += ["--pictures", slow_model.parent / "pictures", "--precision", "fp32"]
    build += ["--batch", "1:2:4"]

    def call(*args: str | Path) -> Ran:
        words = [*build, *args[1:]] if args[0] == "build" else list(args)
        result = CliRunner().invoke(main, [str(word) for word in words])
        return Ran(result.exit_code, result.stdout, result.stderr)

    return call


def test_a_build_ends_with_one_table(run: Run, tmp_path: Path) -> None:
    ran: Ran = run("build")
    assert ran.code == 0, ran.err
    head, reference, *rows = ran.out.splitlines()
    assert head.split() == ["engine", "batch", "ms", "fps", "agreement", "file", "build"]
    assert reference.split()[:4] == ["ONNX", "Runtime", "fp32", "1"]
    assert [row.split()[2] for row in rows[:3]] == ["1", "2", "4"]
    assert "100.00 %" in rows[0]
    assert rows[3].startswith("measured on 4 pictures of ")
    (name,) = listing(tmp_path / "engines")
    assert rows[-1] == f"engine: {tmp_path / 'engines' / name}"
    for phase in ("tactics", "comparing", "timing"):
        assert phase in ran.err.splitlines()
    assert "\x1b" not in ran.out + ran.err
    again: Ran = run("build")
    assert "there already, built " in again.out


def test_a_refused_build_exits_with_1_and_leaves_nothing(
    run: Run, behaviour: Behaviour, tmp_path: Path
) -> None:
    behaviour.wrong_share = 0.1
    ran: Ran = run("build", "--json", "result.json")
    assert ran.code == 1
    assert "not kept" in ran.out
    last = ran.err.splitlines()[-1]
    assert last.startswith("error: the TensorRT fp32 engine of toy was refused and not kept: it ag")
    values = json.loads((tmp_path / "result.json").read_text())
    assert values["path"] is None
    assert values["refused"] in ran.err
    assert values["proof"]["share"] < 0.95
    assert listing(tmp_path / "engines") == set()
    behaviour.wrong_share = 0.05
    assert run("build", "--min-agreement", "0.9").code == 0


def test_json_of_a_build_is_nothing_but_json(run: Run, tmp_path: Path) -> None:
    ran: Ran = run("build", "--json", "-", "--out", "elsewhere")
    values = json.loads(ran.out)
    assert ran.err == ""
    assert values["config"]["batch"] == [1, 2, 4]
    assert values["built"] is True
    assert Path(values["path"]).parent == Path("elsewhere")
    assert listing(tmp_path / "elsewhere") == {Path(values["path"]).name}


def test_engines_are_listed_with_why_not_and_pruned(
    run: Run, behaviour: Behaviour, tmp_path: Path
) -> None:
    assert "no engines; build one with" in run("engines").out
    run("build", "--allow-slower")
    behaviour.environment = {"fake": "2.0", "gpu": "Toy 4000"}
    run("build", "--allow-slower")
    (tmp_path / "engines" / "odd.engine").write_text("what is this")
    ran: Ran = run("engines")
    assert ran.code == 0
    head, *rows = ran.out.splitlines()
    assert head.split()[0] == "model"
    assert len(rows) == 4
    assert rows[-1].endswith("3 engines, 0.0 MB")
    text = "\n".join(rows)
    assert "not valid: built for fake 1.0, here 2.0; gpu Toy 3000, here Toy 4000" in text
    assert "odd.engine" in text
    assert "not valid: not an engine file of streamseg; remove it" in text
    assert sum(row.endswith("  valid") for row in rows) == 1
    values = json.loads(run("engines", "--json", "-").out)
    assert [e["valid"] for e in values["engines"]].count(True) == 1
    assert "3 engines" not in run("engines", "--prune", "--older", "1").out
    ran = run("engines", "--prune")
    assert ran.out.splitlines()[-1].endswith("2 engines removed, 0.0 MB")
    assert len(listing(tmp_path / "engines")) == 1
    assert run("engines", "--prune", "all").code == 0
    assert listing(tmp_path / "engines") == set()


BAD = [
    ("build --size big", "size is 'big'; write WIDTHxHEIGHT"),
    ("build --size 100x64", "toy takes width and height in multiples of 32, got 100x64"),
    ("build --min 96x64", "a range of sizes needs all three: --min, --opt and --max"),
    ("build --size 96x64 --min 96x64", "--size is for one size only"),
    (
        "build --min 96x96 --opt 96x64 --max 96x96",
        "sizes must grow from min over opt to max",
    ),
    ("build --batch 8:4:1", "batch must be 1 <= min <= opt <= max, got 8:4:1"),
    ("build --batch many", "batch is 'many'; write MIN:OPT:MAX"),
    ("build --max-drop 1", "--max-drop is about mIoU: give labelled pictures with --data DIR"),
    ("build --data .", "val: no such folder; --data wants pictures in val/"),
    ("build --model nope", "unknown model 'nope'"),
    ("build --json gone/x.json", "the folder gone does not exist"),
    ("build --backend onnxruntime", "there is nothing to build; use --precision int8 or fp16"),
    ("build --sensitivity --precision fp16", "--sensitivity is about int8"),
    ("engines --older 3", "--older says what to remove: use it with --prune"),
]


@pytest.mark.parametrize(("line", "message"), BAD, ids=[line for line, _ in BAD])
def test_a_bad_command_line_gets_one_sentence(
    run: Run, tmp_path: Path, line: str, message: str
) -> None:
    ran: Ran = run(*line.split())
    assert ran.code == 2
    assert message in ran.err
    assert "Traceback" not in ran.err
    assert ran.out == ""
    assert listing(tmp_path) == set()


def test_a_missing_backend_is_an_error_with_a_hint(run: Run, behaviour: Behaviour) -> None:
    behaviour.environment = OSError("libnvinfer.so.11: cannot open shared object file")
    ran: Ran = run("build")
    assert ran.code == 1
    assert ran.err.splitlines()[-1].startswith("error: TensorRT cannot be used here (OSError: lib")
    assert "streamseg doctor" in ran.err


def test_doctor_answers_in_words_and_in_json(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    probes = {"good": lambda: "fine", "bad": lambda: str(1 // 0)}
    monkeypatch.setattr("streamseg.cli.doctor.PROBES", probes)
    ran: Ran = run("doctor")
    assert ran.code == 0
    assert "! bad   broken: ZeroDivisionError: " in ran.out
    assert "auto will use: ONNX Runtime " in ran.out
    values = json.loads(run("doctor", "--json", "-").out)
    assert [f["state"] for f in values["findings"]] == ["ok", "broken"]


def test_a_video_says_which_engine_ran_and_why(
    run: Run, slow_model: Path, clip: Path, behaviour: Behaviour, tmp_path: Path
) -> None:
    def video(out: str, *options: str) -> tuple[Ran, dict[str, object]]:
        ran: Ran = run(
            *("video", clip, out, "--model", slow_model, "--json", f"{out}.json", *options)
        )
        assert ran.code == 0, ran.err
        return ran, json.loads(Path(f"{out}.json").read_text())

    assert run("build").code == 0
    ran, stats = video("a.mp4")
    assert (stats["engine"], stats["precision"]) == ("fake backend", "fp32")
    assert str(stats["engine_reason"]).endswith("as fast as ONNX Runtime fp32 when it was built")
    assert f"chosen: {stats['engine_reason']}" in ran.out
    ran, stats = video("b.mp4", "--engine", "onnxruntime")
    assert str(stats["engine"]).startswith("ONNX Runtime")
    behaviour.environment = {"fake": "2.0", "gpu": "Toy 3000"}
    ran, stats = video("c.mp4", "--no-build")
    assert str(stats["engine"]).startswith("ONNX Runtime")
    assert stats["engine_reason"] == "TensorRT fp32: built for fake 1.0, here 2.0"
    assert stats["engine_notices"] == [
        "the TensorRT fp32 engine is not used and, with --no-build, not built anew: "
        "built for fake 1.0, here 2.0"
    ]
    assert str(stats["engine_notices"][0]) in ran.err


def test_a_camera_s_engine_is_chosen_for_its_size(
    run: Run, slow_model: Path, clip: Path, behaviour: Behaviour, tmp_path: Path
) -> None:
    assert run("build").code == 0
    ran: Ran = run(
        *("webcam", "--source", clip, "--realtime", "--model", slow_model, "--json", "-")
    )
    stats = json.loads(ran.out)
    assert (stats["engine"], stats["batch"]) == ("fake backend", 1)
    assert stats["frames"] + stats["dropped"] == 12


def test_an_engine_that_is_missing_ends_a_run_with_a_hint(
    run: Run, slow_model: Path, clip: Path, behaviour: Behaviour, tmp_path: Path
) -> None:
    behaviour.environment = OSError("no driver")
    ran: Ran = run("video", clip, "o.mp4", "--model", slow_model, "--engine", "tensorrt")
    assert ran.code == 1
    assert "TensorRT cannot be used here (OSError: no driver)" in ran.err
    assert not (tmp_path / "o.mp4").exists()
