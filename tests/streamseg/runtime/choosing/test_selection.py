"""Which engine runs: the fastest that works, never one of another machine, and a word on why."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from streamseg.errors import EngineError, UsageError
from streamseg.runtime.backends.base import BackendUnavailableError
from streamseg.runtime.choosing.candidates import Wanted
from streamseg.runtime.choosing.choice import size_matters
from streamseg.runtime.choosing.companion import companion_path
from streamseg.runtime.choosing.selection import Selector
from streamseg.runtime.options import EngineOptions
from tests.streamseg.fake_backend import Behaviour
from tests.streamseg.fakes import toy_header
from tests.streamseg.runtime.choosing.kit import SLOW, THERE, Run, is_onnxruntime


def test_without_engines_onnxruntime_runs(run: Run) -> None:
    chosen = run.choose()
    assert is_onnxruntime(chosen)
    assert (chosen.precision, chosen.reason) == ("fp32", "no faster engine is built")
    assert run.notices == []


def test_auto_takes_the_fastest_proven_engine(run: Run) -> None:
    run.store(speedup=1.5)
    run.store(speedup=4.0, precision="fp16")
    run.store(speedup=9.0, precision="int8", model_sha256="00" * 32)
    chosen = run.choose()
    assert chosen.engine.spec.backend == "fake backend"
    assert chosen.precision == "fp16"
    assert chosen.reason == "4.00 times as fast as ONNX Runtime fp32 when it was built"
    assert run.notices == []


def test_auto_leaves_an_engine_that_is_slower(run: Run) -> None:
    run.store(speedup=0.8)
    chosen = run.choose()
    assert is_onnxruntime(chosen)
    assert "faster than the engines that are built" in chosen.reason


def test_an_engine_for_another_size_is_not_taken(run: Run) -> None:
    run.store()
    selector = Selector(
        Wanted(model=run.model, header=toy_header(), size=(64, 64), threads=1), cache=run.cache
    )
    assert is_onnxruntime(selector.choose())


def test_a_precision_that_was_asked_for_is_taken(run: Run) -> None:
    run.store(speedup=2.0, precision="fp32")
    run.store(speedup=9.0, precision="int8")
    assert run.choose(precision="fp32").precision == "fp32"


@pytest.mark.parametrize("backend", ["auto", "tensorrt"])
def test_an_engine_of_another_version_is_rebuilt_visibly(
    run: Run, behaviour: Behaviour, backend: str
) -> None:
    old = run.store(environment=THERE)
    chosen = run.choose(backend=backend)
    assert chosen.engine.spec.backend == "fake backend"
    assert chosen.reason == "built anew: built for fake 0.9, here 1.0"
    assert len(behaviour.builds) == 1
    assert run.notices[0] == (
        "the TensorRT fp32 engine is built anew: built for fake 0.9, here 1.0"
    )
    assert run.notices[-1].startswith("built in 0.")
    assert not old.exists()
    (entry,) = run.cache.entries()
    run.notices.clear()
    assert run.choose(backend=backend).engine.spec.backend == "fake backend"
    assert run.notices == [], "the second run finds it"
    assert run.cache.entries() == [entry]


@pytest.mark.parametrize("backend", ["auto", "tensorrt"])
def test_with_no_build_the_next_backend_runs_and_one_line_says_so(
    run: Run, behaviour: Behaviour, backend: str
) -> None:
    old = run.store(environment=THERE)
    chosen = run.choose(backend=backend, build=False)
    assert is_onnxruntime(chosen)
    assert chosen.reason == "TensorRT fp32: built for fake 0.9, here 1.0"
    assert run.notices == [
        "the TensorRT fp32 engine is not used and, with --no-build, not built anew: "
        "built for fake 0.9, here 1.0"
    ]
    assert (behaviour.builds, behaviour.loads) == ([], [])
    assert old.exists()


def test_an_engine_of_another_machine_in_a_shared_cache_is_left_alone(
    run: Run, behaviour: Behaviour
) -> None:
    old = run.store()
    behaviour.environment = BackendUnavailableError("TensorRT is not installed; pip install it")
    chosen = run.choose()
    assert is_onnxruntime(chosen)
    assert chosen.reason == "TensorRT fp32: TensorRT is not installed; pip install it"
    assert run.notices == []
    assert old.exists()


def test_a_backend_asked_for_by_name_must_be_there(run: Run, behaviour: Behaviour) -> None:
    behaviour.environment = BackendUnavailableError("the driver 470 is too old: wants 580")
    with pytest.raises(BackendUnavailableError, match="driver 470 is too old"):
        run.choose(backend="tensorrt")


def test_a_backend_asked_for_by_name_is_built(run: Run, behaviour: Behaviour) -> None:
    behaviour.infer_seconds = SLOW
    chosen = run.choose(backend="tensorrt", precision="fp32", batch=2, low_latency=True)
    assert (chosen.reason, chosen.precision) == ("asked for", "fp32")
    (config,) = behaviour.builds
    assert config.profile.opt_size == (96, 64)
    assert config.profile.batch == (1, 2, 2)
    assert run.notices[0] == "building the TensorRT fp32 engine of toy"
    behaviour.infer_seconds = 0
    assert is_onnxruntime(run.choose()), "auto does not take what was slower"


def test_asked_for_by_name_with_no_build_and_nothing_built(run: Run) -> None:
    chosen = run.choose(backend="tensorrt", build=False)
    assert is_onnxruntime(chosen)
    assert run.notices == [
        "no TensorRT fp16 engine for 96x64 is built: ONNX Runtime fp32 is used (--no-build)"
    ]


def test_int8_must_be_calibrated_first(run: Run) -> None:
    with pytest.raises(UsageError, match="int8 is calibrated on pictures: run 'streamseg build-e"):
        run.choose(backend="tensorrt", precision="int8")


@pytest.mark.parametrize("backend", ["auto", "tensorrt"])
def test_a_damaged_engine_is_built_anew_or_left_and_said(run: Run, backend: str) -> None:
    path = run.store()
    data = bytearray(path.read_bytes())
    data[-3] ^= 4
    path.write_bytes(data)
    chosen = run.choose(backend=backend)
    assert "checksum is wrong" in run.notices[0]
    assert chosen.engine.spec.backend == "fake backend"
    assert run.cache.load(path)


@pytest.mark.parametrize("backend", ["auto", "tensorrt"])
def test_a_damaged_engine_with_no_build_is_left_and_said(run: Run, backend: str) -> None:
    path = run.store()
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert is_onnxruntime(run.choose(backend=backend, build=False))
    (said,) = run.notices
    assert "checksum is wrong" in said


@pytest.mark.parametrize("backend", ["auto", "tensorrt"])
def test_files_that_cannot_be_read_are_said_in_one_line(run: Run, backend: str) -> None:
    run.store().write_bytes(b"cut off")
    (run.cache.folder / "odd.engine").write_bytes(b"")
    assert is_onnxruntime(run.choose(backend=backend, build=False))
    assert " and 1 more cannot be used: " in run.notices[0]
    assert run.notices[0].endswith(
        "('streamseg engines' lists, 'streamseg engines --prune' removes them)"
    )


def test_a_precision_that_nobody_built_is_said(run: Run) -> None:
    assert run.choose(precision="fp16").precision == "fp32"
    (said,) = run.notices
    assert said.startswith("no fp16 engine for 96x64 is built: ONNX Runtime fp32 is used")


def test_a_rebuilt_engine_that_lost_its_worth_is_said_and_not_tried_again(
    run: Run, behaviour: Behaviour
) -> None:
    run.store(environment=THERE, batch=(1, 1, 1))
    behaviour.infer_seconds = SLOW
    assert is_onnxruntime(run.choose())
    assert "refused and not kept: it is no faster than ONNX Runtime fp32" in run.notices[-1]
    assert run.cache.entries() == []


def test_a_cache_that_is_not_private_is_not_used(run: Run) -> None:
    run.store()
    run.cache.folder.chmod(0o777)
    chosen = run.choose()
    assert is_onnxruntime(chosen)
    assert run.notices[0].startswith("engines of the cache are not used: ")
    assert "other users can write there" in run.notices[0]


@pytest.mark.usefixtures("tensorrt")
def test_auto_builds_where_tensorrt_runs(run: Run, behaviour: Behaviour) -> None:
    chosen = run.choose(precision="fp32")
    assert chosen.reason == "built now, the fastest here"
    assert len(behaviour.builds) == 1
    assert run.choose(precision="fp32").engine.spec.backend == "fake backend"
    assert len(behaviour.builds) == 1


@pytest.mark.usefixtures("tensorrt")
def test_what_the_gate_refused_is_not_built_at_every_run(run: Run, behaviour: Behaviour) -> None:
    behaviour.infer_seconds = SLOW
    assert is_onnxruntime(run.choose(precision="fp32", low_latency=True))
    assert "refused and not kept" in run.notices[-1]
    run.notices.clear()
    assert is_onnxruntime(run.choose(precision="fp32", low_latency=True))
    assert len(behaviour.builds) == 1
    (said,) = run.notices
    assert said.startswith("not tried again since 2")
    assert "it is no faster than ONNX Runtime fp32" in said


@pytest.mark.usefixtures("tensorrt")
def test_a_build_that_fails_leaves_onnxruntime(run: Run, behaviour: Behaviour) -> None:

    def fail() -> None:
        raise EngineError("TensorRT cannot parse node 7")

    behaviour.while_building = fail
    assert is_onnxruntime(run.choose(precision="fp32"))
    assert run.notices[-1] == "no TensorRT engine could be built: TensorRT cannot parse node 7"


def test_a_full_device_gets_smaller_batches_and_a_line_each(run: Run, behaviour: Behaviour) -> None:
    run.store()
    behaviour.fits = 1
    chosen = run.choose(batch=4)
    assert chosen.engine.spec.batch == 1
    assert run.notices == [
        "fake GPU: no memory for 4 frames; going on with batches of 2",
        "fake GPU: no memory for 2 frames; going on with batches of 1",
    ]


def test_names_that_are_none_are_refused(model: Path) -> None:
    with pytest.raises(UsageError, match="unknown backend 'openvino'; known: auto, tensorrt, onn"):
        EngineOptions(model=model, backend="openvino")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="unknown precision 'fp8'; known: fp32, fp16, int8"):
        EngineOptions(model=model, precision="fp8")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("backend", "matters"), [("onnxruntime", False), ("auto", False), ("torch", True)]
)
def test_only_engines_made_for_a_size_ask_for_it(
    behaviour: Behaviour,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    backend: str,
    matters: bool,
) -> None:
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "none"))
    monkeypatch.setattr("streamseg.runtime.choosing.choice.find_spec", lambda _: None)
    assert size_matters(backend) == matters


def test_the_incumbent_is_the_fastest_other_engine(run: Run) -> None:
    run.store(speedup=2.0, precision="fp16")
    path = run.store(speedup=5.0)
    selector = Selector(
        Wanted(model=run.model, header=toy_header(), size=(96, 64), threads=1), cache=run.cache
    )
    key = run.cache.load(path)[0].key
    found = selector.incumbent(replace(key, model_sha256="0" * 64))
    assert found is not None
    assert found[0].startswith("TensorRT fp32 (toy-tensorrt-fp32-")
    itself_left_out = selector.incumbent(key)
    assert itself_left_out is not None
    assert itself_left_out[0].startswith("TensorRT fp16")


@pytest.fixture
def with_int8(model: Path, tmp_path: Path, behaviour: Behaviour) -> Run:
    """A model with an int8 graph beside it (the same graph: what it computes is not the point)."""
    own = tmp_path / "model" / "toy.onnx"
    own.parent.mkdir()
    shutil.copy(model, own)
    shutil.copy(model, companion_path(own))
    return Run(own, tmp_path)


@pytest.mark.parametrize("pays", [True, False])
def test_auto_takes_int8_beside_the_model_where_it_pays(
    with_int8: Run, pays: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "streamseg.runtime.choosing.selection.speedup_here", lambda: 1.5 if pays else 1.0
    )
    chosen = with_int8.choose()
    assert is_onnxruntime(chosen)
    assert chosen.precision == ("int8" if pays else "fp32")
    assert chosen.engine.spec.path.name == ("toy.int8.onnx" if pays else "toy.onnx")
    assert with_int8.choose(precision="fp32").precision == "fp32"
    assert with_int8.choose(backend="onnxruntime").precision == "fp32"
    for backend in ("auto", "onnxruntime"):
        asked = with_int8.choose(backend=backend, precision="int8", build=backend == "auto")
        assert (asked.precision, asked.reason) == ("int8", "asked for")
    assert with_int8.notices == []


def test_an_engine_must_beat_int8_where_that_pays(
    with_int8: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamseg.runtime.choosing.selection.speedup_here", lambda: 1.5)
    with_int8.store(speedup=1.3)
    assert with_int8.choose().precision == "int8"
    with_int8.store(speedup=4.0, precision="fp16")
    assert with_int8.choose().precision == "fp16"


def test_a_new_engine_is_measured_against_int8_where_that_pays(
    with_int8: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamseg.runtime.choosing.selection.speedup_here", lambda: 1.5)
    selector = Selector(
        Wanted(model=with_int8.model, header=toy_header(), size=(96, 64)), cache=with_int8.cache
    )
    key = with_int8.cache.load(with_int8.store())[0].key
    with_int8.cache.remove(with_int8.store())
    found = selector.incumbent(key)
    assert found is not None
    title, engine = found
    with engine:
        assert (title, engine.spec.path.name) == ("ONNX Runtime int8", "toy.int8.onnx")
    itself = replace(key, backend="onnxruntime", config=replace(key.config, precision="int8"))
    assert selector.incumbent(itself) is None


def test_a_broken_int8_graph_is_named_once_and_fp32_runs(
    with_int8: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamseg.runtime.choosing.selection.speedup_here", lambda: 1.5)
    companion_path(with_int8.model).write_bytes(b"")
    assert with_int8.choose().precision == "fp32"
    (notice,) = with_int8.notices
    assert notice.startswith("int8 is not used: ")
    assert "toy.int8.onnx: not an ONNX file, or a truncated one" in notice
