"""Which pictures each process takes in each part of each step of an epoch.

Together the processes' parts of a step are always the same pictures: a step does not depend on how
many processes or parts work it off. Knows nothing about pictures.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch.utils.data import DistributedSampler, Sampler

from train.errors import TrainError
from train.fit.distributed import World


class EpochPlan(Sampler[list[int]]):
    """Batches of picture indices for one process, from step `start` of the epoch on.

    Args:
        pictures: size of the data set.
        batch: pictures of a step, over all processes and parts.
        parts: parts that a process works its share off in.
        seed: of the order; `set_epoch` changes it.
        world: this process's place.

    Raises:
        TrainError: a batch cannot be shared evenly.
    """

    def __init__(self, pictures: int, *, batch: int, parts: int, seed: int, world: World) -> None:
        if batch % (world.size * parts):
            raise TrainError(
                f"train.batch is {batch}, which {world.size} processes with train.accumulate = "
                f"{parts} cannot share evenly; make it a multiple of {world.size * parts}"
            )
        self.parts = parts
        self.share = batch // (world.size * parts)
        self.steps = pictures // batch
        self.start = 0
        self._order: DistributedSampler[int] = DistributedSampler(
            range(pictures),  # type: ignore[arg-type]  # only its length is asked for
            num_replicas=world.size,
            rank=world.rank,
            shuffle=True,
            seed=seed,
            drop_last=True,
        )

    def set_epoch(self, epoch: int, start: int) -> None:
        """Shuffle anew for an epoch, and leave out its first `start` steps (they are done)."""
        self._order.set_epoch(epoch)
        self.start = start

    def __len__(self) -> int:
        return (self.steps - self.start) * self.parts

    def __iter__(self) -> Iterator[list[int]]:
        order = list(self._order)
        for index in range(self.start * self.parts, self.steps * self.parts):
            yield order[index * self.share : (index + 1) * self.share]
