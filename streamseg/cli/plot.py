"""`streamseg plot`: a table of measures as a picture."""

from __future__ import annotations

import click

from streamseg.cli.options import names_of


@click.command()
@click.argument("table", metavar="TABLE")
@click.argument("dst", metavar="OUT")
@click.option("--classes", metavar="A,B", help="Draw these as lines; else all are stacked.")
@click.option("--events", metavar="FILE.json", help="Shade the times of these events.")
@click.option(
    "--palette",
    default="bright",
    show_default=True,
    metavar="NAME|FILE",
    help="bright, colour-blind, camvid, cityscapes, voc, or a file.",
)
@click.option("--overwrite", is_flag=True, help="Replace an existing output file.")
def plot(
    table: str, dst: str, classes: str | None, events: str | None, palette: str, overwrite: bool
) -> None:
    """Draw how much of the picture each class is over time.

    TABLE is what 'streamseg video IN --measure TABLE' wrote (.csv, .jsonl or .parquet), OUT a .png
    or .svg. Needs matplotlib.
    """
    from streamseg.measures.plot import plot_table

    plot_table(
        table, dst, classes=names_of(classes), events=events, palette=palette, overwrite=overwrite
    )
