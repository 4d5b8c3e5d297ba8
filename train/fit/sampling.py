"""Which pictures each process takes in each part of each step of an epoch.

Together the processes' parts of a step are always the same pictures: a step does not depend on how
many processes or parts work it off. Knows nothing about pictures.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

from torch.utils.data import DistributedSampler, Sampler

from train.errors import TrainError
from train.fit.distributed import World


class RunPlan(Sampler[list[tuple[int, int]]]):
    """Batches of (epoch, picture index) for one process, from where `begin` says, without end.

    One loader serves a whole run with it: its processes read ahead over the ends of epochs.

    Args:
        pictures: size of the data set.
        batch: pictures of a step, over all processes and parts.
        parts: parts that a process works its share off in.
        seed: of the order, which is another one in each epoch.
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
        self.epoch, self.start = 0, 0
        self._order: DistributedSampler[int] = DistributedSampler(
            range(pictures),  # type: ignore[arg-type]  # only its length is asked for
            num_replicas=world.size,
            rank=world.rank,
            shuffle=True,
            seed=seed,
            drop_last=True,
        )

    def begin(self, step: int) -> None:
        """Begin after `step` steps of the run, which are done."""
        self.epoch, self.start = divmod(step, self.steps)

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        first = self.start * self.parts
        for epoch in count(self.epoch):
            self._order.set_epoch(epoch)
            order = [(epoch, index) for index in self._order]
            for part in range(first, self.steps * self.parts):
                yield order[part * self.share : (part + 1) * self.share]
            first = 0
