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
from train.report.document import write_report
from train.report.evaluation import read_evaluation
from train.report.output import FIGURES, TABLE_FORMATS, Output
from train.report.published import read_published
from train.report.runs import read_runs
from train.report.style import DPI, FORMATS
from train.report.views import read_view


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
@click.option("--pictures-only", is_flag=True, help="Draw the grid, measure nothing.")
@click.option(
    "--view",
    "views",
    multiple=True,
    metavar="[NAME=]RUN:HOW",
    help="A further column of the grid: RUN:crf, RUN:flip+scales=0.75,1,1.25.",
)
@click.option("--published", type=FILE, help="A TOML file of published numbers.")
@click.option(
    "--format",
    "formats",
    type=click.Choice(FORMATS),
    multiple=True,
    help="Of figures, beside PNG; several times for several.",
)
@click.option("--dpi", type=click.IntRange(50, 1200), default=DPI, show_default=True)
@click.option(
    "--tables",
    type=click.Choice(TABLE_FORMATS),
    multiple=True,
    help="Of all tables, beside Markdown; several times for both.",
)
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
    pictures_only: bool,
    views: tuple[str, ...],
    published: Path | None,
    formats: tuple[str, ...],
    dpi: int,
    tables: tuple[str, ...],
    title: str,
    device: str,
    threads: int | None,
    overwrite: bool,
    debug: bool,
) -> None:
    """Write tables and figures of RUNs, which are run folders or checkpoints.

    A run without an eval JSON is evaluated on --data; without --data its log speaks for it.
    """
    if not runs and not evals:
        raise click.UsageError("name at least one run folder, checkpoint or --eval file")
    if (pictures_only or views) and data is None:
        raise click.UsageError("--pictures-only and --view need --data, the pictures")
    if threads:
        torch.set_num_threads(threads)
    bar = Bar(Console(stderr=True))
    kinds = tuple(dict.fromkeys(("png", *formats)))
    output = Output(folder=out, formats=kinds, dpi=dpi, tables=tuple(dict.fromkeys(tables)))
    with one_sentence(debug, stopped=lambda: "stopped; nothing of the page was written"):
        request = Request(
            runs=read_runs(runs),
            evaluations=[read_evaluation(argument) for argument in evals],
            latencies=read_latencies(latency) if latency else None,
            data=data,
            split=split,
            pictures=pictures,
            pictures_only=pictures_only,
            views=[read_view(argument) for argument in views],
            published=read_published(published) if published else (),
            device=choose_device(device),
            title=title,
        )
        names = [run.name for run in request.runs] + [e.name for e in request.evaluations]
        also = [
            file
            for evaluation in request.evaluations
            for file in output.domain(evaluation.target).files.values()
        ]
        output.check(names, overwrite=overwrite, also=also)
        with bar.bar:
            page = write_report(build_report(request, output, bar.track), output, bar.draw)
    click.echo(f"{page}")
