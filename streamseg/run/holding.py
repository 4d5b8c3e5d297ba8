"""The engine's stages when labels are held: look, infer the keys, carry labels to the others.

`streamseg.hold` decides and moves labels; here is how that fits a pipeline.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from streamseg.hold.keys import KeyFrames, Look
from streamseg.run.pipeline import Stage
from streamseg.run.stages import infer_all, infer_stage, small_of
from streamseg.runtime.engine import Engine
from streamseg.video.source import Item


class Holding:
    """Stages that label every frame, with an engine that sees the keys alone. For one run.

    Args:
        engine: labels the keys.
        longest: frames from one key to the next at most.
    """

    def __init__(self, engine: Engine, longest: int) -> None:
        self._engine = engine
        self._keys = KeyFrames(longest)
        self._looks: dict[int, Look] = {}
        self._key_HW: NDArray[np.uint8] | None = None

    @property
    def held(self) -> int:
        """Frames so far that the engine did not see."""
        return self._keys.held

    def stages(self, *, live: bool = False) -> list[Stage]:
        """In order; they replace `infer_stage`."""
        if live:  # in one: between two stages a key might be dropped, and held frames miss it
            return [Stage("engine", self._one_by_one, wait_for_batch=False)]
        return [
            Stage("look", self._look),
            infer_stage(self._engine),
            Stage("carry", self._carry),
        ]

    def _look(self, items: list[Item]) -> list[Item]:
        for item in items:
            if not item.signal:  # the picture of a camera that is away: no key, and no look at it
                continue
            if item.anew:
                self._keys.forget()
            look = self._keys.look(small_of(item))
            if not look.is_key:
                self._looks[item.index] = look
                item.small_HWC = None
        return items

    def _carry(self, items: list[Item]) -> list[Item]:
        for item in items:
            if not item.signal:
                continue
            if item.labels_HW is not None:
                self._key_HW = item.labels_HW
                continue
            assert self._key_HW is not None, "the first frame is a key"
            item.labels_HW = self._looks.pop(item.index).labels(self._key_HW)
        return items

    def _one_by_one(self, items: list[Item]) -> list[Item]:
        for item in items:
            self._look([item])
            infer_all(self._engine, [item])
            self._carry([item])
        return items
