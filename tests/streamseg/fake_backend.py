"""A real little backend that builds: its engines label by the strongest channel.

Loading checks what a real one would choke on: a payload of another environment is an error that no
test expects, so whoever hands it one is found out.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import DeviceMemoryError, EngineError
from streamseg.models.modelfile import ModelHeader
from streamseg.runtime.backends.base import BuildConfig, BuildProgress, LoadOptions
from streamseg.runtime.engine import EngineSpec, check_frames
from tests.streamseg.engines_kit import HERE
from tests.streamseg.fakes import FakeEngine


@dataclass
class Behaviour:
    """What the backend is made to do; a test sets it, a fixture resets it."""

    environment: dict[str, str] | Exception = field(default_factory=lambda: dict(HERE))
    build_seconds: float = 0.0
    infer_seconds: float = 0.0
    """Each frame."""
    wrong_share: float = 0.0
    """Of the rows of a picture, those with a wrong label."""
    fits: int = 1000
    """Frames a call that the device has memory for."""
    fits_build: int = 1000
    while_building: Callable[[], None] = lambda: None
    builds: list[BuildConfig] = field(default_factory=list)
    loads: list[int | None] = field(default_factory=list)


behaviour = Behaviour()


class ToyEngine(FakeEngine):
    """As `FakeEngine`, with the faults of `behaviour`."""

    def __init__(self, path: Path, header: ModelHeader, batch: int) -> None:
        super().__init__(batch=batch)
        self.spec = EngineSpec(
            backend="fake backend", model=header, path=path, batch=batch, workers=1, threads=1
        )

    def infer(self, frames_NHWC: NDArray[np.uint8]) -> NDArray[np.uint8]:
        check_frames(frames_NHWC, self.spec.model)
        if len(frames_NHWC) > behaviour.fits:
            raise DeviceMemoryError(f"fake GPU: no memory for {len(frames_NHWC)} frames")
        time.sleep(behaviour.infer_seconds * len(frames_NHWC))
        labels = np.asarray(frames_NHWC.argmax(axis=3), np.uint8)
        wrong = round(behaviour.wrong_share * labels.shape[1])
        labels[:, :wrong] = (labels[:, :wrong] + 1) % 3
        self.batches.append(frames_NHWC.shape)
        return labels


def environment() -> Mapping[str, str]:
    if isinstance(behaviour.environment, Exception):
        raise behaviour.environment
    return behaviour.environment


def build(
    model: Path, header: ModelHeader, config: BuildConfig, *, progress: BuildProgress
) -> bytes:
    behaviour.builds.append(config)
    if config.profile.batch[2] > behaviour.fits_build:
        raise DeviceMemoryError("fake GPU: no memory to build")
    progress("tactics", 0, 2)
    time.sleep(behaviour.build_seconds)
    behaviour.while_building()
    progress("tactics", 2, 2)
    values = {"environment": dict(environment()), "model": header.name}
    return b"fake plan " + json.dumps(values, sort_keys=True).encode()


def load(
    payload: bytes,
    header: ModelHeader,
    path: Path,
    options: LoadOptions,
) -> ToyEngine:
    batch = options.batch
    behaviour.loads.append(batch)
    values = json.loads(payload.removeprefix(b"fake plan "))
    if values["environment"] != environment():
        raise EngineError("deserialisation failed: magicTag mismatch")  # nobody may ever see this
    if (batch or 4) > behaviour.fits:
        raise DeviceMemoryError(f"fake GPU: no memory for {batch or 4} frames")
    return ToyEngine(path, header, batch or 4)
