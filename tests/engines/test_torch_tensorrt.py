"""Torch-TensorRT needs a GPU to start: its part is taken by a stand-in, its promises by its source.

The stand-in keeps what it is given. That its parameters are the real package's is asserted on the
real package's source, and that every operator has a converter by its real lowering.
"""

from __future__ import annotations

import re
import sys
import tempfile
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch.export import ExportedProgram

from engines import torch_tensorrt
from engines.errors import EngineBuildError
from engines.torch_tensorrt import build_plan, import_torch_tensorrt, input_spec
from streamseg.models.modelfile import read_header
from streamseg.runtime.backends.base import BackendUnavailableError, BuildConfig, Profile
from streamseg.runtime.backends.torch_build import specialise
from tests.engines.torch_tensorrt_wheel import find_function, probe, sources
from tests.streamseg.runtime.backends.bindings import REPOSITORY
from tests.streamseg.runtime.backends.toy_program import toy_program

RANGE = Profile(batch=(2, 4, 8), min_size=(64, 32), opt_size=(96, 64), max_size=(128, 64))
ONE = Profile(batch=(1, 1, 1), min_size=(96, 64), opt_size=(96, 64), max_size=(96, 64))


@dataclass
class StandIn(ModuleType):
    """As much of ``torch_tensorrt`` as is used; a real one is compared with it below."""

    plan: bytes = b"a plan"
    refuses: Exception | None = None
    given: dict[str, Any] = field(default_factory=dict)
    registered: dict[str, Any] = field(default_factory=dict)
    converter: Callable[..., Any] | None = None
    casts: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__("torch_tensorrt")
        self.__version__ = "2.14.0"
        self.Input = lambda **shapes: shapes
        self.dynamo = SimpleNamespace(
            convert_exported_program_to_serialized_trt_engine=self._convert,
            conversion=SimpleNamespace(
                dynamo_tensorrt_converter=self._register,
                ConverterPriority=SimpleNamespace(HIGH="first"),
                impl=SimpleNamespace(cast=SimpleNamespace(to_copy=self._cast)),
            ),
        )

    __hash__ = object.__hash__

    def _register(self, target: object, **options: Any) -> Callable[..., Any]:
        self.registered = {"target": target, **options}

        def keep(function: Callable[..., Any]) -> Callable[..., Any]:
            self.converter = function
            return function

        return keep

    def _cast(self, *args: object, **options: object) -> str:
        self.casts.append((*args, options))
        return "cast"

    def _convert(self, program: ExportedProgram, **options: Any) -> bytes:
        if self.refuses is not None:
            raise self.refuses
        self.given = {"program": program, **options}
        return self.plan


