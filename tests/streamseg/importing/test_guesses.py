"""Classes and pixels: asked for, told by the file or what lies beside it, or guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import helper

from streamseg.errors import UsageError
from streamseg.importing.foreign import read_foreign
from streamseg.importing.names import asked_classes, guessed_classes, told_classes
from streamseg.importing.pixels import IMAGENET_MEAN, Pixels, guess_pixels
from streamseg.models.classlists import ADE20K, CITYSCAPES, VOC
from tests.streamseg.importing.graphs import (
    FLOAT,
    keras_like,
    save,
    torchvision_like,
    ultralytics_like,
)


def test_known_lists_have_as_many_classes_as_they_should() -> None:
    assert [len(p) for p in (VOC, CITYSCAPES, ADE20K)] == [21, 19, 150]
    assert asked_classes("ADE20K") is ADE20K
    assert guessed_classes(19)[0] is CITYSCAPES
    assert guessed_classes(3)[0].names == ("class 0", "class 1", "class 2")


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("cat\ndog\n", ("cat", "dog")),
        ("# animals\ncat #ff0000\ndog 1 2 3\n", ("cat", "dog")),
        ('["cat", "dog"]', ("cat", "dog")),
        ('{"1": "dog", "0": "cat"}', ("cat", "dog")),
        ('{"id2label": {"0": "cat", "1": "dog"}}', ("cat", "dog")),
        ("cat\ncat\n", ("cat", "cat 2")),
    ],
)
def test_files_of_classes(text: str, names: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "classes"
    path.write_text(text)
    assert asked_classes(str(path)).names == names


def test_a_file_may_give_colours(tmp_path: Path) -> None:
    path = tmp_path / "classes.txt"
    path.write_text("traffic light #ff0080\ndog 1 2 3\nbird\n")
    palette = asked_classes(str(path))
    assert palette.names == ("traffic light", "dog", "bird")
    assert palette.colours[:2] == ((255, 0, 128), (1, 2, 3))


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"a": "b"}', "dog 999 0 0\ncat"])
def test_files_that_are_no_classes(text: str, tmp_path: Path) -> None:
    path = tmp_path / "classes"
    path.write_text(text)
    with pytest.raises(UsageError, match="classes: "):
        asked_classes(str(path))


def test_the_file_s_own_names_and_those_beside_it(tmp_path: Path) -> None:
    told = told_classes(read_foreign(ultralytics_like(tmp_path / "a.onnx")))
    assert told is not None
    assert told[0].names == ("red", "green", "blue")
    source = torchvision_like(tmp_path / "b.onnx")
    assert told_classes(read_foreign(source)) is None
    labels = dict(enumerate(CITYSCAPES.names))
    (tmp_path / "config.json").write_text(json.dumps({"id2label": labels}))
    told = told_classes(read_foreign(source))
    assert told is not None
    assert told[0] is CITYSCAPES


def test_numbers_are_no_names(tmp_path: Path) -> None:
    source = torchvision_like(tmp_path / "b.onnx")
    labels = {index: f"LABEL_{index}" for index in range(3)}
    (tmp_path / "config.json").write_text(json.dumps({"id2label": labels}))
    assert told_classes(read_foreign(source)) is None


def guess(source: Path, layout: str = "nchw") -> Pixels:
    foreign = read_foreign(source)
    return guess_pixels(foreign, foreign.inputs[0], layout)[0]


def test_pixels_are_guessed_by_who_wrote_the_file(tmp_path: Path) -> None:
    assert guess(torchvision_like(tmp_path / "t.onnx")).mean == IMAGENET_MEAN
    assert guess(ultralytics_like(tmp_path / "u.onnx")) == Pixels()
    assert guess(keras_like(tmp_path / "k.onnx"), "nhwc") == Pixels()


def test_a_preprocessor_s_words_count_more(tmp_path: Path) -> None:
    source = torchvision_like(tmp_path / "t.onnx")
    beside = tmp_path / "preprocessor_config.json"
    beside.write_text(json.dumps({"image_mean": [0.5] * 3, "image_std": [0.25] * 3}))
    assert guess(source) == Pixels(mean=(0.5,) * 3, std=(0.25,) * 3)
    beside.write_text(json.dumps({"do_normalize": False}))
    assert guess(source) == Pixels()
    beside.write_text("[broken")
    assert guess(source).mean == IMAGENET_MEAN


@pytest.mark.parametrize(
    ("kind", "values", "pixels"),
    [
        ("Div", [255.0], Pixels(scale=1.0)),
        ("Mul", [1 / 127.5], Pixels(scale=1.0)),
        ("Sub", [103.9, 116.8, 123.7], Pixels(scale=1.0, bgr=True)),
        ("Sub", [123.7, 116.8, 103.9], Pixels(scale=1.0)),
        ("Sub", [0.485, 0.456, 0.406], Pixels()),
        ("Mul", [2.0], Pixels()),
    ],
)
def test_a_graph_that_normalises_itself_gets_what_it_expects(
    kind: str, values: list[float], pixels: Pixels, tmp_path: Path
) -> None:
    shape = (1, len(values), 1, 1)
    constants: dict[str, Any] = {"c": np.array(values, np.float32).reshape(shape)}
    nodes = [
        helper.make_node(kind, ["x", "c"], ["scaled"]),
        helper.make_node("Identity", ["scaled"], ["out"]),
    ]
    port = [1, 3, 32, 64]
    source = save(
        tmp_path / "n.onnx", nodes, [("x", FLOAT, port)], [("out", FLOAT, port)], constants
    )
    assert guess(source) == pixels


def test_what_a_network_sees_in_words() -> None:
    assert str(Pixels()) == "RGB, p / 255 (0..1)"
    assert str(Pixels(scale=1.0, bgr=True)) == "BGR, p (0..255)"
    assert (
        str(Pixels(mean=(0.5,) * 3, std=(0.5,) * 3)) == "RGB, (p / 255 - 0.5,0.5,0.5) / 0.5,0.5,0.5"
    )
