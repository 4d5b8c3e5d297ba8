"""What is evaluated: a checkpoint, or a deployed model file, behind one face.

A checkpoint gives scores, so that several looks at a picture can be averaged. A model file gives
labels only (its argmax is inside), and runs on ONNX Runtime as a user's copy does.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from streamseg.models.modelfile import read_header
from streamseg.models.palette import Palette
from train.checkpoint import load_checkpoint
from train.errors import TrainError
from train.evaluation.predict import Labeller, torch_labeller
from train.evaluation.views import Scorer
from train.models.segmenter import normalise


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """Something that labels pictures."""

    name: str
    kind: Literal["checkpoint", "model file"]
    classes: Palette
    layout: str | None
    """Layout of the data it was trained on; None if it does not say."""
    split: str
    """What it is validated on."""
    size: tuple[int, int] | None
    """Height and width to run at by default; None: as large as each picture."""
    description: dict[str, Any]
    """What its header says, plain; goes into the result."""
    label: Labeller
    score: Scorer | None
    """None for a model file."""


def open_subject(path: Path, device: torch.device, threads: int | None = None) -> Subject:
    """Read a checkpoint (``.safetensors``) or a model file (``.onnx``).

    Args:
        path: the file.
        device: where a checkpoint runs; a model file runs on the CPU.
        threads: CPU threads of ONNX Runtime; None takes every core.

    Raises:
        TrainError: missing, unreadable, of a kind that nobody knows, or not one of ours.
    """
    if path.suffix.lower() == ".onnx":
        return _open_model_file(path, threads)
    loaded = load_checkpoint(path)
    model = loaded.build().to(device)
    return Subject(
        name=loaded.recipe.name,
        kind="checkpoint",
        classes=loaded.classes,
        layout=loaded.recipe.data.layout,
        split=loaded.recipe.data.val_split,
        size=_size(loaded.recipe.data.resize),
        description={
            "file": path.name,
            "recipe": loaded.recipe.as_dict(),
            "epoch": loaded.epoch,
            "parameters": sum(p.numel() for p in model.parameters()),
        },
        label=torch_labeller(model, model.spec.label_stride, device),
        score=torch_scorer(model, device),
    )


def _size(resize: int | tuple[int, int]) -> tuple[int, int] | None:
    """Height and width of a recipe's ``data.resize``; None if it does not resize."""
    if isinstance(resize, int):
        return (resize, resize) if resize else None
    return resize


def torch_scorer(model: nn.Module, device: torch.device) -> Scorer:
    """Run a `Segmenter` (in evaluation mode) up to its scores."""

    @torch.inference_mode()
    def score(frames_NHWC: NDArray[np.uint8]) -> Tensor:
        frames = torch.from_numpy(frames_NHWC).to(device)
        scores: Tensor = model(normalise(frames.permute(0, 3, 1, 2)))
        return scores.float()

    return score


def _open_model_file(path: Path, threads: int | None) -> Subject:
    import onnxruntime as ort  # a checkpoint needs none of it

    if not path.is_file():
        raise TrainError(f"{path}: no such model file")
    try:
        header = read_header(path)
    except Exception as error:
        # streamseg.errors is not ours to import: its errors are sentences already
        if type(error).__module__ != "streamseg.errors":
            raise
        raise TrainError(str(error)) from error
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    try:
        session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        inputs = [(i.name, i.type) for i in session.get_inputs()]
        outputs = [(o.name, o.type) for o in session.get_outputs()]
    except Exception as error:  # ONNX Runtime's own errors share no other base class
        reason = str(error).splitlines()[0]
        raise TrainError(f"{path}: ONNX Runtime cannot load it ({reason})") from error
    if inputs != [("frames", "tensor(uint8)")] or outputs != [("labels", "tensor(uint8)")]:
        raise TrainError(
            f"{path}: expected input frames and output labels, both uint8, got {inputs} and "
            f"{outputs}; export it with 'python -m engines export'"
        )

    def label(frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        (labels,) = session.run(["labels"], {"frames": frames_NHWC})
        return np.asarray(labels, dtype=np.uint8)

    return Subject(
        name=header.name,
        kind="model file",
        classes=header.classes,
        layout=None,
        split="val",
        size=None,
        description={
            "file": path.name,
            "architecture": header.architecture,
            "training_data": header.training_data,
            "checkpoint_sha256": header.checkpoint_sha256,
            "streamseg_version": header.streamseg_version,
            "onnxruntime": ort.__version__,
        },
        label=label,
        score=None,
    )
