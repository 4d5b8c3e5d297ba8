from __future__ import annotations

import pytest

from train.errors import TrainError
from train.fit.distributed import World
from train.fit.sampling import EpochPlan


def plan(processes: int = 1, rank: int = 0, parts: int = 1, pictures: int = 26) -> EpochPlan:
    world = World(rank=rank, size=processes)
    return EpochPlan(pictures, batch=8, parts=parts, seed=5, world=world)


def steps(plans: list[EpochPlan], parts: int) -> list[list[int]]:
    """The sorted pictures of each step, over all processes and parts."""
    batches = [list(one) for one in plans]
    return [
        sorted(i for own in batches for batch in own[first : first + parts] for i in batch)
        for first in range(0, len(batches[0]), parts)
    ]


def test_a_step_has_the_same_pictures_on_any_number_of_processes_and_parts() -> None:
    alone = steps([plan()], 1)
    assert [len(step) for step in alone] == [8, 8, 8]
    assert len({i for step in alone for i in step}) == 24
    for processes, parts in ((1, 4), (2, 1), (2, 2), (4, 2)):
        plans = [plan(processes, rank, parts) for rank in range(processes)]
        assert steps(plans, parts) == alone
        assert [len(one) for one in plans] == [3 * parts] * processes


def test_an_epoch_goes_on_where_it_was_left() -> None:
    one = plan(parts=2)
    one.set_epoch(3, 0)
    whole = list(one)
    one.set_epoch(3, 2)
    assert list(one) == whole[4:]
    assert len(one) == 2
    one.set_epoch(4, 0)
    assert list(one) != whole


def test_a_batch_that_cannot_be_shared_evenly() -> None:
    with pytest.raises(TrainError, match=r"batch is 8, which 3 processes .* multiple of 3"):
        plan(processes=3)
