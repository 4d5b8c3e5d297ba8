"""``python -m train report RUN...``: tables and figures of finished runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
import torch
from rich.console import Console

from train.console import DEBUG, FILE, make_bar, one_sentence
from train.device import choose_device
from train.report.build import Request, build_report
from train.report.cost import read_latencies
from train.report.document import FIGURES, Output, write_report
from train.report.evaluation import read_evaluation
from train.report.runs import read_runs


class Bar:
    """A progress bar on a terminal; elsewhere nothing."""

    def __init__(self, console: Console) -> None:
        self.bar = make_bar(console)
        self.drawing: Any = None

    def track(self, items: Iterable[Any], count: int, what: str) -> Iterable[Any]:
        """Show an iteration."""
        task = self.bar.add_task(what, total=count)
        for item in items:
            yield item
            self.bar.advance(task)
        self.bar.remove_task(task)

    def draw(self, what: str) -> None:
        """Show which figure is drawn."""
        if self.drawing is None:
            self.drawing = self.bar.add_task("drawing", total=len(FIGURES))
        self.bar.update(self.drawing, description=f"drawing {what}", advance=1)


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("runs", nargs=-1, metavar="[NAME=]RUN...")
@click.option("--eval", "evals", multiple=True, metavar="[NAME=]FILE", help="An eval JSON.")
@click.option("--latency", type=FILE, help="A latency JSON.")
@click.option("--data", type=FILE, help="Data folder to measure on.")
@click.option("--split", help="Its split (default: what the runs are validated on).")
@click.option("--out", type=FILE, default=Path("runs/report"), show_default=True)
@click.option("--pictures", type=click.IntRange(min=0), default=4, show_default=True)
@click.option("--title", default="Report", show_default=True)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads (default: all cores).")
@click.option("--overwrite", is_flag=True, help="Replace an earlier report in --out.")
@DEBUG
def main(
    runs: tuple[str, ...],
    evals: tuple[str, ...],
    latency: Path | None,
    data: Path | None,
    split: str | None,
    out: Path,
    pictures: int,
    title: str,
    device: str,
    threads: int | None,
    overwrite: bool,
    debug: bool,
) -> None:
    """Write tables (Markdown) and figures (PNG) of RUNs: run folders or checkpoints.

    A run without an eval JSON is evaluated on --data; without --data its log speaks for it.
    """
    if not runs and not evals:
        raise click.UsageError("name at least one run folder, checkpoint or --eval file")
    if threads:
        torch.set_num_threads(threads)
    bar = Bar(Console(stderr=True))
    output = Output(folder=out)
    with one_sentence(debug, stopped=lambda: "stopped; nothing of the page was written"):
        request = Request(
            runs=read_runs(runs),
            evaluations=[read_evaluation(argument) for argument in evals],
            latencies=read_latencies(latency) if latency else None,
            data=data,
            split=split,
            pictures=pictures,
            device=choose_device(device),
            title=title,
        )
        names = [run.name for run in request.runs] + [e.name for e in request.evaluations]
        also = [output.domain(evaluation.target) for evaluation in request.evaluations]
        output.check(names, overwrite=overwrite, also=also)
        with bar.bar:
            page = write_report(build_report(request, output, bar.track), output, bar.draw)
    click.echo(f"{page}")
