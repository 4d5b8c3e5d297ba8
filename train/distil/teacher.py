"""Teachers: files that turn a picture into class scores. Know nothing about what is done with them.

Shape legend: H and W a picture's size, K the teacher's classes, h and w its scores' size.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnx
import onnxruntime as ort
import torch
from numpy.typing import NDArray

from streamseg.models.modelfile import HEADER_KEY
from train.checkpoint import is_checkpoint, load_checkpoint
from train.errors import TrainError
from train.models.segmenter import normalise


class Teacher(Protocol):
    """What scores a picture."""

    classes: tuple[str, ...]

    def scores(self, picture_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Class scores (before the softmax) ``[K, h, w]`` of an RGB picture, covering all of it."""
        ...


def open_teacher(path: Path) -> Teacher:
    """A teacher from its file.

    Raises:
        TrainError: no such file, neither ONNX nor a checkpoint of ours, or a graph without scores.
    """
    if not path.is_file():
        raise TrainError(f"{path}: no such teacher file; check distil.teachers")
    return CheckpointTeacher(path) if is_checkpoint(path) else OnnxTeacher(path)


class CheckpointTeacher:
    """One of our checkpoints, in PyTorch."""

    def __init__(self, path: Path) -> None:
        loaded = load_checkpoint(path)
        self.classes = loaded.classes.names
        self._network = loaded.build()

    @torch.inference_mode()
    def scores(self, picture_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Teacher`; the picture's sides must be multiples of 32."""
        frame = torch.from_numpy(np.ascontiguousarray(picture_HWC)).permute(2, 0, 1)[None]
        scores: torch.Tensor = self._network(normalise(frame))
        return np.asarray(scores[0].numpy(), dtype=np.float32)


class OnnxTeacher:
    """An ONNX graph, uint8 frames ``[N, H, W, 3]`` in, on ONNX Runtime.

    Its scores are what its last ArgMax reads (it gives labels), or else its first output.
    """

    def __init__(self, path: Path) -> None:
        try:
            model = onnx.load(path)
        except Exception as error:  # protobuf's DecodeError has no typed home
            raise TrainError(
                f"{path}: neither an ONNX file nor a checkpoint of ours ({error})"
            ) from error
        self.classes = _class_names(model, path)
        self._input = _frames_input(model, path)
        self._output = _scores_name(model)
        if self._output not in [output.name for output in model.graph.output]:
            kind = onnx.TensorProto.FLOAT
            model.graph.output.append(onnx.helper.make_tensor_value_info(self._output, kind, None))
        options = ort.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        try:
            self._session = ort.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # ONNX Runtime's own classes share no narrower base
            raise TrainError(f"{path}: ONNX Runtime cannot open this teacher ({error})") from error
        self._path = path

    def scores(self, picture_HWC: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Teacher`."""
        frames = np.ascontiguousarray(picture_HWC)[None]
        try:
            (scores,) = self._session.run([self._output], {self._input: frames})
        except Exception as error:
            size = f"{picture_HWC.shape[1]}x{picture_HWC.shape[0]}"
            raise TrainError(
                f"{self._path}: this teacher cannot run a picture of {size} ({error}); "
                "see distil.multiple and distil.scales"
            ) from error
        if scores.ndim != 4 or scores.shape[1] != len(self.classes):
            raise TrainError(
                f"{self._path}: its scores are {scores.shape}, expected [1, {len(self.classes)}, "
                "h, w] for its classes"
            )
        return np.asarray(scores[0], dtype=np.float32)


def _class_names(model: onnx.ModelProto, path: Path) -> tuple[str, ...]:
    """Class names from our header, or from the metadata key ``classes`` (joined by commas)."""
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    if HEADER_KEY in metadata:
        return tuple(entry["name"] for entry in json.loads(metadata[HEADER_KEY])["classes"])
    if "classes" in metadata:
        return tuple(name.strip() for name in metadata["classes"].split(","))
    raise TrainError(
        f"{path}: this teacher does not name its classes; add them to the file's metadata under "
        "'classes', joined by commas"
    )


def _frames_input(model: onnx.ModelProto, path: Path) -> str:
    given = {tensor.name for tensor in model.graph.initializer}
    inputs: list[Any] = [value for value in model.graph.input if value.name not in given]
    shape = inputs[0].type.tensor_type.shape.dim if len(inputs) == 1 else []
    kind = inputs[0].type.tensor_type.elem_type if len(inputs) == 1 else None
    if kind != onnx.TensorProto.UINT8 or len(shape) != 4 or shape[3].dim_value != 3:
        raise TrainError(f"{path}: a teacher takes one input, frames uint8 [N, H, W, 3]")
    return str(inputs[0].name)


def _scores_name(model: onnx.ModelProto) -> str:
    argmax = [node for node in model.graph.node if node.op_type == "ArgMax"]
    return str(argmax[-1].input[0] if argmax else model.graph.output[0].name)
