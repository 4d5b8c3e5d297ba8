"""What is built, what is not built again, and what is said of it; the rules: `test_selection`."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from streamseg.errors import DeviceMemoryError, EngineError
from streamseg.runtime.cache.folder import EngineCache
from tests.streamseg.engines_kit import HERE
from tests.streamseg.fake_backend import Behaviour
from tests.streamseg.runtime.choosing.kit import THERE, Run, is_onnxruntime


def fail() -> None:
    raise EngineError("TensorRT cannot parse node 7")


@pytest.mark.usefixtures("tensorrt")
def test_a_build_that_failed_is_not_tried_again_until_one_succeeds(
    run: Run, behaviour: Behaviour
) -> None:
    behaviour.while_building = fail
    for _ in range(3):
        assert is_onnxruntime(run.choose(precision="fp32"))
    assert len(behaviour.builds) == 1
    assert run.notices[-1].startswith("not tried again since 2")
    assert "TensorRT cannot parse node 7 ('streamseg build-engine' tries" in run.notices[-1]
    behaviour.while_building = lambda: None
    assert not is_onnxruntime(run.choose(precision="fp32", backend="tensorrt"))
    assert not is_onnxruntime(run.choose(precision="fp32"))


@pytest.mark.usefixtures("tensorrt")
def test_after_an_update_a_failing_build_is_tried_once_not_twice(
    run: Run, behaviour: Behaviour
) -> None:
    old = run.store(environment=THERE)
    behaviour.while_building = fail
    for _ in range(2):
        assert is_onnxruntime(run.choose(precision="fp32"))
    assert len(behaviour.builds) == 1
    assert old.exists(), "the machine may go back"


@pytest.mark.usefixtures("tensorrt")
def test_what_may_be_over_at_the_next_run_is_tried_again(run: Run, behaviour: Behaviour) -> None:
    behaviour.fits_build = 0
    for _ in range(2):
        assert is_onnxruntime(run.choose(precision="fp32", batch=1))
    assert run.cache.refusals.entries() == []
    assert len(behaviour.builds) > 5


@pytest.mark.usefixtures("tensorrt")
def test_auto_builds_only_where_somebody_watches(run: Run, behaviour: Behaviour) -> None:
    run.interactive = False
    assert is_onnxruntime(run.choose())
    assert behaviour.builds == []
    assert run.notices == [
        "TensorRT runs here and no engine for 96x64 is built: 'streamseg build-engine --size "
        "96x64' does that once, in minutes"
    ]


@pytest.mark.usefixtures("tensorrt")
@pytest.mark.parametrize("goes_on", [True, False])
def test_an_interrupt_ends_the_build_and_perhaps_not_the_run(
    run: Run, behaviour: Behaviour, goes_on: bool
) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    behaviour.while_building = interrupt
    run.goes_on = goes_on
    if goes_on:
        assert is_onnxruntime(run.choose(precision="fp32"))
        assert run.notices[-1] == "the build was stopped: going on without (--no-build skips it)"
    else:
        with pytest.raises(KeyboardInterrupt):
            run.choose(precision="fp32")
    assert run.cache.refusals.entries() == []


@pytest.mark.usefixtures("tensorrt")
def test_a_build_takes_the_timings_of_earlier_ones(run: Run, behaviour: Behaviour) -> None:
    run.choose(precision="fp32")
    (config,) = behaviour.builds
    assert config.timing_cache == run.cache.timing_cache(HERE)
    assert config.optimization_level == 2, "somebody waits"


@pytest.mark.usefixtures("tensorrt")
@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_an_engine_of_a_camera_is_not_kept_for_files(
    run: Run, behaviour: Behaviour, precision: str
) -> None:
    run.store(batch=(1, 1, 1), speedup=9.0)
    run.choose(precision="fp32", low_latency=True)
    assert behaviour.builds == [], "for a camera it is right"
    chosen = run.choose(precision="fp32")
    assert chosen.reason == "built now, the fastest here"
    assert [config.profile.batch for config in behaviour.builds] == [(1, 8, 16)]
    run.choose(precision="fp32")
    run.choose(precision="fp32", low_latency=True)
    assert len(behaviour.builds) == 1


@pytest.mark.usefixtures("tensorrt")
def test_where_that_cannot_be_built_the_cameras_engine_runs(run: Run, behaviour: Behaviour) -> None:
    run.store(batch=(1, 1, 1), speedup=9.0)
    behaviour.while_building = fail
    for _ in range(2):
        assert run.choose(precision="fp32").engine.spec.backend == "fake backend"
    assert len(behaviour.builds) == 1


@pytest.mark.usefixtures("tensorrt")
def test_fp32_that_was_built_for_want_of_onnx_gives_way_to_fp16(
    run: Run, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.store(speedup=5.0, batch=(1, 8, 16))
    with monkeypatch.context() as without:
        without.setattr("streamseg.runtime.choosing.candidates.find_spec", lambda _: None)
        assert run.choose().precision == "fp32"
        assert behaviour.builds == []
    # The toy's graph is in fp32; the backend does not look at it.
    monkeypatch.setattr(
        "streamseg.runtime.building.build.graph_of", lambda request, *_: request.model
    )
    assert run.choose().precision == "fp16"
    assert [config.precision for config in behaviour.builds] == ["fp16"]


@pytest.mark.usefixtures("tensorrt")
def test_fp32_for_want_of_onnx_is_said(
    run: Run, behaviour: Behaviour, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamseg.runtime.choosing.candidates.find_spec", lambda _: None)
    assert run.choose().precision == "fp32"
    assert run.notices[0] == (
        "TensorRT in fp16 is much faster and needs the package onnx: pip install onnx"
    )


def test_an_engine_of_a_neighbour_is_proven_here_once(run: Run, behaviour: Behaviour) -> None:
    there = HERE | {"gpu": "Toy 4000", "compute_capability": "8.9"}
    behaviour.environment = HERE | {"compute_capability": "8.6"}
    path = run.store(environment=there, hardware_compat="ampere+")
    # The fake's plans name one environment; this one is for both.
    header, _ = run.cache.load(path)
    payload = run.cache.load(run.store(environment=dict(behaviour.environment)))[1]
    run.cache.remove(run.store(environment=dict(behaviour.environment)))
    run.cache.store(replace(header, payload_sha256=_sha256(payload)), payload)
    assert run.choose().engine.spec.backend == "fake backend"
    assert run.notices == [
        "the TensorRT fp32 engine was built elsewhere: proving it here",
    ]
    assert behaviour.builds == []
    assert path.exists()
    run.notices.clear()
    assert run.choose().engine.spec.backend == "fake backend"
    assert run.notices == []


def _sha256(payload: bytes) -> str:
    import hashlib

    return hashlib.sha256(payload).hexdigest()


@pytest.mark.parametrize("hidden", [True, False])
def test_an_idle_gpu_is_mentioned(run: Run, monkeypatch: pytest.MonkeyPatch, hidden: bool) -> None:
    monkeypatch.setattr(
        "streamseg.runtime.choosing.selection.nvidia_device_is_there", lambda: not hidden
    )
    monkeypatch.setattr("streamseg.runtime.choosing.selection.find_spec", lambda _: None)
    assert is_onnxruntime(run.choose())
    if hidden:
        assert run.notices == []
    else:
        (said,) = run.notices
        assert said.startswith("an NVIDIA GPU is here, and this run is on the CPU: TensorRT is")
        assert "pip install 'tensorrt-cu13" in said


def test_a_hidden_gpu_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from streamseg.runtime.gpu import nvidia_device_is_there

    for value in ("", "-1"):
        monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", value)
        assert not nvidia_device_is_there()


def test_engines_lists_what_is_not_built_again(run: Run) -> None:
    from streamseg.cli.enginecommands import list_engines, prune_engines

    key = run.cache.load(run.store())[0].key
    run.cache.refusals.note(replace(key, environment=THERE), "toy", "TensorRT cannot parse it")
    text, values = list_engines(run.cache.folder)
    assert "not built again: TensorRT fp32 of toy, 96x64, batch 1:2:4, since 2" in text
    assert values["refused"][0]["why"] == "TensorRT cannot parse it"
    timings = run.cache.timing_cache(HERE)
    timings.touch()
    _, gone = prune_engines(run.cache.folder, "invalid", None)
    assert len(gone["removed"]) == 1, "of another machine"
    run.cache.refusals.note(replace(key, exclude=("a",)), "toy", "too slow")
    _, gone = prune_engines(run.cache.folder, "all", None)
    assert len(gone["removed"]) == 3
    assert not timings.exists()
    assert not EngineCache(run.cache.folder).refusals.entries()


def test_a_full_gpu_is_no_lasting_reason(run: Run, behaviour: Behaviour) -> None:
    def full() -> None:
        raise DeviceMemoryError("fake GPU: out of memory")

    run.store(environment=THERE, batch=(1, 1, 1))
    behaviour.while_building = full
    assert is_onnxruntime(run.choose())
    assert run.cache.refusals.entries() == []
