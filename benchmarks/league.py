"""The league table: networks trained alike, compared in accuracy, size and speed.

    python -m benchmarks.league --data DIR [--out benchmarks/results] NAME=RUN...

Each run's best checkpoint is exported to ONNX in a scratch folder, and all files are timed in turn
on ONNX Runtime: one thread, one picture a call, `--rounds` times round all networks, so that a busy
moment of the machine hits them all; the median counts. Scores come from the whole validation
split, operations and parameters are counted at the same size. ``OUT/camvid_league.md`` holds the
tables and figures of `train.report`, ``OUT/camvid_league.json`` the numbers and the latency file
that ``python -m train report --latency`` reads.
"""

from __future__ import annotations

import datetime
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from rich.console import Console
from rich.progress import track as rich_track

from benchmarks.machine import describe_machine, median, print_result
from engines.errors import EngineBuildError
from engines.export import ExportConfig, export
from streamseg.errors import StreamsegError
from streamseg.run.netsize import parse_frame_size
from streamseg.runtime.engine import Engine
from streamseg.runtime.open import open_engine
from train.errors import TrainError
from train.report.build import Request, build_report
from train.report.cost import Latencies
from train.report.document import write_report
from train.report.entry import Entry
from train.report.evaluation import read_evaluation
from train.report.output import Output
from train.report.runs import Run, read_runs
from train.report.table import DASH, Table
from train.report.tables import number

WARM_UP = 3
"""First rounds that do not count: memory is allocated, code is read in."""