@pytest.fixture
def on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The program stays on the CPU: everything else is as on a GPU."""

    def there(
        program: ExportedProgram, dtype: torch.dtype | None, device: str, profile: Profile
    ) -> ExportedProgram:
        assert device == "cuda"
        return specialise(program, dtype, "cpu", profile)

    monkeypatch.setattr(torch_tensorrt, "specialise", there)


@pytest.fixture(scope="module")
def program() -> ExportedProgram:
    return toy_program()


def test_one_engine_is_asked_for_with_the_contracts_names(
    on_cpu: None, checkpoint: Path, model_file: Path, tmp_path: Path
) -> None:
    compiler = StandIn()
    config = BuildConfig(
        precision="fp16",
        profile=ONE,
        workspace_mib=64,
        timing_cache=tmp_path / "timings",
        hardware_compat="ampere+",
        version_compat=True,
    )
    assert build_plan(compiler, checkpoint, read_header(model_file), config) == b"a plan"
    given = compiler.given
    assert given["arg_inputs"] == (input_spec(compiler, ONE),)
    assert given["arg_input_binding_names"] == ("frames",)
    assert given["output_binding_names"] == "labels"
    assert given["require_full_compilation"] is True
    assert given["workspace_size"] == 64 << 20
    assert given["timing_cache_path"] == str(tmp_path / "timings")
    assert (given["hardware_compatible"], given["version_compatible"]) == (True, True)
    assert not given["cache_built_engines"], "its cache is a pickle in a folder of everybody's"
    assert not given["reuse_cached_engines"]
    assert build_plan(compiler, checkpoint, read_header(model_file), BuildConfig(profile=ONE))
    shared = Path(tempfile.gettempdir()) / "torch_tensorrt_engine_cache"
    timings = Path(compiler.given["timing_cache_path"])
    assert shared not in timings.parents, "everybody's, and read by NVIDIA's parser"
    assert not timings.parent.exists()
    weights = [v.dtype for v in given["program"].state_dict.values() if v.dim() == 4]
    assert set(weights) == {torch.float16}


def test_the_profile_is_told_as_shapes() -> None:
    assert input_spec(StandIn(), RANGE) == {
        "min_shape": (1, 32, 64, 3),
        "opt_shape": (4, 64, 96, 3),
        "max_shape": (8, 64, 128, 3),
        "dtype": torch.uint8,
    }
    assert input_spec(StandIn(), ONE) == {"shape": (1, 64, 96, 3), "dtype": torch.uint8}


def test_the_cast_of_the_labels_is_registered_and_no_other(program: ExportedProgram) -> None:
    compiler = StandIn()
    config = BuildConfig(precision="fp16", profile=ONE)
    half = specialise(program, torch.float16, "cpu", ONE)
    torch_tensorrt.compile_program(compiler, half, config, Path("x"))
    assert compiler.registered["target"] is torch.ops.aten._to_copy.default
    assert compiler.registered["priority"] == "first"
    assert compiler.registered["supports_dynamic_shapes"] is True
    is_labels = compiler.registered["capability_validator"]
    casts = [n for n in half.graph.nodes if n.target is torch.ops.aten._to_copy.default]
    (last,) = (node for node in casts if is_labels(node))
    assert [user.op for user in last.users] == ["output"]
    assert last.args[0].meta["val"].dtype.is_floating_point, "TensorRT casts no integers to uint8"
    assert compiler.converter is not None
    assert compiler.converter("net", "target", ("input",), {"dtype": torch.uint8}, "cast") == "cast"
    assert compiler.casts == [
        ("net", "target", None, "cast", "input", torch.uint8, {"force_layer": True})
    ]


def test_what_it_refuses_is_one_sentence(program: ExportedProgram, tmp_path: Path) -> None:
    config = BuildConfig(profile=ONE)
    compiler = StandIn(refuses=RuntimeError("no converter for aten.foo\n\nTraceback ..."))
    with pytest.raises(EngineBuildError, match=r"x\.safetensors: .* compile it \(no converter"):
        torch_tensorrt.compile_program(compiler, program, config, Path("x.safetensors"))
    with pytest.raises(EngineBuildError, match="knows --hardware-compat none and ampere"):
        torch_tensorrt.compile_program(
            compiler, program, replace(config, hardware_compat="same-cc"), Path("x")
        )


def test_what_a_model_file_cannot_be_built_from(checkpoint: Path, model_file: Path) -> None:
    header = read_header(model_file)
    with pytest.raises(EngineBuildError, match="at another stride than the model"):
        build_plan(StandIn(), checkpoint, header, BuildConfig(), label_stride=1)
    with pytest.raises(EngineBuildError, match="build int8 from the model file"):
        build_plan(StandIn(), checkpoint, header, BuildConfig(precision="int8"))


def test_what_is_missing_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "torch_tensorrt", None)
    with pytest.raises(BackendUnavailableError, match=r"not installed .*'torch-tensorrt"):
        import_torch_tensorrt()
    package = tmp_path / "torch_tensorrt"
    package.mkdir()
    (package / "__init__.py").write_text("print('noise')\nraise Exception('no libnvinfer.so.11')\n")
    monkeypatch.delitem(sys.modules, "torch_tensorrt")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(BackendUnavailableError, match=r"does not load \(no libnvinfer\.so\.11\)"):
        import_torch_tensorrt()
    assert capsys.readouterr().out == ""


def test_without_a_gpu_it_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch_tensorrt", StandIn())
    monkeypatch.setitem(sys.modules, "torch_tensorrt.dynamo.conversion", ModuleType("conversion"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendUnavailableError, match="torch finds none here; run 'streamseg doc"):
        import_torch_tensorrt()


# The real package.


def test_the_real_package_converts_the_whole_network(program_file: Path) -> None:
    """Its lowering, with a dynamic batch in fp16; only TensorRT's builder is left out."""
    request = {"program": str(program_file), "size": [96, 64], "batch": [1, 2, 4]}
    answer = probe(request)
    assert answer["without a converter"] == []
    assert {"aten.convolution.default", "aten._to_copy.default"} <= set(answer["operators"])
    assert answer["dtypes"] == ["torch.float16"]
    assert answer["inputs"] == [
        {"min_shape": [1, 64, 96, 3], "opt_shape": [2, 64, 96, 3], "max_shape": [4, 64, 96, 3]}
    ]
    assert answer["names"] == [["frames"], ["labels"]]
    assert answer["full"] is True
    assert answer["kept on disk"] is False
    assert answer["plan"] == "a plan"


def test_the_real_package_takes_every_option_by_name(program: ExportedProgram) -> None:
    """It also takes ``**kwargs``, so that a misspelt option would be ignored without a word."""
    compiler = StandIn()
    config = BuildConfig(profile=ONE, timing_cache=Path("timings"))
    torch_tensorrt.compile_program(compiler, program, config, Path("x"))
    name = "convert_exported_program_to_serialized_trt_engine"
    real = find_function(sources() / "dynamo" / "_compiler.py", name).args
    assert real.args[0].arg == "exported_program"
    assert set(compiler.given) - {"program"} <= {a.arg for a in real.kwonlyargs}


def test_the_real_cast_is_called_as_declared() -> None:
    real = find_function(sources() / "dynamo" / "conversion" / "impl" / "cast.py", "to_copy")
    names = [a.arg for a in real.args.args]
    assert names == ["ctx", "target", "source_ir", "name", "input", "dtype", "force_layer"]


def test_the_extra_asks_for_what_the_real_package_wants() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = project["optional-dependencies"]["torch-tensorrt"]
    (metadata,) = sources().parent.glob("torch_tensorrt-*.dist-info/METADATA")
    (pins,) = re.findall(r"^Requires-Dist: torch<(\S+),>=(\S+)$", metadata.read_text(), re.M)
    high, low = (".".join(version.split(".")[:2]) for version in pins)
    assert f"torch>={low},<{high}" in wanted
