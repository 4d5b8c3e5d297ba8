"""Builds, rebuilds, proves again and opens the engines of a run, and remembers what was in vain.

`selection` has the rules by which one is taken; here is what is done about it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from streamseg.errors import (
    CacheError,
    EngineError,
    ModelError,
    StreamsegError,
    is_out_of_memory,
)
from streamseg.runtime.backends.base import (
    BackendUnavailableError,
    BuildConfig,
    Precision,
    Profile,
)
from streamseg.runtime.backends.names import TITLES, Machine, find_backend
from streamseg.runtime.building.build import Builder
from streamseg.runtime.building.request import BuildRequest, Watcher
from streamseg.runtime.cache.enginekey import EngineKey
from streamseg.runtime.cache.folder import EngineCache
from streamseg.runtime.choosing.candidates import (
    Candidate,
    Wanted,
    computes_on_cpu,
    default_batch,
    default_precision,
)
from streamseg.runtime.choosing.smallerbatch import SmallerBatches
from streamseg.runtime.engine import Engine

_SOONER = 2
"""TensorRT's optimisation level of what ``auto`` builds: somebody waits for the first frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chosen:
    """The engine that runs, and why this one."""

    engine: Engine
    precision: Precision
    reason: str


class Maker:
    """What `Selector` asks for engines that are to be opened or built.

    Args:
        wanted: what the run asks for.
        cache: where engines are.
        machine: what the backends say of this machine.
        watcher: who is told.
        round_seconds: how long engines are timed, see `Builder`.
        pictures: what engines are proven on; None takes the sample clip.
    """

    def __init__(
        self,
        wanted: Wanted,
        cache: EngineCache,
        machine: Machine,
        watcher: Watcher,
        *,
        round_seconds: float | None,
        pictures: Path | None,
    ) -> None:
        self.wanted, self.cache, self.machine, self.watcher = wanted, cache, machine, watcher
        self.pictures = pictures
        self._builder = Builder(cache, machine, watcher, round_seconds=round_seconds)
        self._tried: set[str] = set()
        """Backends that something was built for in this run, with or without success."""

    def open(self, candidate: Candidate) -> Chosen:
        """Load an engine that is there.

        Raises:
            EngineError: its file is damaged, its backend refuses it, or the device is full.
        """
        header, payload = self.cache.load(candidate.path)
        if header != candidate.header:
            raise EngineError(f"{candidate.path}: changed while it was read; start again")
        wanted, backend = self.wanted, find_backend(header.key.backend)

        def load(batch: int | None) -> Engine:
            options = replace(wanted.load_options, batch=batch)
            return backend.load(payload, wanted.header, candidate.path, options)

        engine = SmallerBatches(
            load,
            largest=header.key.config.profile.batch[1],
            batch=wanted.batch,
            notice=self.watcher.notice,
        )
        reason = f"{candidate.speedup:.2f} times as fast as ONNX Runtime fp32 when it was built"
        return Chosen(engine=engine, precision=header.key.config.precision, reason=reason)

    def open_or_rebuild(self, candidate: Candidate, *, allow_slower: bool) -> Chosen | None:
        """Open a valid candidate; built anew if its file is damaged or its backend refuses it.

        None for ``auto`` alone: what could be built instead was tried before, in vain.

        Raises:
            StreamsegError: it is, and may not or cannot be built.
        """
        try:
            return self.open(candidate)
        except EngineError as error:
            if not self.wanted.build or is_out_of_memory(error):
                raise
            self.watcher.notice(f"{error}: building it anew")
            return self.rebuild(candidate, allow_slower=allow_slower)

    def rebuild(self, candidate: Candidate, *, allow_slower: bool) -> Chosen | None:
        """The same engine for this machine as it is now; `allow_slower`: it was asked for by name.

        None for ``auto`` alone: it was tried before, in vain, and a line says so.

        Raises:
            StreamsegError: it cannot be built.
        """
        key = candidate.key
        request = replace(
            self._request(key.backend, key.config.precision, allow_slower=allow_slower),
            config=key.config,
            exclude=key.exclude,
            calibration_sha256=key.calibration_sha256,
            # It was accepted with this agreement: what is no worse is accepted again.
            min_agreement=min(0.99, 0.999 * float(candidate.header.proof.get("share") or 1)),
            force=candidate.invalid is None,
        )
        if not allow_slower and self._in_vain(self._builder.key(request)):
            self._tried.add(key.backend)  # what would be built instead fails alike
            return None
        why = candidate.invalid or "its file could not be used"
        self.watcher.notice(f"the {candidate.title} engine is built anew: {why}")
        chosen = self._build(request, f"built anew: {why}", remember=not allow_slower)
        if candidate.invalid is not None:
            self.cache.remove(candidate.path)
        return chosen

    def adopt(self, candidate: Candidate) -> Chosen | None:
        """An engine of another GPU or version that runs here: proven here, once, and opened.

        None: it was proven before, in vain, and a line says so.

        Raises:
            StreamsegError: it cannot be opened, or is no good here.
        """
        key = self._key_here(candidate.key)
        if self._in_vain(key):
            return None
        self.watcher.notice(f"the {candidate.title} engine was built elsewhere: proving it here")
        request = replace(
            self._request(key.backend, key.config.precision, allow_slower=False),
            config=key.config,
            exclude=key.exclude,
        )
        try:
            built = self._builder.adopt(request, key, candidate.path)
        except EngineError as error:
            self._remember(key, error)
            raise
        return self.open(Candidate(path=built.path, header=built.header, invalid=None))

    def build_named(self, backend: str, precision: Precision) -> Chosen:
        """An engine that was asked for by name.

        Raises:
            StreamsegError: it cannot be built.
        """
        request = self._request(backend, precision, allow_slower=True)
        return self._build(request, "asked for", remember=False)

    def build_for_auto(self, *, quiet: bool = False) -> Chosen | None:
        """A TensorRT engine for this run, where TensorRT runs and nothing speaks against it.

        Args:
            quiet: say nothing of what speaks against it: another engine will do.
        """
        if (request := self._auto_request()) is None or "tensorrt" in self._tried:
            return None
        if self._in_vain(self._builder.key(request), quiet=quiet):
            return None
        if not self.watcher.interactive:
            if not quiet:
                width, height = self.wanted.size
                self.watcher.notice(
                    f"TensorRT runs here and no engine for {width}x{height} is built: 'streamseg "
                    f"build-engine --size {width}x{height}' does that once, in minutes"
                )
            return None
        if request.config.precision == "fp32" and self.wanted.precision is None:
            self.watcher.notice(
                "TensorRT in fp16 is much faster and needs the package onnx: pip install onnx"
            )
        try:
            return self._build(request, "built now, the fastest here", remember=True)
        except KeyboardInterrupt:
            if not self.watcher.goes_on():
                raise
            self.watcher.notice("the build was stopped: going on without (--no-build skips it)")
        except StreamsegError as error:
            self.watcher.notice(_sentence("no TensorRT engine could be built", error))
        return None

    def why_not_for_auto(self) -> str | None:
        """Why `build_for_auto` would build nothing where TensorRT runs; None if it would."""
        request = self._auto_request()
        if request is None:
            return "nothing is to be built"
        found = self.cache.refusals.find(self._builder.key(request))
        return None if found is None else found.why

    def _auto_request(self) -> BuildRequest | None:
        wanted = self.wanted
        # The cheap question first: most machines have none.
        if not wanted.build or find_spec("tensorrt") is None or self.machine.why_not("tensorrt"):
            return None
        precision = wanted.precision or default_precision("tensorrt", self.machine)
        if precision == "int8":
            return None
        request = self._request("tensorrt", precision, allow_slower=False)
        return replace(request, config=replace(request.config, optimization_level=_SOONER))

    def _key_here(self, key: EngineKey) -> EngineKey:
        return replace(key, environment=self.machine.environment(key.backend))

    def _in_vain(self, key: EngineKey, *, quiet: bool = False) -> bool:
        """Whether an engine was tried before and came to nothing; one line says so."""
        found = self.cache.refusals.find(key)
        if found is not None and not quiet:
            self.watcher.notice(
                f"not tried again since {found.noted_at[:10]}: {found.why} "
                "('streamseg build-engine' tries, 'streamseg engines --prune all' forgets)"
            )
        return found is not None

    def _remember(self, key: EngineKey, error: StreamsegError) -> None:
        # A full disk, a full GPU or a missing library may be over at the next run.
        passing = isinstance(error, (CacheError, BackendUnavailableError))
        if not passing and not is_out_of_memory(error):
            self.cache.refusals.note(key, self.wanted.header.name, str(error))

    def _build(self, request: BuildRequest, reason: str, *, remember: bool) -> Chosen:
        title = f"{TITLES[request.backend]} {request.config.precision}"
        self.watcher.notice(f"building the {title} engine of {request.header.name}")
        self._tried.add(request.backend)
        key = self._builder.key(request)
        try:
            built = self._builder.build(request)
        except (EngineError, ModelError) as error:
            if remember:
                self._remember(key, error)
            raise
        if remember and built.header.key.config != key.config:
            self.cache.refusals.note(
                key, request.header.name, "there was no GPU memory for its largest batch"
            )
        self.watcher.notice(f"built in {built.header.build_seconds:.1f} s: {built.path}")
        candidate = Candidate(path=built.path, header=built.header, invalid=None)
        return replace(self.open(candidate), reason=reason)

    def _request(self, backend: str, precision: Precision, *, allow_slower: bool) -> BuildRequest:
        wanted, size = self.wanted, self.wanted.size
        return BuildRequest(
            model=wanted.model,
            header=wanted.header,
            backend=backend,
            config=BuildConfig(
                precision=precision,
                profile=Profile(
                    batch=default_batch(
                        wanted.header,
                        wanted.batch,
                        on_cpu=computes_on_cpu(backend, self.machine),
                        low_latency=wanted.low_latency,
                    ),
                    min_size=size,
                    opt_size=size,
                    max_size=size,
                ),
            ),
            pictures=self.pictures,
            allow_slower=allow_slower,
            threads=wanted.threads,
        )


def _sentence(what: str, error: StreamsegError) -> str:
    """A gate's sentence says it all."""
    from streamseg.runtime.building.gate import GateError

    return str(error) if isinstance(error, GateError) else f"{what}: {error}"
