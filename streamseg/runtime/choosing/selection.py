"""Which engine runs here: looks into the cache, builds what pays, falls back, and says why.

``auto`` takes the fastest that works: a proven engine of the cache that beat what ONNX Runtime does
without one; else an engine built now, where TensorRT runs; else ONNX Runtime, which every machine
has: in int8 if that stands beside the model file and pays on this processor, else in fp32.
An engine whose key does not match this machine is never handed to its backend.
"""

from __future__ import annotations

from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from streamseg.errors import (
    CacheError,
    EngineError,
    EngineFileError,
    ModelError,
    StreamsegError,
    UsageError,
)
from streamseg.models.modelfile import ModelHeader
from streamseg.runtime.backends.names import TENSORRT_INSTALL, TITLES, Machine
from streamseg.runtime.building.gate import GateError
from streamseg.runtime.building.request import Watcher
from streamseg.runtime.cache.enginekey import EngineKey
from streamseg.runtime.cache.folder import CacheEntry, EngineCache
from streamseg.runtime.choosing.candidates import (
    Candidate,
    Wanted,
    default_precision,
    find_candidates,
)
from streamseg.runtime.choosing.companion import find_companion, speedup_here
from streamseg.runtime.choosing.maker import Chosen, Maker
from streamseg.runtime.engine import Engine
from streamseg.runtime.gpu import nvidia_device_is_there


