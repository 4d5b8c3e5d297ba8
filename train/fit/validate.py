"""Validation while training: metrics and loss of a network, worked off by all processes.

Pictures go the way `evaluation.predict` sends them, read ahead by the loader's processes; on a GPU
several of one size make a batch, and everything is counted there. Shape legend: N pictures of a
batch, K classes, H and W a picture's own size, h and w the network's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from train.data.dataset import SegmentationData
from train.evaluation.predict import to_network
from train.fit.distributed import World
from train.fit.losses import SegmentationLoss
from train.fit.precision import Precision
from train.fit.soft_loss import DistilLoss
from train.metrics import Scores
from train.models import low_resolution_argmax
from train.models.segmenter import normalise

BATCH = 4
"""Pictures at a time on a GPU."""


class Looks(Dataset[tuple[Tensor, Tensor]]):
    """A process's share of a split: frames uint8 ``[3, h, w]`` and truth uint8 ``[H, W]``."""

    def __init__(self, data: SegmentationData, world: World) -> None:
        self.data = data
        self.indices = range(world.rank, len(data), world.size)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        picture, truth = self.data.read(self.indices[index])
        frame = torch.from_numpy(np.ascontiguousarray(to_network(picture))).permute(2, 0, 1)
        return frame, torch.from_numpy(truth)


def _alone(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    (sample,) = samples
    return sample


def batches(samples: Iterable[tuple[Tensor, Tensor]], size: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Neighbours of equal sizes together, at most `size`: frames and truths, stacked."""
    waiting: list[tuple[Tensor, Tensor]] = []
    for sample in samples:
        same = waiting and all(a.shape == b.shape for a, b in zip(waiting[0], sample, strict=True))
        if waiting and (not same or len(waiting) == size):
            yield _stacked(waiting)
            waiting = []
        waiting.append(sample)
    if waiting:
        yield _stacked(waiting)


def _stacked(samples: list[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
    frames, truths = zip(*samples, strict=True)
    return torch.stack(frames), torch.stack(truths)


@lru_cache(maxsize=64)
def _nearest(size: int, wanted: int) -> Tensor:
    """Which of `size` rows each of `wanted` rows takes, int64: OpenCV's own choice."""
    column = np.arange(size, dtype=np.float32)[:, None]
    rows = cv2.resize(column, (1, wanted), interpolation=cv2.INTER_NEAREST_EXACT)
    return torch.from_numpy(np.asarray(rows)[:, 0].astype(np.int64))


def labels_at(labels_Nhw: Tensor, height: int, width: int) -> Tensor:
    """Labels uint8 at a picture's size, from the nearest centre, as `predict.to_picture`."""
    if labels_Nhw.shape[1:] == (height, width):
        return labels_Nhw
    rows, columns = (
        _nearest(size, wanted).to(labels_Nhw.device, non_blocking=True)
        for size, wanted in zip(labels_Nhw.shape[1:], (height, width), strict=True)
    )
    return labels_Nhw[:, rows][:, :, columns]


def confusion(truth_NHW: Tensor, labels_NHW: Tensor, classes: int) -> Tensor:
    """Counts int64 ``[K, K]`` on the device: rows the truth; other truths are ignored."""
    known = truth_NHW < classes
    pairs = truth_NHW[known].long() * classes + labels_NHW[known].long()
    return torch.bincount(pairs, minlength=classes**2).reshape(classes, classes)


@torch.inference_mode()
def validate(
    network: nn.Module,
    data: SegmentationData,
    loss: SegmentationLoss | DistilLoss,
    *,
    label_stride: int,
    precision: Precision,
    workers: int,
    world: World,
) -> tuple[Scores, float]:
    """Metrics over a whole split, and its mean loss (of the main output).

    Each process takes every `world.size`-th picture; the sums are the same on all.
    """
    device = precision.device
    cuda = device.type == "cuda"
    was_training = network.training
    network.eval()
    classes = len(data.classes)
    counts = torch.zeros(classes, classes, dtype=torch.int64, device=device)
    sums = torch.zeros(2, dtype=torch.float64, device=device)
    loader: Iterable[tuple[Tensor, Tensor]] = DataLoader(
        Looks(data, world),
        batch_size=1,
        collate_fn=_alone,
        num_workers=workers if cuda else 0,  # on a CPU pictures are read on the network's cores
        pin_memory=cuda,
    )
    for frames, truths in batches(loader, BATCH if cuda else 1):
        x = normalise(frames.to(device, non_blocking=True))
        truth_NHW = truths.to(device, non_blocking=True)
        with precision.looking():
            scores = network(x.contiguous(memory_format=torch.channels_last)).float()
        labels = low_resolution_argmax(scores, x.shape[2], x.shape[3], label_stride)
        counts += confusion(truth_NHW, labels_at(labels, *truth_NHW.shape[1:]), classes)
        for one, truth in zip(scores, truth_NHW, strict=True):  # OHEM and Dice: a picture each
            truth_1HW = truth[None].long()
            mass = loss.mass(truth_1HW)
            sums += torch.stack([loss.term(one[None], truth_1HW) * mass, mass])
    network.train(was_training)
    total, mass = world.total(sums).tolist()
    matrix: NDArray[np.int64] = world.total(counts).cpu().numpy()
    return Scores.from_counts(matrix), total / max(mass, 1e-12)
