"""One process of several that train one network together, as torchrun starts them.

    torchrun --nproc-per-node 8 -m train RECIPE --data DIR --out DIR

Knows nothing about networks' insides or recipes. A single process is a world of size 1, for which
everything here does nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from train.errors import TrainError

NetworkT = TypeVar("NetworkT", bound=nn.Module)
_VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """This process's place among those that train together."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Rank among the processes of this machine: the number of its GPU."""

    @property
    def is_main(self) -> bool:
        """Whether this process writes the run folder and the terminal."""
        return self.rank == 0

    def total(self, values: Tensor) -> Tensor:
        """The sum of a tensor over all processes; the same, bit for bit, on each."""
        if self.size > 1:
            dist.all_reduce(values)
        return values

    def as_main(self, *modules: nn.Module) -> None:
        """Give modules the main process's weights and buffers (BatchNorm's differ by process)."""
        if self.size > 1:
            for module in modules:
                for value in module.state_dict().values():
                    dist.broadcast(value, src=0)

    @contextmanager
    def in_turn(self) -> Iterator[None]:
        """The first process of each machine goes first: what it downloads, the others find."""
        if self.size > 1 and self.local_rank > 0:
            dist.barrier()
        try:
            yield
        finally:
            if self.size > 1 and self.local_rank == 0:
                dist.barrier()

    def synchronised(self, model: NetworkT, device: torch.device) -> NetworkT:
        """The network with BatchNorm over all processes (SyncBatchNorm); weights stay.

        Raises:
            TrainError: the processes train on CPUs, which PyTorch has no SyncBatchNorm for.
        """
        if self.size == 1:
            return model
        if device.type != "cuda":
            raise TrainError(
                f"train.sync_batchnorm needs GPUs, these processes train on {device.type}; "
                "set it to false, or optim.freeze_batchnorm to 'all'"
            )
        converted: NetworkT = nn.SyncBatchNorm.convert_sync_batchnorm(model)  # type: ignore[no-untyped-call]
        return converted

    def wrap(self, model: nn.Module, device: torch.device, *, static: bool = False) -> nn.Module:
        """The network whose backward pass averages gradients over the processes.

        `static`: each step has one backward pass through the same layers, which DDP can rely on.
        """
        if self.size == 1:
            return model
        return DistributedDataParallel(
            model,
            device_ids=[device.index] if device.type == "cuda" else None,
            gradient_as_bucket_view=True,
            static_graph=static,
        )

    def local_gradients(self, network: nn.Module, *, last: bool) -> AbstractContextManager[None]:
        """Around one part of a batch: gradients are exchanged with the last part only."""
        if isinstance(network, DistributedDataParallel) and not last:
            return network.no_sync()
        return nullcontext()


def launched() -> bool:
    """Whether torchrun (or a cluster's launcher that sets the same variables) started us."""
    return "WORLD_SIZE" in os.environ and "RANK" in os.environ


def process_rank() -> int:
    """This process's rank, also before it has joined the others (which checks the variables)."""
    text = os.environ["RANK"] if launched() else "0"
    return int(text) if text.isdecimal() else 0


def _place() -> World:
    missing = [name for name in _VARIABLES if not os.environ.get(name, "")]
    if missing:
        raise TrainError(
            f"RANK and WORLD_SIZE are set but {', '.join(missing)} is not; start several processes "
            "with torchrun, or unset them for one"
        )
    try:
        return World(
            rank=int(os.environ["RANK"]),
            size=int(os.environ["WORLD_SIZE"]),
            local_rank=int(os.environ["LOCAL_RANK"]),
        )
    except ValueError as error:
        raise TrainError(f"RANK, WORLD_SIZE and LOCAL_RANK must be numbers ({error})") from error


@contextmanager
def join_world(device: torch.device) -> Iterator[tuple[World, torch.device]]:
    """Join the processes that torchrun started; leave them in order whatever happens.

    Yields this process's place and its own device: the CUDA device of its local rank, or `device`.
    NCCL joins GPUs, gloo CPUs. Processes that somebody has joined already (Ray Train) stay joined.

    Raises:
        TrainError: the launcher's variables are incomplete, this machine has fewer GPUs than
            processes, or the others do not answer.
    """
    if not launched():
        yield World(), device
        return
    world = _place()
    if device.type == "cuda":
        if world.local_rank >= torch.cuda.device_count() and not dist.is_initialized():
            raise TrainError(
                f"process {world.local_rank} of this machine has no GPU, there are "
                f"{torch.cuda.device_count()}; lower torchrun's --nproc-per-node"
            )
        # Ray shows each worker its own GPU alone, as number 0
        device = torch.device("cuda", world.local_rank % torch.cuda.device_count())
        torch.cuda.set_device(device)
    if dist.is_initialized():
        yield world, device
        return
    backend = "nccl" if device.type == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, rank=world.rank, world_size=world.size)
    except (RuntimeError, ValueError) as error:
        address = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise TrainError(
            f"cannot join the other processes at {address} ({str(error).splitlines()[0]})"
        ) from error
    try:
        yield world, device
    finally:
        dist.destroy_process_group()
