"""Does the deployed file say what the PyTorch network says, and how well do both see?

Knows nothing about command lines; the file is run through `runtime.engine`, as users run it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engines.errors import EngineBuildError
from engines.export import sha256
from engines.program import SUFFIX, open_program
from streamseg.models.modelfile import ModelHeader
from streamseg.runtime.engine import Engine
from streamseg.runtime.open import open_engine
from train.checkpoint import load_checkpoint
from train.data.opening import open_dataset
from train.evaluation.predict import to_network, to_picture, torch_labeller
from train.metrics import ConfusionMatrix, Scores

REQUIRED_AGREEMENT = 0.999
"""Share of pixels on which file and network must agree."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What `verify` found; shares are in 0..1."""

    model: ModelHeader
    engine: str
    """Backend and device that ran the file."""
    pictures: int
    agreement: float
    """Share of pixels, at the network's size, with the same label."""
    same_checkpoint: bool
    """The file's header names the SHA-256 of the checkpoint it was compared with."""
    network: Scores
    deployed: Scores

    @property
    def passed(self) -> bool:
        """Enough pixels agree."""
        return self.agreement >= REQUIRED_AGREEMENT

    def as_dict(self) -> dict[str, Any]:
        """Plain values only, for JSON."""
        names = self.model.classes.names
        return {
            "model": self.model.name,
            "engine": self.engine,
            "pictures": self.pictures,
            "agreement": self.agreement,
            "agreement_required": REQUIRED_AGREEMENT,
            "passed": self.passed,
            "same_checkpoint": self.same_checkpoint,
            "pytorch": self.network.as_dict(names),
            "deployed": self.deployed.as_dict(names),
        }


def verify(
    model: Path,
    checkpoint: Path,
    data: Path,
    *,
    label_stride: int | None = None,
    threads: int | None = None,
    progress: Callable[[Iterator[Any], int], Iterator[Any]] = lambda samples, _: samples,
) -> Verification:
    """Run both on the validation split of `data`.

    Args:
        model: the model file, or the program (``.pt2``).
        checkpoint: what it was exported from.
        data: data folder in the layout the network was trained on.
        label_stride: what the file was exported with; None takes the network's own.
        threads: CPU threads of the engine; None takes every core.
        progress: wraps the iteration over validation samples; gets their number.

    Raises:
        EngineBuildError: the file and the checkpoint have different classes.
        TrainError: the checkpoint or the data cannot be read.
        StreamsegError: the model file cannot be run.
    """
    loaded = load_checkpoint(checkpoint)
    network = loaded.build()
    run_network = torch_labeller(
        network, label_stride or network.spec.label_stride, torch.device("cpu")
    )
    dataset = open_dataset(loaded.recipe.data.layout, data, "val")
    with open_model(model, threads=threads) as engine:
        header = engine.spec.model
        if len(header.classes) != network.spec.classes:
            raise EngineBuildError(
                f"{model} has {len(header.classes)} classes, {checkpoint} has "
                f"{network.spec.classes}: the file was exported from another network"
            )
        file_matrix = ConfusionMatrix(len(header.classes))
        network_matrix = ConfusionMatrix(len(header.classes))
        equal = compared = 0
        for picture, truth in progress(iter(dataset.pairs()), len(dataset)):
            frames_NHWC = to_network(picture)[None]
            deployed, reference = engine.infer(frames_NHWC)[0], run_network(frames_NHWC)[0]
            equal += int(np.count_nonzero(deployed == reference))
            compared += deployed.size
            file_matrix.update(truth, to_picture(deployed, *truth.shape))
            network_matrix.update(truth, to_picture(reference, *truth.shape))
        return Verification(
            model=header,
            engine=engine.spec.backend,
            pictures=len(dataset),
            agreement=equal / compared,
            same_checkpoint=header.checkpoint_sha256 == sha256(checkpoint),
            network=network_matrix.scores(),
            deployed=file_matrix.scores(),
        )


def open_model(path: Path, *, threads: int | None = None) -> Engine:
    """The file itself, not an engine that was built from it.

    Raises:
        StreamsegError: it cannot be run.
    """
    if path.suffix.lower() == SUFFIX:
        return open_program(path, threads=threads)
    return open_engine(path, backend="onnxruntime", precision="fp32", threads=threads)
