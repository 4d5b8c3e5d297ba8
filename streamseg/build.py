"""Builds an engine, proves it, and keeps it if the gate lets it pass.

model file -> graph of the wanted precision -> backend -> proof on pictures -> gate -> cache

Knows nothing about command lines; what backends do is theirs.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg import __version__
from streamseg.backends.base import BuildConfig
from streamseg.backends.names import TITLES, Machine, find_backend
from streamseg.buildrequest import (
    BuildRequest,
    Watcher,
    calibration_frames_of,
    graph_of,
    program_path,
)
from streamseg.cache import EngineCache
from streamseg.engine import Engine, cpu_threads
from streamseg.enginefile import EngineHeader
from streamseg.enginekey import EngineKey, file_sha256
from streamseg.errors import EngineError, is_out_of_memory
from streamseg.gate import Gate, GateError
from streamseg.labelled import labelled_pairs, read_labelled
from streamseg.proof import Proof, compare, compare_labelled, proof_pictures
from streamseg.timing import Runner, Speed, time_engines

_TIMED = 16
"""Labelled pictures to time engines on: as many as the largest usual batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An engine in the cache."""

    path: Path
    header: EngineHeader
    proof: Proof | None
    """None if it was there already; its numbers are in `header.proof`."""


class Builder:
    """Builds engines into a cache.

    Args:
        cache: where they go.
        machine: what the backends say of this machine.
        watcher: who is told.
        incumbent: opens the engine that a new one would replace, other than ONNX Runtime in fp32,
            with its name; None if there is no such engine.
        round_seconds: how long each engine is timed, five times.
    """

    def __init__(
        self,
        cache: EngineCache,
        machine: Machine,
        watcher: Watcher,
        incumbent: Callable[[EngineKey], tuple[str, Engine] | None] = lambda _: None,
        *,
        round_seconds: float = 0.4,
    ) -> None:
        self.round_seconds = round_seconds
        self.cache, self.machine, self.watcher = cache, machine, watcher
        self.incumbent = incumbent

    def build(self, request: BuildRequest) -> Built:
        """Build, prove and keep an engine; with a smaller batch if the device has no room.

        Raises:
            GateError: it was refused; nothing was kept.
            BackendUnavailableError: the backend cannot run here.
            DeviceMemoryError: not even one frame at a time fits.
            CacheError: the cache cannot be used, or the disk is full.
            EngineError, ModelError, UsageError, SourceError: as raised by whom it asks.
        """
        while True:
            try:
                return self._build(request)
            except EngineError as error:
                smaller = smaller_batch(request.config)
                if smaller is None or not is_out_of_memory(error):
                    raise
                low, best, high = smaller.profile.batch
                self.watcher.notice(f"{error}; trying again with --batch {low}:{best}:{high}")
                request = replace(request, config=smaller)

    def key(self, request: BuildRequest, frames_NHWC: NDArray[np.uint8] | None = None) -> EngineKey:
        """The key that the engine would have; int8 is tied to its calibration frames.

        Raises:
            BackendUnavailableError: the backend cannot run here.
            UsageError: a file that the backend builds from is missing.
        """
        program = program_path(request.model, request.backend)
        return EngineKey(
            backend=request.backend,
            model_sha256=file_sha256(request.model),
            program_sha256=file_sha256(program) if program is not None else None,
            environment=self.machine.environment(request.backend),
            config=request.config,
            exclude=tuple(sorted(request.exclude)),
            calibration_sha256=(
                request.calibration_sha256
                if frames_NHWC is None
                else hashlib.sha256(np.ascontiguousarray(frames_NHWC).tobytes()).hexdigest()
            ),
        )

    def _build(self, request: BuildRequest) -> Built:
        frames = calibration_frames_of(request)
        key = self.key(request, frames)
        with self.cache.building(key, self._say_waiting):
            path = self.cache.lookup(key)
            if path is not None and not request.force:
                return Built(path=path, header=self.cache.load(path)[0], proof=None)
            start = time.perf_counter()
            graph = graph_of(request, key, frames, self.cache, self.watcher)
            payload = find_backend(request.backend).build(
                graph, request.header, request.config, progress=self.watcher.progress
            )
            seconds = time.perf_counter() - start
            proof = self._prove(request, key, payload)
            header = EngineHeader(
                key=key,
                model=request.header.name,
                built_at=datetime.now(timezone.utc).isoformat(timespec="seconds"),  # noqa: UP017
                build_seconds=round(seconds, 3),
                streamseg_version=__version__,
                payload_bytes=len(payload),
                payload_sha256=hashlib.sha256(payload).hexdigest(),
                proof=proof.to_dict(),
            )
            return Built(path=self.cache.store(header, payload), header=header, proof=proof)

    def _say_waiting(self) -> None:
        self.watcher.notice("another process builds this engine: waiting for it")

    def _prove(self, request: BuildRequest, key: EngineKey, payload: bytes) -> Proof:
        """Measure a built engine.

        Raises:
            GateError: it is not good enough.
        """
        size = request.config.profile.opt_size
        with ExitStack() as stack:
            threads = request.threads or cpu_threads()
            backend = find_backend(request.backend)
            name = f"{TITLES[request.backend]} {request.config.precision}"
            engine = stack.enter_context(
                backend.load(payload, request.header, request.model, threads=threads)
            )
            from streamseg.backends.onnxruntime import OnnxRuntimeEngine

            reference = stack.enter_context(
                OnnxRuntimeEngine(request.model, request.header, threads=threads)
            )
            if request.data is not None:
                pairs = labelled_pairs(request.data)
                frames = np.stack([p.rgb_HWC for p in read_labelled(pairs[:_TIMED], size)])
                agreement = compare_labelled(
                    engine, reference, request.data, size, progress=self.watcher.progress
                )
            else:
                frames, pictures_from = proof_pictures(request.pictures, size)
                agreement = compare(
                    engine, reference, frames, pictures_from, progress=self.watcher.progress
                )
            runners = [
                Runner(name="ONNX Runtime fp32", engine=reference, batches=(1,)),
                Runner(name=name, engine=engine, batches=request.config.profile.batch),
            ]
            if not request.allow_slower and (incumbent := self.incumbent(key)) is not None:
                title, opened = incumbent
                stack.enter_context(opened)
                runners.append(Runner(name=title, engine=opened, batches=(opened.spec.batch,)))
            self.watcher.progress("timing", 0, 1)
            speeds = time_engines(
                runners, frames, round_seconds=self.round_seconds, notice=self.watcher.notice
            )
            self.watcher.progress("timing", 1, 1)
        proof = Proof(agreement=agreement, speed=speeds[1], reference=speeds[0])
        rivals = speeds[:1] + speeds[2:]
        self._judge(request, proof, None if request.allow_slower else fastest(rivals))
        return proof

    def _judge(self, request: BuildRequest, proof: Proof, rival: Speed | None) -> None:
        gate = Gate(
            min_agreement=request.min_agreement,
            max_drop=request.max_drop,
            must_be_faster_than=rival,
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


def smaller_batch(config: BuildConfig) -> BuildConfig | None:
    """The same build with half the largest batch; None if one frame was the largest."""
    low, best, high = config.profile.batch
    if high <= 1:
        return None
    high //= 2
    batch = (min(low, high), min(best, high), high)
    return replace(config, profile=replace(config.profile, batch=batch))
