from __future__ import annotations

from itertools import islice

import pytest

from train.errors import TrainError
from train.fit.distributed import World
from train.fit.sampling import RunPlan


def plan(processes: int = 1, rank: int = 0, parts: int = 1, pictures: int = 26) -> RunPlan:
    world = World(rank=rank, size=processes)
    return RunPlan(pictures, batch=8, parts=parts, seed=5, world=world)


def steps(plans: list[RunPlan], parts: int) -> list[list[int]]:
    """The sorted pictures of each step, over all processes and parts."""
    batches = [list(islice(one, one.steps * parts)) for one in plans]
    return [
        sorted(i for own in batches for batch in own[first : first + parts] for _, i in batch)
        for first in range(0, len(batches[0]), parts)
    ]


def test_a_step_has_the_same_pictures_on_any_number_of_processes_and_parts() -> None:
    alone = steps([plan()], 1)
    assert [len(step) for step in alone] == [8, 8, 8]
    assert len({i for step in alone for i in step}) == 24
    for processes, parts in ((1, 4), (2, 1), (2, 2), (4, 2)):
        plans = [plan(processes, rank, parts) for rank in range(processes)]
        assert steps(plans, parts) == alone
        assert [one.steps for one in plans] == [3] * processes


def test_a_run_goes_on_where_it_was_left_and_over_the_ends_of_epochs() -> None:
    one = plan(parts=2)  # three steps an epoch
    whole = list(islice(one, 18))
    assert [batch[0][0] for batch in whole] == [0] * 6 + [1] * 6 + [2] * 6
    assert [i for _, i in whole[0]] != [i for _, i in whole[6]]  # another order
    for step in (2, 3, 7):
        one.begin(step)
        assert list(islice(one, 4)) == whole[2 * step : 2 * step + 4]


def test_a_batch_that_cannot_be_shared_evenly() -> None:
    with pytest.raises(TrainError, match=r"batch is 8, which 3 processes .* multiple of 3"):
        plan(processes=3)
