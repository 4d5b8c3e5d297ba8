"""Class biases fitted after training: what class weighting bent is straightened again.

    python -m train.calibrate runs/mbv2/best.safetensors --data DIR --out runs/mbv2/mbv2.safetensors

A loss with class weights makes a network say rare classes too often; one without, too seldom. Both
are a shift of each class's score (logit adjustment, Menon et al. 2021), so K numbers mend it: they
are found by coordinate ascent on the mIoU of *training* pictures and added to the classifier's
bias. The network's cost does not change, and validation pictures have no part in it.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import cast

import click
import torch
from torch import Tensor
from torch.nn import functional as F

from train.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from train.console import DEBUG, FILE, one_sentence
from train.data.dataset import SegmentationData
from train.data.opening import open_dataset
from train.data.transforms import preparation
from train.errors import TrainError
from train.evaluation.predict import evaluate_network, to_network
from train.metrics import Scores
from train.models import Segmenter
from train.models.segmenter import normalise

STEPS = (-1.0, -0.5, -0.25, 0.25, 0.5, 1.0)
"""Changes tried for one class's bias, in logits."""
PASSES = 3
_PIXELS = 180 * 240
"""About as many pixels of a picture take part, evenly spaced: half of CamVid's height and width.
All would take far more memory for the same optimum."""


@torch.inference_mode()
def collect_scores(
    model: Segmenter, dataset: SegmentationData, every: int
) -> tuple[Tensor, Tensor]:
    """Scores float32 ``[K, P]`` and truth int64 ``[P]`` of the labelled pixels of a data set.

    Args:
        model: in evaluation mode.
        dataset: unaugmented.
        every: take each picture whose index divides by this.
    """
    all_scores, all_truth = [], []
    for index in range(0, len(dataset), every):
        picture, labels = dataset.read(index)
        frames = torch.from_numpy(to_network(picture)[None]).permute(0, 3, 1, 2)
        stride = max(1, round(math.sqrt(labels.size / _PIXELS)))
        truth = torch.from_numpy(labels[::stride, ::stride].copy())
        scores = F.interpolate(
            model(normalise(frames)), size=truth.shape, mode="bilinear", align_corners=False
        )
        known = truth < model.spec.classes
        all_scores.append(scores[0][:, known])
        all_truth.append(truth[known].to(torch.int64))
    return torch.cat(all_scores, dim=1), torch.cat(all_truth)


def miou(scores_KP: Tensor, truth_P: Tensor, bias_K: Tensor) -> float:
    """Mean IoU of ``argmax(scores + bias)``."""
    classes = len(bias_K)
    labels = (scores_KP + bias_K[:, None]).argmax(dim=0)
    counts = torch.bincount(truth_P * classes + labels, minlength=classes**2)
    return Scores.from_counts(counts.reshape(classes, classes).numpy()).miou


def fit_bias(scores_KP: Tensor, truth_P: Tensor) -> Tensor:
    """Biases float32 ``[K]`` of mean 0 that raise the mIoU, by coordinate ascent from zero."""
    bias = torch.zeros(len(scores_KP))
    best = miou(scores_KP, truth_P, bias)
    for _ in range(PASSES):
        before = best
        for index in range(len(bias)):
            trials = bias.repeat(len(STEPS), 1)
            trials[:, index] += torch.tensor(STEPS)
            value, trial = max(
                ((miou(scores_KP, truth_P, trial), trial) for trial in trials), key=lambda t: t[0]
            )
            if value > best:
                best, bias = value, trial
        if best == before:
            break
    return bias - bias.mean()


def _open(loaded: Checkpoint, data: Path, split: str) -> SegmentationData:
    """A split as the network was trained on it, but whole and unaugmented.

    Raises:
        TrainError: it cannot be read, or has other classes.
    """
    config = loaded.recipe.data
    prepare = preparation(resize=config.resize)
    dataset = open_dataset(config.layout, data, split, prepare=prepare, in_memory=False)
    if dataset.classes.names != loaded.classes.names:
        raise TrainError(
            f"{data}: its {len(dataset.classes)} classes are not the checkpoint's "
            f"{len(loaded.classes)}; give the data that the network was trained on"
        )
    return dataset


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("checkpoint", type=FILE)
@click.option("--data", type=FILE, required=True, help="Data folder.")
@click.option("--out", type=FILE, required=True, help="Checkpoint to write.")
@click.option(
    "--every",
    type=click.IntRange(min=1),
    default=4,
    show_default=True,
    help="Use each n-th training picture.",
)
@click.option("--overwrite", is_flag=True, help="Replace what --out names.")
@DEBUG
def main(checkpoint: Path, data: Path, out: Path, every: int, overwrite: bool, debug: bool) -> None:
    """Fit class biases of CHECKPOINT on training pictures and write it to OUT."""
    if out.exists() and not overwrite:
        raise click.UsageError(f"{out}: exists already; use --overwrite")
    with one_sentence(debug):
        loaded = load_checkpoint(checkpoint)
        model, config = loaded.build(), loaded.recipe.data
        validation = _open(loaded, data, config.val_split)
        training = _open(loaded, data, config.train_split)
        before = evaluate_network(model, validation, torch.device("cpu"))
        bias = fit_bias(*collect_scores(model, training, every))
        with torch.no_grad():
            cast(Tensor, model.classifier.bias).add_(bias)
        after = evaluate_network(model, validation, torch.device("cpu"))
        metrics = {
            "split": config.val_split,
            "class_bias": bias.tolist(),
            **after.as_dict(loaded.classes.names),
        }
        save_checkpoint(
            out,
            dataclasses.replace(
                loaded,
                metrics=metrics,
                tensors={f"model.{k}": v for k, v in model.state_dict().items()},
            ),
        )
    click.echo(f"class biases: {[round(value, 2) for value in bias.tolist()]}")
    click.echo(f"validation mIoU {100 * before.miou:.2f} % -> {100 * after.miou:.2f} %: {out}")


if __name__ == "__main__":
    main()
