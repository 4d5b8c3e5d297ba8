"""What a run asks for, and which engine files of the cache answer it. Opens none of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from streamseg.errors import UsageError
from streamseg.models.modelfile import ModelHeader
from streamseg.runtime.backends.base import LoadOptions, Precision
from streamseg.runtime.backends.names import BACKENDS, TITLES, Machine
from streamseg.runtime.building.request import program_path
from streamseg.runtime.cache.enginefile import EngineHeader
from streamseg.runtime.cache.enginekey import EngineKey, file_sha256
from streamseg.runtime.cache.folder import CacheEntry, EngineCache


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a run asks for."""

    model: Path
    header: ModelHeader
    backend: str = "auto"
    precision: Precision | None = None
    """None takes the best one."""
    size: tuple[int, int]
    """Width and height of the frames to come."""
    threads: int | None = None
    batch: int | None = None
    low_latency: bool = False
    build: bool = True
    """Whether engines may be built now."""

    @property
    def load_options(self) -> LoadOptions:
        """How the chosen engine is to be run."""
        return LoadOptions(batch=self.batch, threads=self.threads, low_latency=self.low_latency)


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An engine file for the wanted model."""

    path: Path
    header: EngineHeader
    invalid: str | None
    """Why it does not run here; None if it does."""
    impossible: bool = False
    """Its backend cannot run here, so that building it anew is no way out."""
    elsewhere: bool = False
    """Built on another GPU, or with another version, for this one, too: not proven here yet."""
    serves: bool = True
    """Its best batch is one that the run wants: a camera's engine leaves a large GPU idle."""

    @property
    def key(self) -> EngineKey:
        """What it is tied to."""
        return self.header.key

    @property
    def title(self) -> str:
        """For people."""
        return f"{TITLES.get(self.key.backend, self.key.backend)} {self.key.config.precision}"

    @property
    def speedup(self) -> float:
        """Frames a second over ONNX Runtime fp32, as proven; 0 if unknown."""
        return float(self.header.proof.get("speedup") or 0)


def invalid_here(key: EngineKey, machine: Machine) -> str | None:
    """Why an engine of this key does not run on this machine; None if it does."""
    why_not = machine.why_not(key.backend) if key.backend in BACKENDS else "unknown backend"
    return why_not or key.mismatch(machine.environment(key.backend))


def find_candidates(
    wanted: Wanted,
    cache: EngineCache,
    machine: Machine,
    backend: str | None = None,
    *,
    unreadable: Callable[[CacheEntry], None] = lambda _: None,
) -> list[Candidate]:
    """Engine files of the wanted model, precision and size, valid ones and fast ones first.

    `unreadable` is called with every file that cannot be read: whose it was, nobody knows.

    Raises:
        CacheError: the cache cannot be used.
    """
    entries = cache.entries()
    if not entries:
        return []
    for entry in entries:
        if entry.header is None:
            unreadable(entry)
    model = file_sha256(wanted.model)
    found = [
        _candidate(wanted, entry.path, header, machine)
        for entry in entries
        if (header := _fitting(wanted, entry, model, backend)) is not None
    ]
    return sorted(
        found, key=lambda c: (c.invalid is not None, not c.serves, c.elsewhere, -c.speedup)
    )


def _fitting(
    wanted: Wanted, entry: CacheEntry, model: str, backend: str | None
) -> EngineHeader | None:
    header = entry.header
    if header is None or header.key.model_sha256 != model:
        return None
    key = header.key
    if backend not in (None, key.backend) or wanted.precision not in (None, key.config.precision):
        return None
    return header if key.covers(wanted.size) else None


def _candidate(wanted: Wanted, path: Path, header: EngineHeader, machine: Machine) -> Candidate:
    key = header.key
    invalid = invalid_here(key, machine)
    impossible = invalid is not None and machine.why_not(key.backend) is not None
    if invalid is None:
        try:
            program = program_path(wanted.model, key.backend)
            if program is not None and file_sha256(program) != key.program_sha256:
                invalid = f"built from another {program.name}"
        except UsageError as error:
            invalid, impossible = str(error), True
    return Candidate(
        path=path,
        header=header,
        invalid=invalid,
        impossible=impossible,
        elsewhere=invalid is None and key.environment != machine.environment(key.backend),
        serves=_serves(key, wanted),
    )


def _serves(key: EngineKey, wanted: Wanted) -> bool:
    """Whether an engine's best batch is right: any is for live frames, and on a CPU."""
    on_gpu = key.backend == "tensorrt" or key.environment.get("device", "").startswith("CUDA")
    single = key.config.profile.batch[1] == 1 and wanted.header.fixed_batch is None
    return not (on_gpu and single) or wanted.low_latency or wanted.batch == 1


def computes_on_cpu(backend: str, machine: Machine) -> bool:
    """Whether a backend computes on the CPU here.

    Raises:
        BackendUnavailableError: it does not run here at all.
    """
    if backend == "torch":
        return machine.environment(backend).get("device", "CPU") == "CPU"
    return backend == "onnxruntime"


def default_precision(backend: str, machine: Machine) -> Precision:
    """The precision that is built where none is asked for.

    Raises:
        BackendUnavailableError: the backend does not run here.
    """
    if backend == "onnxruntime":
        return "int8"
    if backend == "torch":
        return "fp32" if computes_on_cpu(backend, machine) else "fp16"
    return "fp16" if find_spec("onnx") is not None else "fp32"


def default_batch(
    header: ModelHeader, batch: int | None = None, *, on_cpu: bool, low_latency: bool = False
) -> tuple[int, int, int]:
    """Smallest, best and largest batch of an engine where none are asked for."""
    if header.fixed_batch is not None:
        return header.fixed_batch, header.fixed_batch, header.fixed_batch
    if low_latency or on_cpu:  # on a CPU a larger batch only adds latency
        best = batch or 1
        return 1, best, best
    best = batch or 8
    return 1, best, max(best, 16)
