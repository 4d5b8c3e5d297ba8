"""`streamseg.runtime.backends.cuda` against the real cuda-python, which imports without a GPU."""

from __future__ import annotations

import ast
import importlib
import os
import re
from typing import Any

import numpy as np
import pytest

from streamseg.errors import DeviceMemoryError, EngineError
from streamseg.runtime.backends.base import BackendUnavailableError
from tests.streamseg.runtime.backends.bindings import REPOSITORY
from tests.streamseg.runtime.backends.contract import read_stub

STUB = REPOSITORY / "typings" / "cuda" / "bindings" / "runtime.pyi"
MODULE = REPOSITORY / "streamseg" / "runtime" / "backends" / "cuda.py"


@pytest.fixture(scope="module")
def runtime() -> Any:
    """``cuda.bindings.runtime``; skips without it unless it is required."""
    try:
        return importlib.import_module("cuda.bindings.runtime")
    except ImportError as error:
        if os.environ.get("STREAMSEG_REQUIRE_TENSORRT_BINDINGS") == "1":
            raise
        pytest.skip(f"cuda-python does not import here ({error}); pip install cuda-bindings")


def stub_functions() -> dict[str, ast.FunctionDef]:
    body = ast.parse(STUB.read_text()).body
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def parameters(doc: str) -> list[str]:
    """Names in the first line of a Cython function's docstring: ``f(a, size_t b, c: kind)``."""
    inside = doc.splitlines()[0].partition("(")[2].rpartition(")")[0]
    parts = [part.partition(":")[0].split() for part in inside.split(",")]
    return [part[-1] for part in parts if part]


@pytest.mark.parametrize("name", sorted(stub_functions()))
def test_a_function_has_the_parameters_that_the_stub_says(runtime: Any, name: str) -> None:
    wanted = [argument.arg for argument in stub_functions()[name].args.args]
    assert parameters(getattr(runtime, name).__doc__) == wanted


def test_enumerations_classes_and_numbers_are_there(runtime: Any) -> None:
    for name, stub in read_stub(STUB).items():
        real = getattr(runtime, name)
        for value in stub.values:
            assert value in real.__members__, f"{name}.{value}"
        for member in (*stub.attributes, *stub.methods):
            assert hasattr(real, member), f"{name}.{member}"
    for name in ("cudaStreamNonBlocking", "cudaEventBlockingSync", "cudaEventDisableTiming"):
        assert isinstance(getattr(runtime, name), int)
    assert int(runtime.cudaStream_t(5)) == 5


def test_the_stub_declares_what_cuda_py_uses_and_nothing_else() -> None:
    used = set(re.findall(r"(?<!streamseg\.)\bruntime\.(\w+)", MODULE.read_text()))
    tree = ast.parse(STUB.read_text())
    declared = {
        getattr(node, "name", None) or ast.unparse(getattr(node, "target"))  # noqa: B009
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AnnAssign)
    }
    returned_only = {"cudaEvent_t", "cudaDeviceProp"}
    assert declared - returned_only == used - {"py"}


def test_every_error_code_becomes_an_error(runtime: Any) -> None:
    from streamseg.runtime.backends import cuda

    code = runtime.cudaError_t
    assert cuda.check((code.cudaSuccess, 5), "asking") == 5
    cuda.check((code.cudaSuccess,), "asking")
    with pytest.raises(DeviceMemoryError, match="allocating 5 bytes: out of memory"):
        cuda.check((code.cudaErrorMemoryAllocation, None), "allocating 5 bytes")
    with pytest.raises(EngineError, match=r"copying: CUDA failed \(cudaErrorIllegalAddress: \w+"):
        cuda.check((code.cudaErrorIllegalAddress,), "copying")


def test_a_machine_without_a_driver_is_told_so(runtime: Any) -> None:
    from streamseg.runtime.backends import cuda

    if runtime.cudaGetDeviceCount()[0] == runtime.cudaError_t.cudaSuccess:
        pytest.skip("there is a GPU here")
    if runtime.cudaDriverGetVersion()[1] != 0:
        pytest.skip("there is a driver here")
    with pytest.raises(BackendUnavailableError, match="no NVIDIA driver was found; install one"):
        cuda.Device()


def test_an_old_driver_is_told_with_both_versions(
    runtime: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from streamseg.runtime.backends import cuda

    success = runtime.cudaError_t.cudaSuccess
    monkeypatch.setattr(runtime, "cudaDriverGetVersion", lambda: (success, 12040))
    monkeypatch.setattr(runtime, "cudaRuntimeGetVersion", lambda: (success, 13010))
    with pytest.raises(BackendUnavailableError, match=r"too old: it runs CUDA 12\.4, .* 13\.1;"):
        cuda.check((runtime.cudaError_t.cudaErrorInsufficientDriver, None), "counting GPUs")
    with pytest.raises(BackendUnavailableError, match="shows no GPU; see CUDA_VISIBLE_DEVICES"):
        cuda.check((runtime.cudaError_t.cudaErrorNoDevice, None), "counting GPUs")


def test_on_a_gpu_copies_and_graphs_work(runtime: Any) -> None:
    """The whole module on a real GPU; everywhere else it is skipped."""
    from streamseg.runtime.backends import cuda

    if runtime.cudaGetDeviceCount()[0] != runtime.cudaError_t.cudaSuccess:
        if os.environ.get("STREAMSEG_REQUIRE_GPU") == "1":
            pytest.fail("no GPU here (STREAMSEG_REQUIRE_GPU=1)")
        pytest.skip("no GPU here")
    device = cuda.Device()
    info = device.info()
    assert info.name
    assert 0 < info.free_bytes <= info.total_bytes
    stream, size = device.stream(), 1 << 20
    source, target = device.host_buffer(size), device.host_buffer(size)
    there = device.device_buffer(size)

    def round_trip() -> None:
        stream.copy_to_device(there, source, size)
        stream.copy_to_host(target, there, size)

    graph = None
    for seed in range(3):
        source.array[:] = np.random.default_rng(seed).integers(0, 256, size, np.uint8)
        if graph is None and seed == 1:
            graph = stream.capture(round_trip)
        if graph is not None:
            graph.launch()
        else:
            round_trip()
        stream.wait()
        np.testing.assert_array_equal(target.array, source.array)
    with pytest.raises(DeviceMemoryError):
        device.device_buffer(info.total_bytes * 2)
    assert graph is not None
    for owner in (graph, there, source, target, stream):
        owner.close()
        owner.close()
