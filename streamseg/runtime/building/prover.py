"""Proves a built engine on pictures, beside ONNX Runtime in fp32 and what it would replace.

Opens the engines, lets `proof` compare and `timing` time them, and asks the `gate`. Knows nothing
about building and keeping.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.runtime.backends.base import LoadOptions
from streamseg.runtime.backends.names import TITLES, find_backend
from streamseg.runtime.building.gate import Gate, GateError
from streamseg.runtime.building.labelled import labelled_pairs, labelled_title, read_labelled
from streamseg.runtime.building.proof import (
    Agreement,
    Proof,
    compare,
    compare_labelled,
    proof_pictures,
)
from streamseg.runtime.building.request import BuildRequest, Watcher
from streamseg.runtime.building.timing import Runner, Speed, time_engines
from streamseg.runtime.cache.enginekey import EngineKey
from streamseg.runtime.engine import Engine

_TIMED = 16
"""Labelled pictures to time engines on: as many as the largest usual batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """What an engine is proven on."""

    frames_NHWC: NDArray[np.uint8]
    """To time engines on; and to compare labels on, unless there are true ones."""
    title: str
    """What they are, for people."""
    data: Path | None = None
    """Folder of all labelled pictures, of which `frames_NHWC` are the first."""


def pictures_of(request: BuildRequest) -> Pictures:
    """Read what a build will be proven on: what cannot be read is said before minutes of work.

    Raises:
        UsageError, SourceError: nothing there that can be read.
    """
    size = request.config.profile.opt_size
    if request.data is None:
        frames_NHWC, title = proof_pictures(request.pictures, size)
        return Pictures(frames_NHWC=frames_NHWC, title=title)
    pairs = labelled_pairs(request.data)
    frames = [picture.rgb_HWC for picture in read_labelled(pairs[:_TIMED], size)]
    return Pictures(
        frames_NHWC=np.stack(frames), title=labelled_title(pairs, request.data), data=request.data
    )


class Prover:
    """Measures engines and judges them.

    Args:
        watcher: who is told.
        incumbent: opens the engine that a new one would replace, other than ONNX Runtime in fp32,
            with its name; None if there is no such engine.
        round_seconds: how long each engine is timed, five times.
    """

    def __init__(
        self,
        watcher: Watcher,
        incumbent: Callable[[EngineKey], tuple[str, Engine] | None],
        *,
        round_seconds: float | None,
    ) -> None:
        self.watcher, self.incumbent, self.round_seconds = watcher, incumbent, round_seconds

    def prove(
        self, request: BuildRequest, key: EngineKey, payload: bytes, pictures: Pictures
    ) -> Proof:
        """Measure a built engine.

        Raises:
            GateError: it is not good enough.
            EngineError, ModelError, SourceError: an engine or a picture failed.
        """
        options = LoadOptions(threads=request.threads)
        name = f"{TITLES[request.backend]} {request.config.precision}"
        with ExitStack() as stack:
            from streamseg.runtime.backends.onnxruntime import OnnxRuntimeEngine

            engine = stack.enter_context(
                find_backend(request.backend).load(payload, request.header, request.model, options)
            )
            reference = stack.enter_context(
                OnnxRuntimeEngine(request.model, request.header, options)
            )
            agreement = self._compare(engine, reference, pictures, request)
            runners = [
                Runner(name="ONNX Runtime fp32", engine=reference, batches=(1,)),
                Runner(name=name, engine=engine, batches=request.config.profile.batch),
            ]
            if not request.allow_slower and (incumbent := self.incumbent(key)) is not None:
                title, opened = incumbent
                stack.enter_context(opened)
                runners.append(Runner(name=title, engine=opened, batches=(opened.spec.batch,)))
            self.watcher.progress("timing", 0, 0)
            reference_speed, speed, *replaced = time_engines(
                runners,
                pictures.frames_NHWC,
                round_seconds=self.round_seconds,
                notice=self.watcher.notice,
                progress=lambda done, rounds: self.watcher.progress("timing", done, rounds),
            )
        proof = Proof(
            agreement=agreement,
            speed=speed,
            reference=reference_speed,
            replaced=replaced[0] if replaced else None,
        )
        _judge(request, proof)
        return proof

    def _compare(
        self, engine: Engine, reference: Engine, pictures: Pictures, request: BuildRequest
    ) -> Agreement:
        progress = self.watcher.progress
        if pictures.data is None:
            return compare(
                engine, reference, pictures.frames_NHWC, pictures.title, progress=progress
            )
        size = request.config.profile.opt_size
        return compare_labelled(engine, reference, pictures.data, size, progress=progress)


def _judge(request: BuildRequest, proof: Proof) -> None:
    rivals = [proof.reference, *([proof.replaced] if proof.replaced else [])]
    gate = Gate(
        min_agreement=request.min_agreement,
        max_drop=request.max_drop,
        must_be_faster_than=None if request.allow_slower else fastest(rivals),
    )
    if failures := gate.failures(proof):
        raise GateError(
            f"the {proof.speed.name} engine of {request.header.name} was refused and not kept: "
            + "; ".join(failures),
            proof,
        )


def fastest(speeds: list[Speed]) -> Speed:
    """The one with the most frames a second."""
    return max(speeds, key=lambda speed: speed.best.fps)