def time_networks(
    engines: dict[str, Engine], size: tuple[int, int], rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of each call, the networks in turn, on one picture of noise.

    Args:
        engines: by name; each runs with one thread.
        size: width and height.
        rounds: that count, after `WARM_UP`.
    """
    width, height = size
    picture_NHWC = np.random.default_rng(0).integers(0, 256, (1, height, width, 3), dtype=np.uint8)
    times: dict[str, list[float]] = {name: [] for name in engines}
    for index in range(rounds + WARM_UP):
        for name, engine in engines.items():
            start = time.perf_counter()
            engine.infer(picture_NHWC)
            if index >= WARM_UP:
                times[name].append(1000 * (time.perf_counter() - start))
    return times


def measure_latencies(runs: Sequence[Run], size: tuple[int, int], rounds: int) -> Latencies:
    """Export every run's checkpoint and time the files.

    Raises:
        TrainError: a run has no checkpoint, or it cannot be read.
        EngineBuildError: it cannot be exported.
    """
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="league-") as folder:
        engines: dict[str, Engine] = {}
        for number_, run in enumerate(runs):
            if run.checkpoint is None:
                raise TrainError(f"{run.place}: no best.safetensors yet; let it reach a validation")
            target = Path(folder) / f"{number_}.onnx"
            export(run.checkpoint, target, ExportConfig(default_size=size))
            engines[run.name] = open_engine(
                target, backend="onnxruntime", size=size, threads=1, batch=1, low_latency=True
            )
        try:
            times = time_networks(engines, size, rounds)
        finally:
            for engine in engines.values():
                engine.close()
    return Latencies(
        engine=f"ONNX Runtime {machine.get('onnxruntime', '?')}, CPU, 1 thread",
        machine=f"{machine['processor']}, {machine['system']}",
        size=size,
        batch=1,
        milliseconds={name: median(values) for name, values in times.items()},
    )


def schedule(runs: Sequence[Run]) -> Table:
    """What each run was trained with: equal, or plainly not."""
    keys = (
        ("Epochs", "train", "epochs"),
        ("Batch", "train", "batch"),
        ("Crop", "data", "crop"),
        ("Optimiser", "optim", "name"),
        ("Learning rate", "optim", "lr"),
        ("Seed", "train", "seed"),
    )
    rows = [
        (
            run.name,
            *(str(run.setting(table, key, DASH)) for _, table, key in keys),
            str(run.environment.get("device", DASH)),
            number(run.seconds / 60 if run.rows else None, 0),
        )
        for run in runs
    ]
    columns = ("Model", *(title for title, _, _ in keys), "Trained on", "Minutes")
    return Table(title="Schedule", columns=columns, rows=tuple(rows))


def foreword(runs: Sequence[Run], latencies: Latencies, rounds: int) -> str:
    """Where, when and how the numbers came about."""
    machine = describe_machine()
    packages = ", ".join(f"{name} {machine[name]}" for name in sorted(machine) if _is_package(name))
    return "\n\n".join(
        [
            f"Written on {datetime.date.today().isoformat()} by `python -m benchmarks.league`.",
            f"Machine: {latencies.machine}; Python {machine['python']}, {packages}.",
            f"Latency: {latencies.regime}; median of {rounds} interleaved rounds after {WARM_UP} "
            "warm-up rounds, engine alone (no decoding, no drawing). Accuracy: the checkpoint in "
            "PyTorch, whole pictures, one scale. GFLOPs count a multiply-add as two.",
            schedule(runs).markdown(),
        ]
    )


def _is_package(name: str) -> bool:
    return name not in ("processor", "cores", "system", "python")


def as_json(entries: Sequence[Entry], latencies: Latencies, runs: Sequence[Run]) -> dict[str, Any]:
    """Everything in numbers; `train.report.cost.read_latencies` reads it too."""
    return {
        "date": datetime.date.today().isoformat(),
        "engine": latencies.engine,
        "machine": latencies.machine,
        "versions": describe_machine(),
        "size": list(latencies.size),
        "batch": latencies.batch,
        "milliseconds": latencies.milliseconds,
        "networks": {
            entry.name: {
                "scores": entry.main.scores if entry.main else None,
                "parameters": entry.cost.parameters if entry.cost else None,
                "gflops": entry.cost.gflops if entry.cost else None,
                "milliseconds": entry.milliseconds,
            }
            for entry in entries
        },
        "recipes": {run.name: run.recipe for run in runs},
    }


@click.command()
@click.argument("runs", nargs=-1, required=True, metavar="[NAME=]RUN...")
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Data folder.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("benchmarks/results"),
    show_default=True,
)
@click.option("--name", default="camvid_league", show_default=True, help="Of page and figures.")
@click.option("--title", default="League on CamVid", show_default=True)
@click.option("--eval", "evals", multiple=True, metavar="FILE", help="Eval JSONs to reuse.")
@click.option("--size", "size_text", default="480x352", show_default=True)
@click.option("--rounds", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--pictures", type=click.IntRange(min=0), default=3, show_default=True)
@click.option("--threads", type=click.IntRange(min=1), help="Of the evaluation in PyTorch.")
@click.option("--overwrite", is_flag=True)
def main(
    runs: tuple[str, ...],
    data: Path,
    out: Path,
    name: str,
    title: str,
    evals: tuple[str, ...],
    size_text: str,
    rounds: int,
    pictures: int,
    threads: int | None,
    overwrite: bool,
) -> None:
    """Compare RUNS."""
    if threads:
        torch.set_num_threads(threads)
    size = parse_frame_size(size_text)
    output = Output(folder=out, page=f"{name}.md", prefix=f"{name}_")
    console = Console(stderr=True)
    try:
        found = read_runs(runs)
        numbers = out / f"{name}.json"
        output.check([run.name for run in found], overwrite=overwrite, also=(numbers,))
        latencies = measure_latencies(found, size, rounds)
        request = Request(
            runs=found,
            evaluations=[read_evaluation(path) for path in evals],
            latencies=latencies,
            data=data,
            pictures=pictures,
            title=title,
            foreword=foreword(found, latencies, rounds),
        )
        report = build_report(request, output, _tracker(console))
        write_report(report, output)
        values = as_json(report.entries, latencies, found)
        output.write_text(numbers, json.dumps(values, indent=1) + "\n")
    except (TrainError, EngineBuildError, StreamsegError) as error:
        click.echo(f"error: {error}", err=True)
        sys.exit(1)
    print_result("league", {"size": list(size), "milliseconds": latencies.milliseconds})


def _tracker(console: Console) -> Any:
    def track(items: Iterable[Any], count: int, what: str) -> Iterator[Any]:
        return iter(
            rich_track(items, what, total=count, console=console, disable=not console.is_terminal)
        )

    return track


if __name__ == "__main__":
    main()
