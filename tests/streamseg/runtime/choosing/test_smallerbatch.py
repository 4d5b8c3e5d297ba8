"""A device whose memory is full: smaller batches, the same labels, and a line about it."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from streamseg.errors import DeviceMemoryError, EngineError
from streamseg.runtime.choosing.smallerbatch import SmallerBatches
from streamseg.runtime.engine import Engine
from tests.streamseg.fakes import FakeEngine


class Tight:
    """Opens engines on a device that has room for so many frames, and counts."""

    def __init__(self, room: int, *, at_load: bool = False, text: str = "") -> None:
        self.room, self.at_load, self.text = room, at_load, text
        self.opened: list[FakeEngine] = []
        self.notices: list[str] = []

    def load(self, batch: int | None) -> Engine:
        if self.at_load and (batch or 8) > self.room:
            raise DeviceMemoryError("GPU 0 is full")
        tight = self

        class Engine(FakeEngine):
            def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
                if len(frames_NHWC) > tight.room:
                    raise EngineError(tight.text) if tight.text else DeviceMemoryError("full")
                return super().infer(frames_NHWC)

        self.opened.append(Engine(batch=batch or 8))
        return self.opened[-1]

    def engine(self, batch: int | None = None) -> SmallerBatches:
        return SmallerBatches(self.load, largest=8, batch=batch, notice=self.notices.append)


FRAMES = np.random.default_rng(3).integers(0, 255, (7, 32, 32, 3), np.uint8)


@pytest.mark.parametrize(("room", "sizes"), [(8, [7]), (3, [3, 3, 1]), (1, [1] * 7)])
def test_labels_are_the_same_however_small_the_batch(room: int, sizes: list[int]) -> None:
    tight = Tight(room)
    with tight.engine() as engine:
        np.testing.assert_array_equal(engine.infer(FRAMES), FRAMES.argmax(axis=3))
        assert [shape[0] for shape in tight.opened[0].batches] == sizes
        engine.infer(FRAMES)
        told = len(tight.notices)
        engine.infer(FRAMES)
    assert len(tight.notices) == told, "said once"
    assert tight.opened[0].closed


def test_every_smaller_batch_is_said() -> None:
    tight = Tight(2)
    tight.engine().infer(FRAMES)
    assert tight.notices == [
        "full; going on with batches of 3",
        "full; going on with batches of 1",
    ]


def test_loading_takes_a_smaller_batch_too() -> None:
    tight = Tight(2, at_load=True)
    assert tight.engine().spec.batch == 2
    assert tight.notices == [
        "GPU 0 is full; going on with batches of 4",
        "GPU 0 is full; going on with batches of 2",
    ]


@pytest.mark.parametrize("at_load", [False, True])
def test_no_room_for_one_frame_says_what_to_do(at_load: bool) -> None:
    tight = Tight(0, at_load=at_load)
    with pytest.raises(DeviceMemoryError, match="not even one frame at a time fits: use a smaller"):
        tight.engine().infer(FRAMES)


def test_a_library_that_only_says_it_in_words_is_understood() -> None:
    tight = Tight(4, text="CUDA error 2: Out of memory")
    np.testing.assert_array_equal(tight.engine().infer(FRAMES), FRAMES.argmax(axis=3))


def test_another_error_is_raised_as_it_is() -> None:
    tight = Tight(4, text="illegal address")
    with pytest.raises(EngineError, match=r"^illegal address$"):
        tight.engine().infer(FRAMES)
