"""With labels held, every frame is labelled and the engine sees few of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from streamseg import Segmenter
from streamseg.drawing.classes import UNDRAWN
from streamseg.errors import UsageError
from streamseg.run.holding import Holding
from streamseg.run.job import Job
from streamseg.run.stats import RunClock
from streamseg.video.source import Item
from tests.streamseg.clips import Clip, paint, read_times, scene
from tests.streamseg.fakes import FakeEngine, FakeSource

pytestmark = pytest.mark.usefixtures("no_thread_left")


class _Scenes(FakeSource):
    """Each scene stands for four frames, then there is a cut."""

    def __iter__(self) -> Iterator[Item]:
        for index in range(self.count):
            yield Item(index, self.frame(5 * (index // 4 % 2)), captured=0.0)


@pytest.mark.parametrize(("batch", "workers"), [(1, 1), (1, 3), (4, 2)])
@pytest.mark.parametrize("live", [False, True])
def test_labels_are_those_of_every_frame_seen(live: bool, batch: int, workers: int) -> None:
    engine = FakeEngine(batch=batch, workers=workers)
    job = Job(_Scenes(16), engine, clock=RunClock(), hold="auto", live=live)
    items = list(job.pipeline().results())
    for item in items:
        truth = scene(5 * (item.index // 4 % 2))
        assert item.labels_HW is not None
        assert np.mean(item.labels_HW == truth) > 0.95
    if not live:  # which may drop some, as it should
        assert [item.index for item in items] == list(range(16))
        assert sum(shape[0] for shape in engine.batches) == 4


def test_a_run_says_how_many_were_held(toy_model: Path, tmp_path: Path) -> None:
    clip = Clip(frames=20, draw=lambda _: paint(scene(3))).write(tmp_path / "still.mp4")
    with Segmenter(toy_model, threads=1) as segmenter:
        held = segmenter.video(clip, tmp_path / "held.mp4", hold=5)
        every = segmenter.video(clip, tmp_path / "every.mp4")
    assert (held.frames, held.held, every.held) == (20, 16, 0)
    assert read_times(tmp_path / "held.mp4") == read_times(clip)


def test_a_hold_that_cannot_be_is_refused_before_anything_is_written(
    toy_model: Path, clip: Path, tmp_path: Path
) -> None:
    with (
        Segmenter(toy_model, threads=1) as segmenter,
        pytest.raises(UsageError, match=r"hold is 'often'; write auto"),
    ):
        segmenter.video(clip, tmp_path / "out.mp4", hold="often")  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())


def test_the_picture_of_a_camera_that_is_away_is_no_key() -> None:
    engine = FakeEngine()
    stages = Holding(engine, 12).stages(live=True)
    found = [
        stages[0].work([replace(_small(index), signal=index not in (1, 2))])[0]
        for index in range(4)
    ]
    truth = scene(3)
    assert len(engine.batches) == 1
    for item in found:
        wanted = truth if item.signal else np.full_like(truth, UNDRAWN)
        np.testing.assert_array_equal(item.labels_HW, wanted)


def _small(index: int) -> Item:
    return Item(index, FakeSource(1).frame(0), small_HWC=paint(scene(3)))
