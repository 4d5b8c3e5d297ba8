from __future__ import annotations

import dataclasses
import json
import os
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from streamseg.models.palette import CAMVID
from tests.train.drawn import tiny_recipe
from train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from train.errors import TrainError
from train.models import build_model


def fresh() -> Checkpoint:
    recipe = tiny_recipe()
    tensors = {f"model.{k}": v for k, v in build_model(recipe.model).state_dict().items()}
    return Checkpoint(
        recipe=recipe, classes=CAMVID, epoch=3, metrics={"miou": 0.5}, tensors=tensors
    )


def test_a_checkpoint_comes_back_as_it_was(tmp_path: Path) -> None:
    saved = fresh()
    save_checkpoint(tmp_path / "c.safetensors", saved)
    loaded = load_checkpoint(tmp_path / "c.safetensors")
    assert (loaded.recipe, loaded.epoch, loaded.metrics) == (saved.recipe, 3, {"miou": 0.5})
    model = loaded.build()
    assert not model.training
    for key, value in model.state_dict().items():
        assert torch.equal(value, saved.tensors[f"model.{key}"])
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


def test_a_checkpoint_from_before_a_key_means_what_it_meant(tmp_path: Path) -> None:
    """BatchNorm in the pyramid's first branch and undilated second convolutions came later."""
    path = tmp_path / "c.safetensors"
    old = fresh()
    model = dataclasses.replace(old.recipe.model, pyramid_bin1="bias", basic_dilation="both")
    old.recipe = dataclasses.replace(old.recipe, model=model)
    old.tensors = {f"model.{k}": v for k, v in build_model(model).state_dict().items()}
    save_checkpoint(path, old)
    with safe_open(path, framework="pt") as file:
        header = json.loads(file.metadata()["streamseg"])
    for key in ("pyramid_bin1", "basic_dilation"):
        del header["recipe"]["model"][key]
    save_file(old.tensors, path, metadata={"streamseg": json.dumps(header)})
    loaded = load_checkpoint(path)
    assert loaded.recipe.model == model
    loaded.build()


def test_a_checkpoint_is_for_all_whom_the_umask_lets(tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        save_checkpoint(tmp_path / "c.safetensors", fresh())
    finally:
        os.umask(before)
    assert (tmp_path / "c.safetensors").stat().st_mode & 0o777 == 0o644


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(tensors: object, path: Path, metadata: object) -> None:
        path.write_bytes(b"half")
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    path = tmp_path / "c.safetensors"
    path.write_bytes(b"before")
    monkeypatch.setattr("train.checkpoint.save_file", full)
    with pytest.raises(TrainError, match=r"c\.safetensors: cannot be written .*No space left"):
        save_checkpoint(path, fresh())
    assert path.read_bytes() == b"before"
    assert [p.name for p in tmp_path.iterdir()] == ["c.safetensors"]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"none\.safetensors: no such checkpoint"):
        load_checkpoint(tmp_path / "none.safetensors")


def test_a_text_file(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    path.write_text("hello")
    with pytest.raises(TrainError, match="not a safetensors file"):
        load_checkpoint(path)


def test_bare_weights(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(
        TrainError, match=r"not a streamseg checkpoint.*bare backbone weights go to"
    ):
        load_checkpoint(path)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("not json", "its streamseg header is broken"),
        ("{}", "its streamseg header is broken"),
        (json.dumps({"format": 99}), "checkpoint format 99, this version reads 1"),
        (json.dumps({"format": 1, "recipe": {"x": 1}}), "unknown table or key 'x'"),
    ],
)
def test_a_foreign_header(tmp_path: Path, header: str, message: str) -> None:
    path = tmp_path / "c.safetensors"
    save_file({"x": torch.zeros(1)}, path, metadata={"streamseg": header})
    with pytest.raises(TrainError, match=message):
        load_checkpoint(path)


def test_weights_of_another_network() -> None:
    checkpoint = fresh()
    checkpoint.recipe = tiny_recipe(model={"head_channels": 32})
    with pytest.raises(TrainError, match=r"do not fit its own recipe \[model\]"):
        checkpoint.build()


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="cannot be written"):
        save_checkpoint(tmp_path / "none" / "c.safetensors", fresh())
