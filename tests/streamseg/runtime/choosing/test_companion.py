"""The int8 graph beside a model file: when it is found, and when it is refused."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from streamseg.errors import ModelError
from streamseg.models.modelfile import builtin_models, find_model, read_header
from streamseg.runtime.choosing import companion
from streamseg.runtime.choosing.companion import companion_path, find_companion, speedup_here


@pytest.mark.parametrize(
    ("features", "speedup"),
    [
        (("avx2",), 1.2),
        (("avx2", "avx512_vnni", "avx512f"), 1.5),
        (("avx2", "avx_vnni"), 1.5),
        (("asimddp",), 1.0),
        ((), 1.0),
    ],
)
def test_int8_pays_where_it_was_measured(
    features: tuple[str, ...], speedup: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companion, "cpu_features", lambda: features)
    assert speedup_here() == speedup


def test_every_built_in_model_has_one_of_its_own_checkpoint_that_is_as_good() -> None:
    for name in builtin_models():
        model = find_model(name)
        header = read_header(model)
        found = find_companion(model, header)
        assert found is not None
        path, own = found
        assert path.name == f"{name}.int8.onnx"
        assert own.accuracy["miou"] > header.accuracy["miou"] - 0.01
        # Of 32 classes many are alike: a pixel between two goes either way (docs/models.md).
        least = 0.97 if len(header.classes) > 30 else 0.99
        assert own.accuracy["agreement_with_fp32"] > least


def test_a_graph_beside_a_model_is_no_model_of_its_own() -> None:
    assert not [name for name in builtin_models() if "int8" in name]


def test_none_is_none_and_a_stranger_is_refused(tmp_path: Path) -> None:
    model = tmp_path / "mine.onnx"
    shutil.copy(find_model("mbv2"), model)
    header = read_header(model)
    assert find_companion(model, header) is None
    shutil.copy(companion_path(find_model("mbv2")), companion_path(model))
    assert find_companion(model, header) is not None
    with pytest.raises(ModelError, match=r"mine\.int8\.onnx: made from another checkpoint"):
        find_companion(model, replace(header, checkpoint_sha256="0" * 64))
    companion_path(model).write_bytes(b"\x08")
    with pytest.raises(ModelError, match=r"mine\.int8\.onnx"):
        find_companion(model, header)
