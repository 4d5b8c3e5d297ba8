"""`convert`: what every precision keeps, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from streamseg.errors import ModelError, UsageError
from streamseg.models.modelfile import read_header
from streamseg.runtime.precision.convert import convert
from streamseg.runtime.precision.graph import NOTE_KEY, load_fp32, read_note
from tests.streamseg.runtime.precision.small import labels_of, pictures


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_every_precision_keeps_header_contract_and_most_labels(
    precision: Literal["fp32", "fp16", "int8"], small: Path, tmp_path: Path
) -> None:
    frames = pictures(6)
    out = convert(small, precision, calibration=[frames], out=tmp_path / "out.onnx")
    assert read_header(out).classes == read_header(small).classes
    assert read_note(onnx.load(out))["precision"] == precision
    agreement = float(np.mean(labels_of(out, frames) == labels_of(small, frames)))
    assert agreement > {"fp32": 0.99999, "fp16": 0.995, "int8": 0.96}[precision]
    assert [p.name for p in tmp_path.iterdir()] == ["out.onnx"]


def test_the_note_says_how_int8_was_calibrated(small: Path, tmp_path: Path) -> None:
    out = convert(
        small,
        "int8",
        calibration=iter([pictures(2), pictures(1)]),
        exclude=["node_wide"],
        scheme="cpu",
        method="minmax",
        out=tmp_path / "out.onnx",
    )
    properties = {p.key: p.value for p in onnx.load(out).metadata_props}
    assert json.loads(properties[NOTE_KEY]) == {
        "precision": "int8",
        "scheme": "cpu",
        "exclude": ["node_wide"],
        "calibration": {"frames": 3, "method": "minmax"},
    }


def test_a_measured_accuracy_is_not_claimed_for_the_converted_file(
    small: Path, tmp_path: Path
) -> None:
    model = onnx.load(small)
    header = json.loads(model.metadata_props[0].value)
    header["accuracy"] = {"measured_on": "this file", "miou": 0.7}
    model.metadata_props[0].value = json.dumps(header)
    measured = tmp_path / "measured.onnx"
    onnx.save(model, measured)
    out = convert(measured, "fp16", out=tmp_path / "out.onnx")
    assert read_header(out).accuracy == {
        "measured_on": "the fp32 file that this one was made from",
        "miou": 0.7,
    }


def test_int8_without_pictures_is_refused(small: Path, tmp_path: Path) -> None:
    nothing: list[NDArray[np.uint8]] = []
    for calibration in (None, nothing):
        with pytest.raises(UsageError, match="int8 needs calibration frames"):
            convert(small, "int8", calibration=calibration, out=tmp_path / "out.onnx")
    assert not list(tmp_path.iterdir())


def test_an_unknown_name_to_exclude_is_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"small\.onnx: has no node nothing to exclude"):
        convert(small, "fp16", exclude=["nothing"], out=tmp_path / "out.onnx")


def test_a_converted_file_is_not_converted_again(small: Path, tmp_path: Path) -> None:
    half = convert(small, "fp16", out=tmp_path / "half.onnx")
    with pytest.raises(ModelError, match=r"half\.onnx: is in fp16 already"):
        convert(half, "int8", calibration=[pictures(1)], out=tmp_path / "out.onnx")


def test_a_file_that_ends_early_is_refused(small: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(small.read_bytes()[:-40])
    with pytest.raises(ModelError, match=r"broken\.onnx"):
        convert(broken, "fp16", out=tmp_path / "out.onnx")


def test_an_output_that_cannot_be_written_leaves_nothing(small: Path, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="nowhere"):
        convert(small, "fp16", out=tmp_path / "nowhere" / "out.onnx")
    (tmp_path / "out.onnx").mkdir()  # a folder of that name: the last step fails
    with pytest.raises(OSError, match=r"out\.onnx"):
        convert(small, "fp16", out=tmp_path / "out.onnx")
    shutil.rmtree(tmp_path / "out.onnx")
    assert not list(tmp_path.iterdir())


def test_weights_stored_as_float16_are_read_as_float32(small: Path, tmp_path: Path) -> None:
    model = onnx.load(small)
    weight = next(t for t in model.graph.initializer if t.name == "mix.weight")
    values = onnx.numpy_helper.to_array(weight).astype(np.float16)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, "stored"))
    cast = onnx.helper.make_node("Cast", ["stored"], ["mix.weight"], "c", to=1)
    model.graph.node.insert(0, cast)
    path = tmp_path / "stored.onnx"
    onnx.save(model, path)
    loaded = load_fp32(path)
    found = {t.name: t for t in loaded.graph.initializer}
    assert "stored" not in found
    assert onnx.numpy_helper.to_array(found["mix.weight"]).dtype == np.float32
    assert np.array_equal(onnx.numpy_helper.to_array(found["mix.weight"]), values)
