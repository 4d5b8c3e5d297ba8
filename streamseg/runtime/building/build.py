"""Builds an engine, proves it, and keeps it if the gate lets it pass.

model file -> graph of the wanted precision -> backend -> proof on pictures -> gate -> cache

Knows nothing about command lines; what backends do is theirs.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from streamseg.errors import EngineError, EngineFileError, is_out_of_memory
from streamseg.runtime.backends.base import BuildConfig
from streamseg.runtime.backends.names import Machine, find_backend
from streamseg.runtime.building.gate import GateError
from streamseg.runtime.building.proof import Proof
from streamseg.runtime.building.prover import Pictures, Prover, pictures_of
from streamseg.runtime.building.request import (
    BuildRequest,
    Watcher,
    calibration_frames_of,
    graph_of,
    program_path,
)
from streamseg.runtime.cache.enginefile import EngineHeader
from streamseg.runtime.cache.enginekey import EngineKey, file_sha256
from streamseg.runtime.cache.folder import EngineCache
from streamseg.runtime.engine import Engine
from streamseg.version import __version__


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """An engine in the cache."""

    path: Path
    header: EngineHeader
    proof: Proof | None
    """None if it was proven before; its numbers are in `header.proof`."""
    new: bool = True
    """Whether it was built now."""


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
        round_seconds: float | None = None,
    ) -> None:
        self.round_seconds = round_seconds
        self.cache, self.machine, self.watcher = cache, machine, watcher
        self.incumbent = incumbent

    def build(self, request: BuildRequest) -> Built:
        """Build, prove and keep an engine; with a smaller batch if the device has no room.

        Raises:
            GateError: it was refused; nothing was kept, and one that was there is removed.
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

    def adopt(self, request: BuildRequest, key: EngineKey, path: Path) -> Built:
        """Prove an engine file that was built for other machines, too, and keep it as one of here.

        Args:
            request: what it must show.
            key: the file's own, with the environment of this machine.
            path: the file; it stays where it is.

        Raises:
            GateError: it is no good here.
            CacheError: the cache cannot be used, or the disk is full.
            EngineError, ModelError, SourceError: it cannot be loaded, or a picture failed.
        """
        pictures = pictures_of(request)
        with self.cache.building(key, self._say_waiting):
            header, payload = self.cache.load(path)
            proof = self._prover().prove(request, key, payload, pictures)
            header = replace(header, key=key, proof=proof.to_dict())
            kept = self.cache.store(header, payload)
        return Built(path=kept, header=header, proof=proof, new=False)

    def _build(self, request: BuildRequest) -> Built:
        pictures = pictures_of(request)
        frames = calibration_frames_of(request)
        key = self.key(request, frames)
        with self.cache.building(key, self._say_waiting):
            try:
                there = None if request.force else self._there_already(request, key, pictures)
                return there or self._build_now(request, key, frames, pictures)
            except GateError:
                self.cache.drop_graph(key)
                raise

    def _build_now(
        self,
        request: BuildRequest,
        key: EngineKey,
        frames_NHWC: NDArray[np.uint8] | None,
        pictures: Pictures,
    ) -> Built:
        start = time.perf_counter()
        graph = graph_of(request, key, frames_NHWC, self.cache, self.watcher)
        config = request.config
        if request.backend == "tensorrt" and config.timing_cache is None:
            config = replace(config, timing_cache=self.cache.timing_cache(key.environment))
        payload = find_backend(request.backend).build(
            graph, request.header, config, progress=self.watcher.progress
        )
        seconds = time.perf_counter() - start
        proof = self._prover().prove(request, key, payload, pictures)
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

    def _there_already(
        self, request: BuildRequest, key: EngineKey, pictures: Pictures
    ) -> Built | None:
        """The engine of the cache, if it shows what is asked for; None if there is none.

        Raises:
            GateError: it does not, and was removed.
        """
        path = self.cache.lookup(key)
        if path is None:
            return None
        try:
            header, payload = self.cache.load(path)
        except EngineFileError as error:
            self.watcher.notice(f"{error}: building it anew")
            return None
        if is_proven(header, request, pictures):
            return Built(path=path, header=header, proof=None, new=False)
        self.watcher.notice(f"{path}: there already; proving it on {pictures.title}")
        try:
            proof = self._prover().prove(request, key, payload, pictures)
        except GateError:
            self.cache.remove(path)
            raise
        header = replace(header, proof=proof.to_dict())
        return Built(path=self.cache.store(header, payload), header=header, proof=proof, new=False)

    def _prover(self) -> Prover:
        return Prover(self.watcher, self.incumbent, round_seconds=self.round_seconds)

    def _say_waiting(self) -> None:
        self.watcher.notice("another process builds this engine: waiting for it")


def is_proven(header: EngineHeader, request: BuildRequest, pictures: Pictures) -> bool:
    """Whether an engine that is there has shown, on the pictures asked for, what a build asks for.

    Without pictures asked for, those it was proven on will do.
    """
    shown = header.proof
    other = request.data is not None or request.pictures is not None
    if other and shown.get("pictures_from") != pictures.title:
        return False
    if (shown.get("share") or 0) < request.min_agreement:
        return False
    drop = shown.get("drop_points")
    return request.max_drop is None or (drop is not None and drop <= request.max_drop)


def smaller_batch(config: BuildConfig) -> BuildConfig | None:
    """The same build with half the largest batch; None if one frame was the largest."""
    low, best, high = config.profile.batch
    if high <= 1:
        return None
    high //= 2
    batch = (min(low, high), min(best, high), high)
    return replace(config, profile=replace(config.profile, batch=batch))
