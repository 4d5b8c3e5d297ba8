"""``python -m engines build``: the command around Torch-TensorRT, with and without it."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from engines import torch_tensorrt
from engines.__main__ import main
from engines.build_command import model_of, profile_of
from streamseg.errors import EngineError
from streamseg.models.modelfile import ModelHeader, find_model, read_header
from streamseg.runtime.backends import tensorrt
from streamseg.runtime.backends.base import BuildConfig, LoadOptions, Profile
from streamseg.runtime.backends.names import Machine
from streamseg.runtime.cache.enginekey import file_sha256
from streamseg.runtime.cache.folder import EngineCache
from streamseg.runtime.choosing.candidates import Wanted, find_candidates
from tests.streamseg.fakes import FakeEngine
from tests.train.drawn import tiny_recipe
from train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint

ROOT = Path(__file__).parents[2]
HERE = {"tensorrt": "11.1.0", "gpu": "Toy 3000"}
PLAN = b"a plan of Torch-TensorRT"


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["build", *(str(a) for a in arguments)])


def build(checkpoint: Path, model: Path, *extra: str | Path) -> Result:
    return run(checkpoint, "--model", model, "--frontend", "torch-tensorrt", *extra)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where engines are kept."""
    monkeypatch.setenv("STREAMSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[BuildConfig]:
    """A machine with a GPU on which compiling takes no time; what was compiled."""
    done: list[BuildConfig] = []

    def build_plan(
        compiler: str,
        checkpoint: Path,
        header: ModelHeader,
        config: BuildConfig,
        *,
        label_stride: int | None,
    ) -> bytes:
        assert compiler == "torch_tensorrt"
        assert load_checkpoint(checkpoint).recipe.data.layout == "camvid"
        done.append(config)
        return PLAN

    def load(payload: bytes, header: ModelHeader, path: Path, _: LoadOptions) -> FakeEngine:
        if payload != PLAN:
            raise EngineError(f"{path}: TensorRT cannot load this plan")
        return FakeEngine()

    monkeypatch.setattr(torch_tensorrt, "import_torch_tensorrt", lambda: "torch_tensorrt")
    monkeypatch.setattr(torch_tensorrt, "build_plan", build_plan)
    monkeypatch.setattr(tensorrt, "environment", lambda: HERE)
    monkeypatch.setattr(tensorrt, "load", load)
    return done


def test_the_plan_is_found_as_the_engine_of_the_model_file(
    builds: list[BuildConfig], checkpoint: Path, model_file: Path, folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "tiny.engine"
    result = build(checkpoint, model_file, "--batch", "1:2:4", "-o", copy)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"{copy}: torch-tensorrt, fp16, ")
    wanted = Wanted(
        model=model_file, header=read_header(model_file), backend="tensorrt", size=(96, 64)
    )
    (found,) = find_candidates(wanted, EngineCache(folder), Machine(), "tensorrt")
    assert found.invalid is None
    assert found.key.config == builds[0]
    assert found.key.config.profile.batch == (1, 2, 4)
    header, payload = EngineCache(folder).load(found.path)
    assert payload == PLAN
    assert header.model == "tiny"
    assert copy.read_bytes() == found.path.read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["cache", "tiny.engine"]


def test_an_engine_that_is_there_is_replaced_only_when_asked(
    builds: list[BuildConfig], checkpoint: Path, model_file: Path
) -> None:
    assert build(checkpoint, model_file).exit_code == 0
    again = build(checkpoint, model_file)
    assert again.exit_code == 1
    assert "is there already; use --overwrite to replace it" in again.stderr
    assert len(builds) == 1
    assert build(checkpoint, model_file, "--overwrite").exit_code == 0
    assert build(checkpoint, model_file, "--precision", "fp32").exit_code == 0, "another engine"
    assert [config.precision for config in builds] == ["fp16", "fp16", "fp32"]


def test_a_plan_that_the_runtime_refuses_is_not_kept(
    builds: list[BuildConfig],
    checkpoint: Path,
    model_file: Path,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(torch_tensorrt, "build_plan", lambda *_, **__: b"nonsense")
    result = build(checkpoint, model_file)
    assert result.exit_code == 1
    assert result.stderr == f"error: {model_file}: TensorRT cannot load this plan\n"
    assert list(folder.glob("*.engine")) == []


def test_without_torch_tensorrt_one_sentence_says_how_to_get_it(
    checkpoint: Path, model_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch_tensorrt", None)
    result = build(checkpoint, model_file)
    assert result.exit_code == 1
    assert result.stderr == (
        "error: Torch-TensorRT is not installed (no module torch_tensorrt); "
        "pip install 'torch-tensorrt>=2.14,<2.15' 'cuda-bindings>=13,<14'\n"
    )
    traced = build(checkpoint, model_file, "--debug")
    assert isinstance(traced.exception, EngineError)


@pytest.mark.parametrize(
    "extra",
    [
        ("--precision", "int8"),
        ("--size", "100"),
        ("--size", "100x64"),
        ("--batch", "3:2:1"),
        ("--batch", "many"),
        ("--label-stride", "3"),
        ("--nonsense",),
    ],
)
def test_usage_errors_exit_with_2(
    checkpoint: Path, model_file: Path, folder: Path, extra: tuple[str, ...]
) -> None:
    result = build(checkpoint, model_file, *extra)
    assert result.exit_code == 2, result.output
    assert not folder.exists()


def test_a_front_end_must_be_named(checkpoint: Path, model_file: Path) -> None:
    arguments = ["build", str(checkpoint), "--model", str(model_file)]
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_the_model_file_is_the_one_beside_the_checkpoint(
    builds: list[BuildConfig], checkpoint: Path, model_file: Path, folder: Path, tmp_path: Path
) -> None:
    own = tmp_path / "own.safetensors"
    shutil.copyfile(checkpoint, own)
    alone = run(own, "--frontend", "torch-tensorrt")
    assert alone.exit_code == 1
    beside = own.with_suffix(".onnx")
    assert alone.stderr == (
        f"error: {own}: no model file was exported from it that is known here; name it with "
        f"--model, or write it with 'python -m engines export {own} -o {beside}'\n"
    )
    shutil.copyfile(model_file, beside)
    assert run(own, "--frontend", "torch-tensorrt").exit_code == 0
    (entry,) = EngineCache(folder).entries()
    assert entry.header is not None
    assert entry.header.key.model_sha256 == file_sha256(model_file)


def test_the_shipped_checkpoint_belongs_to_the_built_in_model() -> None:
    path, header = model_of(ROOT / "train" / "weights" / "mbv2.safetensors", None)
    assert (path, header.name) == (find_model("mbv2"), "mbv2")


def test_what_can_be_mended_is_one_sentence(
    builds: list[BuildConfig], checkpoint: Path, model_file: Path, folder: Path, tmp_path: Path
) -> None:
    loaded = load_checkpoint(checkpoint)
    other = tmp_path / "other.safetensors"
    save_checkpoint(
        other,
        Checkpoint(
            recipe=tiny_recipe(),
            classes=loaded.classes,
            epoch=9,
            metrics={},
            tensors=loaded.tensors,
        ),
    )
    there, text = tmp_path / "there.engine", tmp_path / "text.onnx"
    there.write_text("precious")
    text.write_text("hello")
    lost = tmp_path / "none" / "x.engine"
    for arguments, message in (
        ((other, model_file), f"{other}: {model_file} was exported from another checkpoint"),
        ((tmp_path / "none", model_file), "none: cannot be read (No such file or directory)"),
        ((checkpoint, text), "not an ONNX file"),
        ((checkpoint, model_file, "-o", there), f"{there}: exists already; use --overwrite"),
        ((checkpoint, model_file, "-o", lost), "does not exist; create it"),
        ((checkpoint, model_file, "-o", tmp_path), "is a folder; name a file in it"),
    ):
        result = build(*arguments)
        assert result.exit_code in (1, 2), result.output
        assert result.stderr.startswith("error: ")
        assert message in result.stderr
        assert len(result.stderr.splitlines()) == 1
    assert there.read_text() == "precious"
    assert builds == []
    assert not folder.exists()


def test_the_profile_of_size_and_batch() -> None:
    one, other = (96, 64), (128, 32)
    assert profile_of(None, "1:2:4", one) == Profile(
        batch=(1, 2, 4), min_size=one, opt_size=one, max_size=one
    )
    assert profile_of("128x32", "1:1:1", one) == Profile(
        batch=(1, 1, 1), min_size=other, opt_size=other, max_size=other
    )
