"""What a file is that is no ONNX file, and what to do with it: told by content, not by name."""

from __future__ import annotations

import zipfile
from pathlib import Path

_EXPORT = (
    "export the network to ONNX where it was trained, as docs/import.md shows "
    "(torch.onnx.export(net, (picture,), 'net.onnx')), and import that"
)
_PYTORCH = (
    "holds PyTorch weights without the network that they belong to; "
    f"{_EXPORT}; to train on from them: 'python -m train RECIPE --weights FILE'"
)
_STARTS: tuple[tuple[int, bytes, str], ...] = (
    (4, b"TFL3", "a TensorFlow Lite file; convert it with 'python -m tf2onnx.convert --tflite'"),
    (0, b"\x89HDF\r\n\x1a\n", "a Keras or HDF5 file; save the model with tf2onnx or keras2onnx"),
    (0, b"\x80\x02", _PYTORCH),
    (0, b"\x80\x04", _PYTORCH),
    (0, b"ftrt", f"a TensorRT engine, which runs on one kind of GPU only; {_EXPORT}"),
    (0, b"ptrt", f"a TensorRT engine, which runs on one kind of GPU only; {_EXPORT}"),
    (0, b"\x89PNG", "a picture; a network is wanted"),
    (0, b"\xff\xd8\xff", "a picture; a network is wanted"),
    (4, b"ftyp", "a video; a network is wanted"),
    (0, b"<?xml", f"an XML file (OpenVINO's, say); {_EXPORT}"),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the file itself; run 'git lfs pull'"),
    (0, b"<!DOCTYPE", "a web page, not the file itself; download it again"),
    (0, b"<html", "a web page, not the file itself; download it again"),
)


def what_it_is(path: Path) -> str | None:
    """What a file is if its content shows that it is no ONNX file, and the way on; else None.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(64)
    if not start:
        return "is empty; copy or download it again"
    for at, mark, words in _STARTS:
        if start[at : at + len(mark)] == mark:
            return words
    if start[8:10] == b'{"' and int.from_bytes(start[:8], "little") < path.stat().st_size:
        return f"a safetensors file: {_PYTORCH}"
    if start[:2] == b"PK" and zipfile.is_zipfile(path):
        return _archive(path)
    return None


def _archive(path: Path) -> str:
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith(("archive_format", "models/model.json")) for name in names):
        return f"a program of torch.export (.pt2); {_EXPORT}"
    if any("/code/" in name for name in names):
        return f"a TorchScript program; {_EXPORT}"
    if any(name.endswith("data.pkl") for name in names):
        return _PYTORCH
    if any(name.endswith("config.json") for name in names):
        return "a Keras file; save the model as ONNX with model.export(..., format='onnx')"
    return "an archive; unpack it and give the .onnx file in it"
