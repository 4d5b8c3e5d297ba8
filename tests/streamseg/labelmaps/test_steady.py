"""Labels stay where the picture stands still, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.hold import drawn, flicker
from benchmarks.stabilize import imagined, miou
from streamseg.drawing.classes import UNDRAWN
from streamseg.labelmaps.options import CleanOptions
from streamseg.labelmaps.steady import Steady, luma_of
from streamseg.run.job import Job
from streamseg.run.stages import clean_stages
from streamseg.run.stats import RunClock
from streamseg.video.source import Item
from tests.streamseg.fakes import FakeEngine, FakeSource

Labels = list[NDArray[np.uint8]]


def steadied(pictures: Labels, labels: Labels) -> Labels:
    steady = Steady()
    return [steady(luma_of(p), seen) for p, seen in zip(pictures, labels, strict=True)]


def test_what_a_network_imagines_is_gone_where_a_camera_stands() -> None:
    pictures, truth = drawn(frames=40, moving=False)
    seen = imagined(truth)
    found = steadied(pictures, seen)
    assert flicker(found) < flicker(seen) / 5
    assert miou(found[5:], truth[5:]) > miou(seen[5:], truth[5:]) + 0.05


@pytest.mark.parametrize(("moving", "least"), [(False, 0.995), (True, 0.985)])
def test_right_labels_stay_right_and_nothing_trails(moving: bool, least: float) -> None:
    pictures, truth = drawn(frames=40, moving=moving)
    assert miou(steadied(pictures, truth), truth) > least


def test_a_camera_that_moves_loses_nothing_of_noisy_labels() -> None:
    pictures, truth = drawn(frames=40, moving=True)
    seen = imagined(truth)
    assert miou(steadied(pictures, seen), truth) > miou(seen, truth) - 0.002


def _flat(value: float, size: tuple[int, int] = (32, 48)) -> NDArray[np.float32]:
    return np.full(size, value, np.float32)


def _of(label: int, size: tuple[int, int] = (32, 48)) -> NDArray[np.uint8]:
    return np.full(size, label, np.uint8)


def test_the_longer_a_label_was_confirmed_the_longer_it_stays() -> None:
    def stays(confirmed: int) -> int:
        steady = Steady()
        for _ in range(confirmed):
            steady(_flat(100), _of(1))
        return next(n for n in range(200) if steady(_flat(100), _of(2))[0, 0] == 2)

    assert stays(1) < stays(10) < stays(100) == stays(150)


def _split(left: float, right: float) -> NDArray[np.float32]:
    luma = _flat(left)
    luma[:, 24:] = right
    return luma


def test_a_cut_and_a_change_of_size_begin_anew() -> None:
    steady = Steady()
    for _ in range(50):
        steady(_split(50, 150), _of(1))
    assert (steady(_split(150, 50), _of(2)) == 2).all()
    assert (steady(_flat(200, (16, 16)), _of(3, (16, 16))) == 3).all()


def test_exposure_is_no_movement() -> None:
    steady = Steady()
    for _ in range(50):
        steady(_split(50, 150), _of(1))
    assert (steady(_split(62, 162), _of(2)) == 1).all()


def test_a_label_under_a_shadow_that_drifts_is_soon_given_up() -> None:
    def stays(step: float) -> int:
        steady, luma = Steady(), _flat(100)
        for _ in range(50):
            steady(luma, _of(1))
        for _ in range(8):  # softly: no step is a movement
            luma = luma.copy()
            luma[:, :20] -= step
            steady(luma, _of(1))
        return next(n for n in range(200) if steady(luma, _of(2))[0, 0] == 2)

    assert stays(2.5) < 10 < stays(0)


def test_what_moved_takes_its_new_label_at_once_and_what_did_not_keeps_its_own() -> None:
    steady = Steady()
    for _ in range(20):
        steady(_flat(100), _of(1))
    luma = _flat(100)
    luma[8:16, 8:16] = 160
    found = steady(luma, _of(2))
    assert (found[8:16, 8:16] == 2).all()
    assert (found[24:, 24:] == 1).all()


def test_luma_of_another_size_than_the_labels_is_brought_to_theirs() -> None:
    steady = Steady()
    for _ in range(20):
        steady(_flat(100, (64, 96)), _of(1))
    assert (steady(_flat(100, (64, 96)), _of(2)) == 1).all()


def test_labels_handed_out_are_the_callers() -> None:
    steady = Steady()
    for _ in range(3):
        steady(_flat(100), _of(1))[:] = 7
    assert (steady(_flat(100), _of(1)) == 1).all()


class _Doubtful(FakeEngine):
    """Says something else in every second frame."""

    def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        labels: NDArray[np.uint8] = super().infer(frames_NHWC)
        if len(self.batches) > 3 and len(self.batches) % 2:
            labels[:] = 0
        return labels


class _Still(FakeSource):
    def __iter__(self) -> Iterator[Item]:
        for index in range(self.count):
            yield Item(index, self.frame(3))


@pytest.mark.parametrize("hold", ["off", 2])
def test_a_run_with_it_is_steady(hold: str | int) -> None:
    def run(clean: CleanOptions) -> Labels:
        job = Job(_Still(12), _Doubtful(), clock=RunClock(), clean=clean, hold=hold)  # type: ignore[arg-type]
        found = []
        for item in job.pipeline().results():
            assert item.labels_HW is not None
            found.append(item.labels_HW)
        return found

    assert flicker(run(CleanOptions())) > 0
    assert flicker(run(CleanOptions(stabilize=True))) == 0


def test_the_picture_of_a_camera_that_is_away_is_not_remembered() -> None:
    (stage,) = clean_stages(CleanOptions(stabilize=True))
    frame = _Still(1).frame(0)
    here = Item(0, frame)

    def given(label: int, *, signal: bool = True) -> NDArray[np.uint8]:
        item = replace(here, signal=signal, labels_HW=_of(label), luma_HW=_flat(100))
        stage.work([item])
        assert item.labels_HW is not None
        return item.labels_HW

    for _ in range(10):
        given(1)
    assert (given(UNDRAWN, signal=False) == UNDRAWN).all()
    assert (given(2) == 2).all()
