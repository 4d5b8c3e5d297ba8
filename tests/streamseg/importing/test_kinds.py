"""What does not segment is refused by the name of what it is, told by its file or its outputs."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from streamseg.errors import ModelError, UsageError
from streamseg.importing.foreign import read_foreign
from streamseg.importing.kinds import map_axes
from streamseg.importing.plan import ImportOptions, make_plan
from tests.streamseg.importing.graphs import binary_like, giving, torchvision_like, ultralytics_like


def refusal(source: Path) -> str:
    with pytest.raises((ModelError, UsageError)) as caught:
        make_plan(read_foreign(source), ImportOptions())
    assert str(caught.value).startswith(f"{source}: ")
    return str(caught.value)


BOXES = 12 * 8 + 6 * 4 + 3 * 2


@pytest.mark.parametrize(
    ("shapes", "kind"),
    [
        ({"output0": (1, 9, BOXES)}, "an object-detection model"),
        ({"output0": (1, 3 * BOXES, 85)}, "an object-detection model"),
        ({"logits": (1, 100, 92), "pred_boxes": (1, 100, 4)}, "an object-detection model"),
        (
            {"output0": (1, 116, BOXES), "output1": (1, 32, 16, 24)},
            "an instance-segmentation model",
        ),
        ({"boxes": (5, 4), "masks": (5, 1, 64, 96)}, "an instance-segmentation model"),
        ({"classes": (1, 8, 20), "maps": (1, 8, 16, 24)}, "a mask-classification model"),
        ({"logits": (1, 1000)}, "a classification model"),
        ({"logits": (1, 1000, 1, 1)}, "a classification model"),
        ({"last_hidden_state": (1, 197, 768)}, "a backbone, or an encoder"),
        ({"predicted_depth": (1, 64, 96)}, "a depth model"),
        ({"p3": (1, 9, 8, 12), "p4": (1, 9, 4, 6), "p5": (1, 9, 2, 3)}, "a detector without its"),
        ({"features": (1, 960, 2, 3)}, "features has 960 channels"),
        ({"y": (2, 2, 2, 2, 2)}, "no output is a map of classes over the picture"),
    ],
)
def test_other_kinds_are_named_by_what_they_give(
    shapes: dict[str, tuple[int, ...]], kind: str, tmp_path: Path
) -> None:
    assert kind in refusal(giving(tmp_path / "net.onnx", shapes))


@pytest.mark.parametrize(
    ("task", "kind"),
    [
        ("detect", "an object-detection model"),
        ("segment", "an instance-segmentation model"),
        ("pose", "a pose model"),
        ("classify", "a classification model"),
        ("depth", "a depth model"),
    ],
)
def test_other_kinds_are_named_by_their_metadata(task: str, kind: str, tmp_path: Path) -> None:
    message = refusal(ultralytics_like(tmp_path / "net.onnx", task))
    assert f"is {kind}" in message
    assert f"its metadata say task {task!r}" in message


def test_hugging_face_s_config_names_a_kind(tmp_path: Path) -> None:
    source = torchvision_like(tmp_path / "model.onnx")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"architectures": ["DPTForDepthEstimation"]}))
    assert "is a depth model" in refusal(source)
    config.write_text(json.dumps({"architectures": ["SegformerForSemanticSegmentation"]}))
    assert make_plan(read_foreign(source), ImportOptions()).output.name == "out"


def test_a_value_a_pixel_that_cannot_be_below_0_is_a_depth(tmp_path: Path) -> None:
    assert "is a depth model" in refusal(binary_like(tmp_path / "net.onnx", "Relu"))


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        ([[1, 3, 64, 96], [1, 3, 64, 96]], "has 2 inputs (images: float [1, 3, 64, 96]; images1"),
        ([[1, 1, 64, 96]], "1 channels, and pictures have 3"),
        ([[1, 3, 96]], "a batch of pictures is wanted"),
        ([[4, 3, 64, 96]], "takes 4 pictures a call, no more and no fewer"),
    ],
)
def test_inputs_that_are_no_picture(
    sides: list[list[int | str | None]], message: str, tmp_path: Path
) -> None:
    source = giving(tmp_path / "net.onnx", {"out": (1, 3, 64, 96)}, inputs=sides)
    assert message in refusal(source)


def archive(path: Path, *names: str) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        for name in names:
            file.writestr(name, "")
    return path


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\x1c\x00\x00\x00TFL3", "a TensorFlow Lite file"),
        (b"\x89HDF\r\n\x1a\n", "a Keras or HDF5 file"),
        (b"\x80\x02}", "holds PyTorch weights without the network"),
        (b'\x08\x00\x00\x00\x00\x00\x00\x00{"a":1}', "a safetensors file"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"<!DOCTYPE html>", "a web page, not the file itself"),
        (b"hello there, this is no network", "not an ONNX file"),
    ],
)
def test_files_of_other_kinds_are_told_by_content(
    content: bytes, words: str, tmp_path: Path
) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(content)
    with pytest.raises((UsageError, ModelError)) as caught:
        read_foreign(path)
    assert words in str(caught.value)


def test_archives_are_told_by_what_is_in_them(tmp_path: Path) -> None:
    for names, words in (
        (("net/data.pkl", "net/code/x.py"), "a TorchScript program"),
        (("net/data.pkl",), "holds PyTorch weights"),
        (("net/archive_format",), r"a program of torch.export \(.pt2\)"),
        (("config.json",), "a Keras file"),
        (("a.txt",), "an archive"),
    ):
        with pytest.raises(UsageError, match=words):
            read_foreign(archive(tmp_path / "net.onnx", *names))


def test_missing_files_and_our_own(tmp_path: Path, toy_model: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_foreign(tmp_path / "no.onnx")
    with pytest.raises(UsageError, match="is a folder"):
        read_foreign(tmp_path)
    with pytest.raises(
        ModelError, match="is a model file of streamseg already; use it with --model"
    ):
        read_foreign(toy_model)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((1, 21, 64, 96), (2, 3)),
        ((1, 64, 96, 21), (1, 2)),
        ((1, 150, 16, 24), (2, 3)),
        ((1, 64, 96), (1, 2)),
        ((1, 116, 3024), None),
        ((1, 1000), None),
        ((1, 1000, 1, 1), None),
    ],
)
def test_maps_have_the_picture_s_aspect_ratio(
    shape: tuple[int, ...], axes: tuple[int, int] | None
) -> None:
    assert map_axes(shape, (96, 64)) == axes
