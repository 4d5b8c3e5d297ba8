"""What a list of models says of each: from its header, and from running it for a moment."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from streamseg.cli.enginetables import aligned
from streamseg.errors import StreamsegError
from streamseg.models.modelfile import ModelHeader, builtin_models, find_model, read_header
from streamseg.runtime.choosing.choice import choose_engine
from streamseg.runtime.options import EngineOptions

_SECONDS, _LEAST_RUNS = 0.6, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """One frame on this machine."""

    ms: float
    """Median milliseconds of a frame at the model's default size."""
    engine: str
    precision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """What is said of one model."""

    model: str
    """As it is asked for: a name or a path."""
    path: Path | None = None
    header: ModelHeader | None = None
    timing: Timing | None = None
    """None if it was not run."""
    problem: str | None = None
    """Why it cannot be used, in a sentence."""

    @property
    def accuracy(self) -> str:
        """``70.9 % mIoU``, or a dash."""
        known = {} if self.header is None else self.header.accuracy
        miou = known.get("miou")
        if not isinstance(miou, (int, float)):
            return "-"
        return f"{100 * miou:.1f} % mIoU"

    def notes(self) -> list[str]:
        """What does not fit into a row: purpose, where the accuracy is from, the classes."""
        if self.header is None:
            return [f"{self.model}: cannot be used: {self.problem}"]
        header = self.header
        known = header.accuracy
        pictures = known.get("pictures")
        where = [str(known[key]) for key in ("split", "truth") if key in known]
        where += [f"{pictures} pictures"] if pictures is not None else []
        lines = [
            ("for", header.purpose),
            ("learnt from", header.training_data),
            ("made from", header.source_file),
            ("mIoU on", ", ".join(where)),
            ("classes", ", ".join(header.classes.names)),
        ]
        return [f"{header.name}:", *(f"  {what}: {text}" for what, text in lines if text)]

    def as_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        values: dict[str, Any] = {"model": self.model, "problem": self.problem}
        if self.header is not None:
            header = self.header
            values |= {
                "name": header.name,
                "file": str(self.path),
                "classes": list(header.classes.names),
                "purpose": header.purpose,
                "training_data": header.training_data,
                "training_data_licence": header.training_data_licence,
                "accuracy": header.accuracy,
                "default_size": list(header.default_size),
                "fixed_size": header.fixed_size and list(header.fixed_size),
                "fixed_batch": header.fixed_batch,
                "multiple": header.multiple,
            }
        if self.timing is not None:
            timing = self.timing
            values |= {"ms": timing.ms, "engine": timing.engine, "precision": timing.precision}
        return values


def sheets_of(
    files: Sequence[str],
    *,
    timing: bool = True,
    threads: int | None = None,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> list[Sheet]:
    """The built-in models, then other files.

    Args:
        files: names or paths beside those that come along.
        timing: run each for a moment.
        threads: CPU threads to run with; None takes all cores.
        progress: called as ``(phase, done, total)``.
    """
    names = [*builtin_models(), *files]
    sheets = []
    for number, name in enumerate(names):
        progress("running each for a moment" if timing else "reading", number, len(names))
        sheets.append(_sheet(name, timing, threads))
    return sheets


def _sheet(model: str, timing: bool, threads: int | None) -> Sheet:
    try:
        path = find_model(model)
        header = read_header(path)
        taken = _timing(path, header, threads) if timing else None
    except StreamsegError as error:
        return Sheet(model=model, problem=str(error))
    return Sheet(model=model, path=path, header=header, timing=taken)


def _timing(path: Path, header: ModelHeader, threads: int | None) -> Timing:
    options = EngineOptions(model=path, threads=threads, build=False)
    chosen = choose_engine(options, low_latency=True)
    width, height = header.default_size
    frame = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), np.uint8)
    with chosen.engine as engine:
        engine.infer(frame)  # the first allocates
        taken: list[float] = []
        while sum(taken) < _SECONDS or len(taken) < _LEAST_RUNS:
            start = time.perf_counter()
            engine.infer(frame)
            taken.append(time.perf_counter() - start)
        return Timing(
            ms=1000 * median(taken), engine=engine.spec.backend, precision=chosen.precision
        )


def as_text(sheets: Sequence[Sheet]) -> str:
    """A table, then what each is for and can tell apart."""
    rows = [("model", "classes", "accuracy", "size", "ms", "precision", "file")]
    notes: list[str] = []
    for sheet in sheets:
        notes += sheet.notes()
        header, timing = sheet.header, sheet.timing
        if header is None:
            continue
        size = "x".join(map(str, header.default_size)) + (" only" if header.fixed_size else "")
        rows.append(
            (
                header.name,
                str(len(header.classes)),
                sheet.accuracy,
                size,
                "-" if timing is None else f"{timing.ms:.0f}",
                "-" if timing is None else timing.precision,
                str(sheet.path),
            )
        )
    table = [aligned(rows, right=[1, 4])] if len(rows) > 1 else []
    return "\n".join([*table, *notes])
