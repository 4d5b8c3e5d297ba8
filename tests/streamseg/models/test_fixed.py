"""Models whose graph is fixed to one size or one frame a call say so, and are obeyed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import helper

from streamseg import open_engine
from streamseg.errors import ModelError, UsageError
from streamseg.models.modelfile import HEADER_KEY, ModelHeader, read_header
from streamseg.segmenter import Segmenter
from tests.streamseg.clips import HEIGHT, WIDTH
from tests.streamseg.conftest import Cli, toy_graph
from tests.streamseg.fakes import toy_header

FIXED = replace(toy_header(), fixed_size=(WIDTH, HEIGHT), fixed_batch=1, multiple=1)


@pytest.fixture
def fixed_model(tmp_path: Path) -> Path:
    """The toy, of one size and one frame a call, as exporters without free axes write it."""
    model = toy_graph()
    for value, sides in ((model.graph.input[0], 3), (model.graph.output[0], 2)):
        shape = value.type.tensor_type.shape
        for axis, size in enumerate([1, HEIGHT, WIDTH][: 1 + sides]):
            shape.dim[axis].dim_value = size
    helper.set_model_props(model, {HEADER_KEY: FIXED.to_json()})
    path = tmp_path / "fixed.onnx"
    onnx.save(model, str(path))
    return path


def test_what_a_graph_is_fixed_to_comes_back(fixed_model: Path) -> None:
    header = replace(FIXED, purpose="colours", source_file="toy.onnx")
    assert ModelHeader.from_json(header.to_json(), fixed_model) == header
    assert read_header(fixed_model) == FIXED
    assert str(FIXED.sizes) == f"pictures of {WIDTH}x{HEIGHT} only"


def test_format_1_is_still_read(tmp_path: Path) -> None:
    values = json.loads(toy_header().to_json())
    for name in ("fixed_size", "fixed_batch", "multiple", "purpose", "source_file"):
        del values[name]
    header = ModelHeader.from_json(json.dumps({**values, "format": 1}), tmp_path)
    assert header == toy_header()
    assert (header.fixed_size, header.fixed_batch, header.multiple) == (None, None, 32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"multiple": 0}, "multiple must be 1 to 8192, got 0"),
        ({"multiple": True}, "multiple must be 1 to 8192, got True"),
        ({"fixed_batch": 2}, "fixed_batch must be 1 or null, got 2"),
        ({"fixed_batch": True}, "fixed_batch must be 1 or null, got True"),
        ({"fixed_size": [96]}, "fixed_size must be two whole numbers"),
        ({"fixed_size": [0, 64]}, "fixed_size must be 1 to 8192"),
        ({"fixed_size": [64, 64]}, "default_size: toy takes pictures of 64x64 only, got 96x64"),
        ({"multiple": 10}, "default_size: toy takes width and height in multiples of 10"),
        ({"purpose": "a\nb"}, "purpose has control characters"),
        ({"default_size": [1 << 40, 64]}, "default_size must be 1 to 8192"),
    ],
)
def test_a_rule_that_cannot_be_is_a_broken_header(change: dict[str, Any], message: str) -> None:
    text = json.dumps({**json.loads(toy_header().to_json()), **change})
    with pytest.raises(ModelError) as caught:
        ModelHeader.from_json(text, Path("m.onnx"))
    assert message in str(caught.value)


def test_more_frames_than_a_call_takes_are_given_one_by_one(fixed_model: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (3, HEIGHT, WIDTH, 3), np.uint8)
    with open_engine(fixed_model) as engine:
        assert engine.spec.batch == 1
        assert np.array_equal(engine.infer(frames), frames.argmax(3))
        with pytest.raises(ValueError, match=f"toy takes pictures of {WIDTH}x{HEIGHT} only, got "):
            engine.infer(frames[:, :32])


def test_a_batch_or_a_size_of_its_own_is_refused_in_the_model_s_words(fixed_model: Path) -> None:
    with pytest.raises(UsageError, match="toy takes 1 frame a call only, got a batch of 2"):
        open_engine(fixed_model, batch=2)
    with pytest.raises(UsageError, match=f"toy takes pictures of {WIDTH}x{HEIGHT} only, got 64x64"):
        open_engine(fixed_model, size=(64, 64))


def test_any_clip_and_picture_is_seen_at_the_one_size(fixed_model: Path, clip: Path) -> None:
    picture = np.zeros((200, 50, 3), np.uint8)
    with Segmenter(fixed_model) as segmenter:
        assert segmenter.image(picture).array.shape == (200, 50)
        shapes = {labels.shape for _, labels in segmenter.frames(clip)}
    assert shapes == {(HEIGHT, WIDTH)}


def test_the_command_line_says_it_in_one_sentence(
    fixed_model: Path, clip: Path, cli: Cli, tmp_path: Path
) -> None:
    out = tmp_path / "out.mp4"
    assert cli("video", clip, out, "--model", fixed_model).returncode == 0
    for option in (["--batch", "2"], ["--size", "64x64"]):
        done = cli("video", clip, tmp_path / "no.mp4", "--model", fixed_model, *option)
        assert done.returncode == 2
        assert done.stderr.startswith("error: toy takes ")
        assert len(done.stderr.splitlines()) == 1
