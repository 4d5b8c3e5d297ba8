"""The engine's stage, and those behind it: a batch of `Item`s in, the same items out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from streamseg.drawing.classes import UNDRAWN
from streamseg.drawing.composite import Compositor
from streamseg.drawing.orientation import AS_STORED, Orientation
from streamseg.labelmaps.options import CleanOptions
from streamseg.labelmaps.sink import LabelSink
from streamseg.labelmaps.specks import without_specks
from streamseg.labelmaps.steady import Steady, luma_of
from streamseg.run.pipeline import Stage
from streamseg.runtime.engine import Engine, EngineSpec
from streamseg.video.scaling import Downscale
from streamseg.video.source import Item


def infer_stage(engine: Engine, *, live: bool = False) -> Stage:
    """A stage that fills in `labels_HW`, in the batches and with the workers the engine likes."""

    def infer(items: list[Item]) -> list[Item]:
        infer_all(engine, items)
        return items

    spec = engine.spec
    return Stage("engine", infer, spec.batch, spec.workers, wait_for_batch=not live)


def infer_all(engine: Engine, items: Sequence[Item]) -> None:
    """Label, in one call, the items that have a picture for the network."""
    seen = [item for item in items if item.small_HWC is not None]
    pictures = [item for item in seen if item.signal]
    for item in seen:
        if not item.signal:
            item.labels_HW = np.full(small_of(item).shape[:2], UNDRAWN, np.uint8)
    if pictures:
        frames: NDArray[np.uint8] = np.stack([small_of(item) for item in pictures])
        for item, labels in zip(pictures, engine.infer(frames), strict=True):
            item.labels_HW = labels
    for item in seen:
        item.small_HWC = None


def small_of(item: Item) -> NDArray[np.uint8]:
    """What the network sees of a frame, RGB uint8 ``[H, W, 3]``."""
    assert item.small_HWC is not None, "downscale comes before the engine"
    return item.small_HWC


@dataclass(frozen=True, slots=True)
class Recorded:
    """In place of an engine: labels come with the frames, from a file."""

    spec: EngineSpec
    """Which model gave them."""


def sink_stages(sinks: Sequence[LabelSink]) -> list[Stage]:
    """What hands labels to sinks; no stage where there are none."""
    if not sinks:
        return []

    def take(items: list[Item]) -> list[Item]:
        for item in items:
            for sink in sinks:
                sink.take(item)
        return items

    return [Stage("labels", take)]


def downscale_stage(downscale: Downscale, options: CleanOptions) -> Stage:
    """A stage that fills in `small_HWC`, and what cleaning needs of it later."""

    def work(items: list[Item]) -> list[Item]:
        downscale(items)
        if options.stabilize:
            for item in items:
                item.luma_HW = luma_of(small_of(item))
        return items

    return Stage("downscale", work)


def clean_stages(options: CleanOptions) -> list[Stage]:
    """What is done to `labels_HW` before they are used; no stage where that is nothing."""
    if not options.min_area and not options.stabilize:
        return []
    steady = Steady()

    def clean(items: list[Item]) -> list[Item]:
        for item in items:
            assert item.labels_HW is not None, "the engine comes before cleaning"
            # The picture of a camera that is away says nothing of what follows.
            if item.anew or not item.signal:
                steady.reset()
            if options.stabilize and item.signal:
                assert item.luma_HW is not None, "downscale comes before cleaning"
                item.labels_HW = steady(item.luma_HW, item.labels_HW)
            item.luma_HW = None
            item.labels_HW = without_specks(item.labels_HW, options.min_area)
        return items

    return [Stage("clean", clean)]


def compose_stage(compositor: Compositor, orientation: Orientation = AS_STORED) -> Stage:
    """A stage that fills in `drawn`."""

    def compose(items: list[Item]) -> list[Item]:
        for item in items:
            assert item.labels_HW is not None, "the engine comes before compositing"
            labels = np.ascontiguousarray(orientation.stored(item.labels_HW))
            if item.anew:
                compositor.forget()
            item.drawn = compositor.compose(item.frame, labels)
        return items

    work: Callable[[list[Item]], list[Item]] = compose
    return Stage("composite", work)