class Selector:
    """Chooses and opens the engine of a run.

    Args:
        wanted: what the run asks for.
        watcher: told in one line when something is built, rebuilt, or not used.
        round_seconds: how long engines are timed, see `Builder`.
        pictures: folder or video on which engines that are built are proven; None draws some.
    """

    def __init__(
        self,
        wanted: Wanted,
        *,
        cache: EngineCache | None = None,
        machine: Machine | None = None,
        watcher: Watcher | None = None,
        round_seconds: float | None = None,
        pictures: Path | None = None,
    ) -> None:
        self.pictures = pictures
        self.round_seconds = round_seconds
        self.wanted = wanted
        self._cache = cache
        self.machine = machine or Machine()
        self.watcher = watcher or Watcher()

    @cached_property
    def cache(self) -> EngineCache:
        """The engines that are there.

        Raises:
            CacheError: there is no place for any.
        """
        return self._cache or EngineCache()

    @cached_property
    def maker(self) -> Maker:
        """What opens and builds them.

        Raises:
            CacheError: there is no place for any.
        """
        return Maker(
            self.wanted,
            self.cache,
            self.machine,
            self.watcher,
            round_seconds=self.round_seconds,
            pictures=self.pictures,
        )

    def choose(self) -> Chosen:
        """Open the engine.

        Raises:
            UsageError: an unknown backend, or a precision that must be built first.
            BackendUnavailableError: the backend asked for cannot run here.
            EngineError, CacheError: it cannot be built or loaded, and was asked for by name.
        """
        wanted = self.wanted
        if wanted.backend == "auto":
            return self._auto()
        if wanted.backend == "onnxruntime" and wanted.precision in (None, "fp32"):
            return self.onnxruntime("asked for")
        self.machine.environment(wanted.backend)  # raises what is missing, in words
        return self._named(wanted.backend)

    def onnxruntime(self, reason: str) -> Chosen:
        """The model file as it is."""
        engine = self._session(self.wanted.model, self.wanted.header)
        return Chosen(engine=engine, precision="fp32", reason=reason)

    def companion(self) -> Chosen | None:
        """The int8 graph beside the model file, where it pays or is asked for; None if not."""
        found = self._beside
        if found is None:
            return None
        try:
            engine = self._session(*found)
        except ModelError as error:
            self.watcher.notice(f"int8 is not used: {error}")
            return None
        asked = self.wanted.precision == "int8"
        reason = "asked for" if asked else "this processor multiplies int8 faster than fp32"
        return Chosen(engine=engine, precision="int8", reason=reason)

    @cached_property
    def _beside(self) -> tuple[Path, ModelHeader] | None:
        precision = self.wanted.precision
        if precision != "int8" and (precision is not None or speedup_here() <= 1):
            return None
        try:
            return find_companion(self.wanted.model, self.wanted.header)
        except ModelError as error:
            self.watcher.notice(f"int8 is not used: {error}")
            return None

    def _session(self, path: Path, header: ModelHeader) -> Engine:
        from streamseg.runtime.backends.onnxruntime import OnnxRuntimeEngine

        return OnnxRuntimeEngine(path, header, self.wanted.load_options)

    def incumbent(self, key: EngineKey) -> tuple[str, Engine] | None:
        """The engine that one of this key would replace, with its name; None for ONNX Runtime.

        Raises:
            StreamsegError: it cannot be opened.
        """
        for candidate in find_candidates(self.wanted, self.cache, self.machine):
            # Against itself, built anew, an engine would win every second time.
            if candidate.invalid is None and candidate.speedup > 1 and candidate.key != key:
                return f"{candidate.title} ({candidate.path.name})", self.maker.open(
                    candidate
                ).engine
        if (key.backend, key.config.precision) != ("onnxruntime", "int8"):
            beside = self.companion()
            if beside is not None:
                return "ONNX Runtime int8", beside.engine
        return None

    def _auto(self) -> Chosen:
        reason = "no faster engine is built"
        to_beat = speedup_here() if self._beside else 1.0
        try:
            found = self._candidates()
        except CacheError as error:
            self._say_no_cache(error)
            return self._unbuilt("the cache of engines cannot be used")
        if self._has_only_second_best(found, to_beat):
            chosen = self.maker.build_for_auto(quiet=True)
            if chosen is not None:
                return chosen
        for candidate in found:
            if candidate.invalid is None and candidate.speedup <= to_beat:
                reason = f"faster than the engines that are built, {candidate.title} among them"
                continue
            chosen = self._try(candidate)
            if chosen is not None:
                return chosen
            reason = f"{candidate.title}: {candidate.invalid or 'could not be used'}"
        chosen = self.maker.build_for_auto()
        if chosen is None:
            self._say_idle_gpu()
            chosen = self._unbuilt(reason)
        return chosen

    def _has_only_second_best(self, found: list[Candidate], to_beat: float) -> bool:
        """Whether the best engine there is for a GPU, but not what a GPU does best.

        It is in fp32 (as built before the package onnx was there), or it was built for a camera's
        single frames, which leave most of a large GPU idle, and this run reads a file.
        """
        good = [c for c in found if c.invalid is None and c.speedup > to_beat]
        if not good or good[0].key.backend != "tensorrt":
            return False
        best = self.wanted.precision or default_precision("tensorrt", self.machine)
        return not any(
            c.key.backend == "tensorrt" and c.key.config.precision in (best, "int8") and c.serves
            for c in found
            if c.invalid is None
        )

    def _say_idle_gpu(self) -> None:
        """A line where a GPU is there and no engine for it was found or built."""
        if not nvidia_device_is_there():
            return
        if find_spec("tensorrt") is None:
            why = f"TensorRT is not installed; {TENSORRT_INSTALL} (or see 'streamseg doctor')"
        elif (why_not := self.machine.why_not("tensorrt")) is not None:
            why = why_not
        else:
            return  # what spoke against an engine was said
        self.watcher.notice(f"an NVIDIA GPU is here, and this run is on the CPU: {why}")

    def _unbuilt(self, reason: str) -> Chosen:
        """What runs without an engine; a line if that is not the precision asked for."""
        chosen, precision = self.companion() or self.onnxruntime(reason), self.wanted.precision
        if precision not in (None, chosen.precision):
            width, height = self.wanted.size
            self.watcher.notice(
                f"no {precision} engine for {width}x{height} is built: ONNX Runtime "
                f"{chosen.precision} is used; 'streamseg build-engine --precision {precision} "
                f"--size {width}x{height}' tries to build one"
            )
        return chosen

    def _say_no_cache(self, error: CacheError) -> None:
        self.watcher.notice(f"engines of the cache are not used: {error}")

    def _candidates_of(self, backend: str) -> list[Candidate]:
        """For a backend asked for by name: without a cache, what needs none goes on."""
        try:
            return self._candidates(backend)
        except CacheError as error:
            if backend != "onnxruntime" and self.wanted.build:
                raise
            self._say_no_cache(error)
            return []

    def _candidates(self, backend: str | None = None) -> list[Candidate]:
        """Engine files that answer the run; a line if the cache has some that cannot be read."""
        broken: list[CacheEntry] = []
        found = find_candidates(
            self.wanted, self.cache, self.machine, backend, unreadable=broken.append
        )
        if broken:
            more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
            self.watcher.notice(
                f"{broken[0].path}{more} cannot be used: {broken[0].problem} "
                "('streamseg engines' lists, 'streamseg engines --prune' removes them)"
            )
        return found

    def _try(self, candidate: Candidate) -> Chosen | None:
        """Open a candidate, rebuilt if it must be; None, and a line, if that does not work."""
        try:
            if candidate.invalid is None:
                if candidate.elsewhere and self.wanted.build:
                    return self.maker.adopt(candidate)
                return self.maker.open_or_rebuild(candidate, allow_slower=False)
            if candidate.impossible:
                return None  # an engine for another machine that shares this cache
            if not self.wanted.build:
                self._say_not_used(candidate)
                return None
            return self.maker.rebuild(candidate, allow_slower=False)
        except GateError as error:
            self.watcher.notice(str(error))
            if not candidate.elsewhere:
                self.cache.remove(candidate.path)
        except StreamsegError as error:
            self.watcher.notice(f"the {candidate.title} engine is not used: {error}")
        return None

    def _say_not_used(self, candidate: Candidate) -> None:
        self.watcher.notice(
            f"the {candidate.title} engine is not used and, with --no-build, not built anew: "
            f"{candidate.invalid}"
        )

    def _named(self, backend: str) -> Chosen:
        for candidate in self._candidates_of(backend):
            chosen = None
            if candidate.invalid is None:
                try:
                    chosen = self.maker.open_or_rebuild(candidate, allow_slower=True)
                except EngineFileError as error:
                    self.watcher.notice(f"{error}: ONNX Runtime is used (--no-build)")
                    return self._unbuilt(f"{candidate.title}: its file cannot be used")
            elif candidate.impossible:
                raise EngineError(candidate.invalid)
            elif self.wanted.build:
                chosen = self.maker.rebuild(candidate, allow_slower=True)
            else:
                self._say_not_used(candidate)
            return chosen or self._unbuilt(f"{candidate.title}: {candidate.invalid}")
        if backend == "onnxruntime" and (beside := self.companion()) is not None:
            return beside
        width, height = self.wanted.size
        precision = self.wanted.precision or default_precision(backend, self.machine)
        if not self.wanted.build:
            text = f"no {TITLES[backend]} {precision} engine for {width}x{height} is built"
            chosen = self.companion() or self.onnxruntime(text)
            self.watcher.notice(f"{text}: ONNX Runtime {chosen.precision} is used (--no-build)")
            return chosen
        if precision == "int8":
            raise UsageError(
                f"int8 is calibrated on pictures: run 'streamseg build-engine --backend {backend} "
                f"--precision int8 --size {width}x{height} --calibration DIR' first"
            )
        return self.maker.build_named(backend, precision)
