from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch

from tests.train.drawn import draw_dataset
from train.data.opening import open_dataset
from train.fit.distributed import World
from train.fit.loading import loader_processes, parts_of_steps
from train.fit.sampling import RunPlan

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_as_many_processes_as_the_machine_can_spare(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(64)))
    assert loader_processes(3, CUDA) == 3
    assert loader_processes(0, CUDA) == 0
    assert loader_processes(-1, CPU) == 1
    assert loader_processes(-1, CUDA) == 8
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "16")
    assert loader_processes(-1, CUDA) == 4
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0, 1})
    assert loader_processes(-1, CUDA) == 1


@pytest.mark.parametrize("workers", [0, 2])
def test_one_loader_goes_over_the_ends_of_epochs(tmp_path: Path, workers: int) -> None:
    data = open_dataset("camvid", draw_dataset(tmp_path / "d", train=4), "train")
    plan = RunPlan(4, batch=2, parts=2, seed=0, world=World())
    steps = parts_of_steps(data, plan, workers=workers, device=CPU)
    found = list(islice(steps, 5))  # two and a half epochs
    assert [len(parts) for parts in found] == [2] * 5
    pictures, labels = found[4][1]
    assert (pictures.dtype, labels.dtype) == (torch.uint8, torch.uint8)
    keys = [key for batch in islice(plan, 10) for key in batch]
    for key, part in zip(keys, [part for parts in found for part in parts], strict=True):
        assert torch.equal(part[0][0], data[key][0])
