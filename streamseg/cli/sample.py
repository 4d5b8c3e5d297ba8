"""`streamseg sample`: a clip to try things on."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("path", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--overwrite", is_flag=True, help="Replace an existing file.")
@click.option("--quiet", is_flag=True, help="Print errors only.")
def sample(path: Path, overwrite: bool, quiet: bool) -> None:
    """Copy a short street clip to OUT (.mp4): a clip to try things on."""
    from streamseg.functions import write_sample
    from streamseg.video.file import FileSource

    write_sample(path, overwrite=overwrite)
    if not quiet:
        with FileSource(path, all_streams=False) as clip:
            frames, info = clip.info.frames_expected or 0, clip.info
        seconds = float(frames / info.rate)
        click.echo(f"{path}: {frames} frames, {info.width}x{info.height}, {seconds:g} s")
