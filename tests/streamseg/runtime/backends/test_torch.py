"""A little network of the contract, compiled for real where there is a compiler."""

from __future__ import annotations

import json
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from streamseg.errors import EngineError, ModelError, is_out_of_memory
from streamseg.models.modelfile import ModelHeader
from streamseg.runtime.backends import torch as torch_backend
from streamseg.runtime.backends import torch_build
from streamseg.runtime.backends.base import (
    BackendUnavailableError,
    BuildConfig,
    LoadOptions,
    Profile,
)
from streamseg.runtime.backends.torch import TorchEngine, load
from streamseg.runtime.backends.torch_program import read_program_header
from tests.streamseg.fakes import toy_header
from tests.streamseg.runtime.backends.toy_program import Toy, write_program

torch.set_num_threads(1)

PROFILE = Profile(batch=(1, 2, 3), min_size=(64, 32), opt_size=(64, 64), max_size=(96, 64))
needs_compiler = pytest.mark.skipif(
    not torch_build.has_compiler(), reason="AOTInductor needs a C++ compiler"
)


def frames(n: int = 1, height: int = 64, width: int = 64) -> NDArray[np.uint8]:
    return np.random.default_rng(n).integers(0, 256, (n, height, width, 3)).astype(np.uint8)


def expected(frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
    with torch.no_grad():
        return np.asarray(Toy()(torch.from_numpy(frames_NHWC.copy())).numpy())


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Name of a model file with a program beside it; nothing here opens the model file."""
    path = tmp_path_factory.mktemp("torch") / "toy.onnx"
    write_program(path.with_suffix(".pt2"), toy_header())
    return path


@pytest.fixture(scope="session")
def package(model: Path) -> bytes:
    told: list[tuple[str, int, int]] = []
    payload = torch_backend.build(
        model,
        toy_header(),
        BuildConfig(profile=PROFILE),
        progress=lambda *step: told.append(step),
    )
    assert told == [
        ("tracing", 0, 1),
        ("tracing", 1, 1),
        ("compiling", 0, 1),
        ("compiling", 1, 1),
    ]
    return payload


@needs_compiler
@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 32, 96), (2, 64, 96), (7, 32, 64)])
def test_a_package_says_what_the_network_says(
    package: bytes, model: Path, shape: tuple[int, int, int]
) -> None:
    given = frames(*shape)
    given.flags.writeable = False
    with load(package, toy_header(), model, LoadOptions(threads=1)) as engine:
        labels = engine.infer(given)
        assert engine.spec.backend == f"PyTorch {torch.__version__}, CPU"
        assert (engine.spec.batch, engine.spec.workers, engine.spec.threads) == (1, 1, 1)
    assert labels.dtype == np.uint8
    assert labels.shape == shape
    assert (labels == expected(given)).mean() > 0.999
    assert len(np.unique(labels)) > 1


@needs_compiler
def test_a_size_it_was_not_compiled_for_never_reaches_it(package: bytes, model: Path) -> None:
    with (
        load(package, toy_header(), model, LoadOptions(threads=1)) as engine,
        pytest.raises(EngineError, match=r"takes 64x32 to 96x64, not 128x64; build one for"),
    ):
        engine.infer(frames(1, 64, 128))


@needs_compiler
def test_many_threads_get_their_own_answers(package: bytes, model: Path) -> None:
    given = [frames(n) for n in (1, 2, 3, 1, 2, 3)]
    found: list[NDArray[np.uint8] | None] = [None] * len(given)
    with load(package, toy_header(), model, LoadOptions(threads=2)) as engine:
        assert engine.spec.workers == 2

        def work(index: int) -> None:
            for _ in range(5):
                found[index] = engine.infer(given[index])

        threads = [threading.Thread(target=work, args=(i,)) for i in range(len(given))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for frames_NHWC, labels in zip(given, found, strict=True):
        assert labels is not None
        assert (labels == expected(frames_NHWC)).mean() > 0.999


@needs_compiler
def test_a_low_latency_engine_takes_one_call_at_a_time(package: bytes, model: Path) -> None:
    with load(
        package, toy_header(), model, LoadOptions(threads=4, batch=9, low_latency=True)
    ) as engine:
        assert (engine.spec.workers, engine.spec.threads) == (1, 4)
        assert engine.spec.batch == 3, "no more than it was built for"


@needs_compiler
def test_a_package_for_a_gpu_says_that_there_is_none(
    package: bytes, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    compiled, built = torch_backend._contents(package, model)
    assert compiled
    assert built == json.loads(
        json.dumps(torch_build.describe(BuildConfig(profile=PROFILE), "cpu"))
    )
    monkeypatch.setattr(torch_backend, "_contents", lambda *_: (True, built | {"device": "cuda"}))
    with pytest.raises(BackendUnavailableError, match="built for a GPU, and torch finds none"):
        load(package, toy_header(), model, LoadOptions())


def test_a_program_runs_as_it_is(model: Path) -> None:
    program = model.with_suffix(".pt2")
    assert read_program_header(program) == toy_header()
    with load(program.read_bytes(), toy_header(), program, LoadOptions(threads=1)) as engine:
        assert engine.spec.backend.endswith("CPU, not compiled")
        assert np.array_equal(engine.infer(frames(2)), expected(frames(2)))
        with pytest.raises(ValueError, match="multiples of 32"):
            engine.infer(frames(1, 33, 64))
    engine.close()
    with pytest.raises(EngineError, match="the engine is closed"):
        engine.infer(frames())


def test_a_program_in_half_precision_casts_and_agrees(model: Path) -> None:
    program = torch_build.open_program(model, toy_header())
    profile = Profile(batch=(1, 1, 2), min_size=(64, 64), opt_size=(64, 64), max_size=(64, 64))
    half = torch_build.specialise(program, torch.bfloat16, "cpu", profile)
    calls = [node for node in half.graph.nodes if node.op == "call_function"]
    for node in calls:
        value = node.meta.get("val")
        if not isinstance(value, Tensor):  # arithmetic of sizes, and guards
            continue
        if "convolution" in str(node.target) or "conv2d" in str(node.target):
            assert value.dtype == torch.bfloat16
        if "arange" in str(node.target) or "abs" in str(node.target):
            assert value.dtype != torch.bfloat16, "pixels cannot be counted in eight bits"
    assert {v.dtype for v in half.state_dict.values() if v.dim() == 4} == {torch.bfloat16}
    assert {v.dtype for v in program.state_dict.values()} == {torch.float32}
    with torch.no_grad():
        labels = half.module()(torch.from_numpy(frames(2))).numpy()
    assert (labels == expected(frames(2))).mean() > 0.97


def test_without_a_compiler_a_cpu_is_refused_in_one_sentence(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if torch.cuda.is_available():
        pytest.skip("a GPU runs the program as it is")
    monkeypatch.setenv("CXX", "no-such-compiler")
    with (
        torch._inductor.config.patch({"cpp.cxx": (None, "no-such-compiler")}),
        pytest.raises(BackendUnavailableError, match=r"C\+\+ compiler and finds none: install"),
    ):
        torch_backend.build(model, toy_header(), BuildConfig(), progress=lambda *_: None)


def test_a_compiler_that_fails_is_quoted(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = "x.cpp:7:10: fatal error: omp.h: No such file or directory"

    def fail(*_: object) -> bytes:
        raise RuntimeError(
            f"CppCompileError: C++ compile error\n\nCommand:\ng++ x\n\nOutput:\n{said}\n"
        )

    monkeypatch.setattr(torch_build, "has_compiler", lambda: True)
    monkeypatch.setattr(torch_build, "_compile", fail)
    with pytest.raises(
        EngineError, match=r"toy\.pt2: .*\(the C\+\+ compiler fails: x\.cpp:7:10: fat"
    ):
        torch_backend.build(
            model, toy_header(), BuildConfig(profile=PROFILE), progress=lambda *_: None
        )


def test_on_a_gpu_what_does_not_compile_is_kept_as_a_program(
    model: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError("CUDA_HOME environment variable is not set")

    monkeypatch.setattr(torch_build, "_compile", fail)
    program = torch_build.open_program(model, toy_header())
    made = json.dumps(torch_build.describe(BuildConfig(profile=PROFILE), "cuda"))
    config = BuildConfig(profile=PROFILE)
    payload = torch_build._compiled_or_stored(program, made, "cuda", config, compiler=True)
    assert torch_backend._contents(payload, model) == (False, json.loads(made))
    assert "cannot compile the program for this GPU (CUDA_HOME" in caplog.text
    with pytest.raises(OSError, match="CUDA_HOME"):
        torch_build._compiled_or_stored(program, made, "cpu", config, compiler=True)


def test_headers_of_cuda_come_with_torch_where_no_toolkit_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from torch.utils import cpp_extension

    (tmp_path / "cu13" / "include").mkdir(parents=True)
    (tmp_path / "cu13" / "include" / "cuda.h").touch()
    wheel = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr(torch_build, "find_spec", lambda _: wheel)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", None)
    with torch_build.cuda_headers():
        assert str(tmp_path / "cu13" / "include") in cpp_extension.include_paths("cuda")
    assert cpp_extension.CUDA_HOME is None
    monkeypatch.setattr(cpp_extension, "CUDA_HOME", "/opt/toolkit")
    with torch_build.cuda_headers():
        assert cpp_extension.CUDA_HOME == "/opt/toolkit", "one that is there is left alone"


@pytest.mark.parametrize("fits", [1, 0])
def test_compiled_code_that_fails_on_a_batch_alone_is_out_of_memory(model: Path, fits: int) -> None:
    def lane(frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if len(frames_NHWC) > fits:
            raise RuntimeError("aoti_torch_empty_strided(...) API call failed at model.so, line 9")
        return expected(frames_NHWC)

    program = model.with_suffix(".pt2")
    with load(program.read_bytes(), toy_header(), program, LoadOptions(threads=1)) as engine:
        engine._built["device"] = "cuda"
        engine._lanes.get()
        engine._lanes.put(lane)
        with pytest.raises(EngineError) as raised:
            engine.infer(frames(4))
        assert is_out_of_memory(raised.value) == bool(fits)
        assert "API call failed" in str(raised.value.__cause__ if fits else raised.value)


def test_without_torch_the_sentence_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(BackendUnavailableError, match=r"not installed .*; pip install torch"):
        torch_backend.environment()


def test_the_environment_names_what_a_package_is_tied_to() -> None:
    known = dict(torch_backend.environment())
    assert known["torch"] == torch.__version__
    assert set(known) >= {"device", "platform"}
    if not torch.cuda.is_available():
        assert known["device"] == "CPU"
        assert known["processor"]


def test_what_cannot_be_built_from(model: Path, tmp_path: Path) -> None:
    def build(path: Path, header: ModelHeader = toy_header()) -> bytes:  # noqa: B008
        return torch_backend.build(path, header, BuildConfig(), progress=lambda *_: None)

    with pytest.raises(ModelError, match=r"none.pt2: no such file.*engines export CHECKPOINT"):
        build(tmp_path / "none.onnx")
    (tmp_path / "text.pt2").write_text("hello")
    with pytest.raises(ModelError, match=r"not a torch\.export program, or a truncated one"):
        build(tmp_path / "text.onnx")
    whole = model.with_suffix(".pt2").read_bytes()
    (tmp_path / "half.pt2").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"not a torch\.export program, or a truncated one"):
        build(tmp_path / "half.onnx")
    torch.save({"a": 1}, tmp_path / "bare.pt2")
    with pytest.raises(ModelError, match="without a streamseg header; make one with"):
        build(tmp_path / "bare.onnx")
    other = json.loads(toy_header().to_json()) | {"checkpoint_sha256": "1" * 64}
    with pytest.raises(EngineError, match=r"exported from another checkpoint, .* write both"):
        build(model, ModelHeader.from_json(json.dumps(other), model))


def test_precisions_that_the_device_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(BackendUnavailableError, match="no int8; use --backend tensorrt or"):
        torch_build.dtype_of("int8", "cuda")
    assert torch_build.dtype_of("fp16", "cuda") == torch.float16
    assert torch_build.dtype_of("fp32", "cpu") is None
    monkeypatch.setattr(torch_build, "cpu_features", lambda: ("avx2",))
    with pytest.raises(BackendUnavailableError, match="bfloat16, which this processor does not"):
        torch_build.dtype_of("fp16", "cpu")
    monkeypatch.setattr(torch_build, "cpu_features", lambda: ("avx512_bf16",))
    assert torch_build.dtype_of("fp16", "cpu") == torch.bfloat16


@pytest.mark.parametrize("payload", [b"", b"PK\x03\x04 no archive", b"a plan of somebody else"])
def test_a_foreign_payload_is_one_sentence(payload: bytes, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="not an engine that streamseg built with torch"):
        TorchEngine(payload, toy_header(), tmp_path / "x.engine", LoadOptions(threads=1))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_fp16_agrees(model: Path) -> None:
    config = BuildConfig(precision="fp16", profile=PROFILE)
    payload = torch_backend.build(model, toy_header(), config, progress=lambda *_: None)
    with load(payload, toy_header(), model, LoadOptions()) as engine:
        assert engine.spec.workers == 2
        for shape in ((1, 64, 64), (3, 32, 96), (5, 64, 96)):
            labels = engine.infer(frames(*shape))
            assert (labels == expected(frames(*shape))).mean() > 0.98
