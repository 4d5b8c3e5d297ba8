"""Validation while training: metrics and loss of a network, worked off by all processes.

The pictures go the way `evaluation.predict` sends them; this adds the loss and the sharing of work.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from train.data.dataset import SegmentationData
from train.evaluation.predict import to_network, to_picture
from train.fit.distributed import World
from train.fit.losses import SegmentationLoss
from train.fit.soft_loss import DistilLoss
from train.metrics import ConfusionMatrix, Scores
from train.models import low_resolution_argmax
from train.models.segmenter import normalise


@torch.inference_mode()
def validate(
    network: nn.Module,
    data: SegmentationData,
    loss: SegmentationLoss | DistilLoss,
    *,
    label_stride: int,
    device: torch.device,
    world: World,
) -> tuple[Scores, float]:
    """Metrics over a whole split, and its mean loss (of the main output).

    Each process takes every `world.size`-th picture; the sums are the same on all.
    """
    was_training = network.training
    network.eval()
    matrix = ConfusionMatrix(len(data.classes))
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    for index in range(world.rank, len(data), world.size):
        picture, truth = data.read(index)
        frame = torch.from_numpy(to_network(picture)[None]).to(device).permute(0, 3, 1, 2)
        scores: Tensor = network(normalise(frame))
        labels = low_resolution_argmax(scores, frame.shape[2], frame.shape[3], label_stride)
        matrix.update(truth, to_picture(labels[0].cpu().numpy(), *truth.shape))
        truth_NHW = torch.from_numpy(truth).to(device=device, dtype=torch.int64)[None]
        mass = loss.mass(truth_NHW)
        sums += torch.stack([loss.term(scores, truth_NHW) * mass, mass])
    network.train(was_training)
    matrix.counts = world.total(torch.from_numpy(matrix.counts).to(device)).cpu().numpy()
    total, mass = world.total(sums).tolist()
    return matrix.scores(), total / max(mass, 1e-12)
