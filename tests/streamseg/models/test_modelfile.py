"""A model file says what it is; anything else is refused in one sentence."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from onnx import helper

from streamseg import open_engine
from streamseg.errors import ModelError, UsageError
from streamseg.models.modelfile import (
    HEADER_KEY,
    ModelHeader,
    builtin_models,
    find_model,
    read_header,
)
from streamseg.models.palette import CAMVID, Palette
from tests.streamseg.conftest import toy_graph
from tests.streamseg.fakes import toy_header


def write_model(path: Path, header: str | None) -> Path:
    model = toy_graph()
    if header is not None:
        helper.set_model_props(model, {"author": "nobody", HEADER_KEY: header, "z": "last"})
    path.write_bytes(model.SerializeToString())
    return path


def test_the_header_comes_back_as_it_went_in(tmp_path: Path) -> None:
    header = replace(
        toy_header(), classes=CAMVID, accuracy={"miou": 0.66, "class_iou": {"sky": 0.9}}
    )
    path = write_model(tmp_path / "m.onnx", header.to_json())
    assert read_header(path) == header


def test_the_header_is_read_the_way_onnx_wrote_it(toy_model: Path) -> None:
    properties = {p.key: p.value for p in onnx.load(str(toy_model)).metadata_props}
    assert ModelHeader.from_json(properties[HEADER_KEY], toy_model) == read_header(toy_model)


def test_a_text_file_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "notes.onnx"
    path.write_text("these are notes\n" * 20)
    with pytest.raises(ModelError, match=r"notes\.onnx: not an ONNX file, or a truncated one"):
        read_header(path)


def test_an_empty_file_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "empty.onnx"
    path.touch()
    with pytest.raises(ModelError, match=r"empty\.onnx: .*the file is empty"):
        read_header(path)


def test_wherever_a_model_file_is_cut_it_is_refused(toy_model: Path, tmp_path: Path) -> None:
    whole = toy_model.read_bytes()
    path = tmp_path / "cut.onnx"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"cut\.onnx: "):
            read_header(path)


def test_an_onnx_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "foreign.onnx", None)
    with pytest.raises(ModelError, match=r"foreign\.onnx: .*without a streamseg header.*export"):
        read_header(path)


def broken(**changes: Any) -> str:
    values = {**json.loads(toy_header().to_json()), **changes}
    return json.dumps({key: value for key, value in values.items() if value is not None})


@pytest.mark.parametrize(
    "header",
    [
        "",
        "no json",
        "[]",
        "{}",
        broken(classes=None),
        broken(classes=[]),
        broken(classes=[{"name": "a", "colour": [1, 2]}]),
        broken(classes=[{"name": "a", "colour": [1, 2, 300]}]),
        broken(default_size=[100, 64]),
        broken(default_size=["a", "b"]),
        broken(default_size=64),
        broken(surprise=1),
        broken(name=None),
    ],
)
def test_a_broken_header_names_the_file_and_the_fix(tmp_path: Path, header: str) -> None:
    path = write_model(tmp_path / "b.onnx", header)
    with pytest.raises(ModelError, match=r"b\.onnx: its streamseg header is broken .*export"):
        read_header(path)


def test_a_header_of_the_future_asks_for_an_update(tmp_path: Path) -> None:
    path = write_model(tmp_path / "f.onnx", broken(format=3))
    with pytest.raises(ModelError, match=r"f\.onnx: .*another format.*update streamseg"):
        read_header(path)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="unknown model 'resnet9000'; known: ") as caught:
        find_model("resnet9000")
    for name in builtin_models():
        assert name in str(caught.value)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"gone\.onnx: no such model file"):
        find_model(str(tmp_path / "gone.onnx"))
    with pytest.raises(UsageError, match="is a folder, not a model file"):
        find_model(tmp_path)


def test_built_in_models_are_found_by_name() -> None:
    for name in builtin_models():
        assert read_header(find_model(name)).name == name


def test_a_header_over_a_graph_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    model = toy_graph()
    model.graph.input[0].name = model.graph.node[0].input[0] = "pictures"
    helper.set_model_props(model, {HEADER_KEY: toy_header().to_json()})
    path = tmp_path / "other.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"other\.onnx: expected input frames and output labels"):
        open_engine(path)


def test_a_graph_that_does_not_load_is_refused(tmp_path: Path) -> None:
    model = toy_graph()
    model.graph.node[1].op_type = "NoSuchOperator"
    helper.set_model_props(model, {HEADER_KEY: toy_header().to_json()})
    path = tmp_path / "odd.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ModelError, match=r"odd\.onnx: ONNX Runtime .* cannot load"):
        open_engine(path)


@pytest.mark.parametrize("bad", [{"threads": 0}, {"batch": 0}, {"backend": "abacus"}])
def test_impossible_engine_options_are_refused(toy_model: Path, bad: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"must be at least 1, got 0|unknown backend 'abacus'"):
        open_engine(toy_model, **bad)


@pytest.mark.parametrize(
    ("names", "colours", "message"),
    [
        (("a",), (), "1 names but 0 colours"),
        (("a", "a"), ((0, 0, 0), (1, 1, 1)), "must differ"),
        ((), (), r"1\.\.255 classes, got 0"),
        (("a",), ((0, 0, 256),), r"the colour of 'a'"),
    ],
)
def test_a_palette_says_what_is_wrong_with_it(names: Any, colours: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Palette(names=names, colours=colours)
