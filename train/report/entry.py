"""One line of a report: a model, with whatever is known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from train.errors import TrainError
from train.report.cost import Cost, Latencies
from train.report.evaluation import Evaluation
from train.report.runs import Run


@dataclass(kw_only=True, slots=True, frozen=True, eq=False)
class Entry:
    """A model of the report. What is None (or empty) is not known, and shown as a dash."""

    name: str
    run: Run | None = None
    evaluations: tuple[Evaluation, ...] = ()
    """The first is the one that models are compared by."""
    cost: Cost | None = None
    milliseconds: float | None = None

    @property
    def main(self) -> Evaluation | None:
        """The evaluation that models are compared by."""
        return self.evaluations[0] if self.evaluations else None

    def score(self, key: str) -> float | None:
        """A score of the main evaluation, a share 0..1."""
        return self.main.value(key) if self.main else None


def join(runs: Sequence[Run], evaluations: Sequence[Evaluation]) -> list[Entry]:
    """Give each evaluation to its run (same checkpoint or same name); others stand alone.

    Raises:
        TrainError: classes differ between models.
    """
    entries = [Entry(name=run.name, run=run) for run in runs]
    for evaluation in evaluations:
        found = next((e for e in entries if _belongs(evaluation, e)), None)
        if found is None:
            found = Entry(name=evaluation.name)
            entries.append(found)
        _check_classes(evaluation, entries)
        position = entries.index(found)
        entries[position] = replace(found, evaluations=(*found.evaluations, evaluation))
    return entries


def _belongs(evaluation: Evaluation, entry: Entry) -> bool:
    if entry.name == evaluation.name:
        return True
    checkpoint = entry.run.checkpoint if entry.run else None
    return _same_file(evaluation.model, checkpoint)


def _same_file(a: Path | None, b: Path | None) -> bool:
    return a is not None and b is not None and a.resolve() == b.resolve()


def _check_classes(evaluation: Evaluation, entries: Sequence[Entry]) -> None:
    for entry in entries:
        known = None
        if entry.run and entry.run.classes:
            known = entry.run.classes.names
        elif entry.main:
            known = entry.main.classes
        if known is not None and known != evaluation.classes:
            raise TrainError(
                f"{evaluation.name}: evaluated on {len(evaluation.classes)} classes "
                f"({evaluation.classes[0]}, ...), but {entry.name} has {len(known)} "
                f"({known[0]}, ...); make one report for each list of classes"
            )


def with_latencies(entries: Sequence[Entry], latencies: Latencies) -> list[Entry]:
    """The entries with their milliseconds.

    Raises:
        TrainError: the file knows none of them.
    """
    times = latencies.milliseconds
    if not any(entry.name in times for entry in entries):
        raise TrainError(
            f"the latency file times {', '.join(times)}, none of which is in this report "
            f"({', '.join(e.name for e in entries)}); name the runs: NAME=RUN"
        )
    return [replace(entry, milliseconds=times.get(entry.name)) for entry in entries]


def targets(entries: Sequence[Entry]) -> list[str]:
    """What anything was measured on: the target that models are compared by, then the others."""
    first = [entry.main.target for entry in entries if entry.main]
    rest = [evaluation.target for entry in entries for evaluation in entry.evaluations]
    return list(dict.fromkeys(first[:1] + rest))


def on_target(entries: Sequence[Entry], target: str) -> list[Entry]:
    """The entries measured on a target, which is then what they are compared by."""
    found = [
        replace(entry, evaluations=tuple(e for e in entry.evaluations if e.target == target))
        for entry in entries
    ]
    return [entry for entry in found if entry.evaluations]


def compared(entries: Sequence[Entry]) -> list[Entry]:
    """The entries whose main evaluation is on what the first one's is on."""
    scored = [entry for entry in entries if entry.main is not None]
    if not scored:
        return []
    target = scored[0].main.target if scored[0].main else ""
    return [entry for entry in scored if entry.main and entry.main.target == target]
