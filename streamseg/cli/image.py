"""`streamseg image`: pictures, and folders of them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from streamseg.cli.options import (
    cleaning_options,
    drawing_options,
    engine_options,
    open_segmenter,
    report_options,
    take_cleaning,
    take_drawing,
)
from streamseg.errors import StreamsegError, UsageError

if TYPE_CHECKING:
    from streamseg.drawing.options import DrawOptions
    from streamseg.labelmaps.options import CleanOptions
    from streamseg.segmenter import Segmenter


@click.command()
@click.argument("paths", metavar="IN... OUT|DIR", nargs=-1, required=True)
@engine_options()
@drawing_options
@cleaning_options
@click.option("--labels", is_flag=True, help="Write class indices as grey PNGs, not drawings.")
@report_options
def image(
    paths: tuple[str, ...],
    labels: bool,
    json_target: str | None,
    quiet: bool,
    **values: Any,
) -> None:
    """Segment pictures: one IN into the file OUT, or any number, and folders, into a folder DIR.

    JPEG, PNG, WebP, TIFF and BMP are read, upright as EXIF says; JPEG, PNG and WebP written. One
    that fails does not stop the others, and the exit code is then 1.
    """
    from streamseg.cli.bars import RunBar
    from streamseg.cli.output import check_json_target, print_text, write_json

    check_json_target(json_target, *paths)
    draw, clean = take_drawing(values), take_cleaning(values)
    jobs = plan(paths, ".png" if labels else None)
    overwrite, size = values.pop("overwrite"), values.pop("size")
    with (
        RunBar(quiet=quiet or json_target == "-") as bar,
        open_segmenter(values, bar.watcher) as segmenter,
    ):
        files: list[dict[str, Any]] = []
        for number, (source, place) in enumerate(jobs, 1):
            bar.begin(f"{number}/{len(jobs)} {source.name}")
            try:
                shares = segment_one(
                    segmenter,
                    source,
                    place,
                    size=size,
                    clean=clean,
                    draw=None if labels else draw,
                    overwrite=overwrite,
                )
            except StreamsegError as error:
                if len(jobs) == 1:
                    raise
                bar.notice(f"error: {error}")
                files.append({"source": str(source), "output": None, "error": str(error)})
                continue
            files.append({"source": str(source), "output": str(place), "shares": shares})
    if json_target is not None:
        write_json({"files": files, "failed": sum("error" in f for f in files)}, json_target)
    if not quiet and json_target != "-":
        print_text("".join(line(file) for file in files))
    if any("error" in file for file in files):
        sys.exit(1)


def segment_one(
    segmenter: Segmenter,
    source: Path,
    place: Path,
    *,
    size: str | None,
    clean: CleanOptions,
    draw: DrawOptions | None,
    overwrite: bool,
) -> dict[str, float]:
    """Segment a picture into a file: a drawing, or class indices if `draw` is None.

    Returns:
        The share of each class that is there.

    Raises:
        StreamsegError: as `Segmenter.image` and `Labels.save`.
    """
    from streamseg.video.picture import check_picture_place

    # Before any work; and an input is never an output.
    check_picture_place(place, overwrite=overwrite, source=source, lossless=draw is None)
    labels = segmenter.image(source, size=size, clean=clean)
    if draw is None:
        labels.save_array(place, overwrite=overwrite)
    else:
        labels.save(place, draw, overwrite=overwrite)
    return labels.shares()


def plan(paths: Sequence[str], suffix: str | None) -> list[tuple[Path, Path]]:
    """Which picture goes where.

    Args:
        paths: of the command line; the last is where results go.
        suffix: that all results have; None keeps a picture's own where it can be written.

    Raises:
        UsageError: no OUT, no picture in a folder, or two pictures for one file.
        OutputError: the folder cannot be made.
    """
    from streamseg.cli.several import outputs_in
    from streamseg.video.picture import KINDS, READ

    if len(paths) < 2:
        raise UsageError("image takes IN and OUT; give a file, or a folder, to write to")
    *given, last = map(Path, paths)
    single = len(given) == 1 and not given[0].is_dir() and not last.is_dir()
    if single and last.suffix:
        return [(given[0], last)]
    sources: list[Path] = []
    for path in given:
        if not path.is_dir():
            sources.append(path)
            continue
        found = sorted(p for p in path.iterdir() if p.suffix.lower() in READ and p.is_file())
        if not found:
            raise UsageError(f"{path}: no picture in this folder ({', '.join(READ)})")
        sources += found

    def name(source: Path) -> str:
        kept = source.suffix.lower() in KINDS and suffix is None
        return source.name if kept else f"{source.stem}{suffix or '.png'}"

    places = outputs_in(last, [str(source) for source in sources], name)
    return list(zip(sources, places, strict=True))


def line(file: dict[str, Any]) -> str:
    """What is said of one picture."""
    if "error" in file:
        return f"{file['source']}: failed\n"
    largest = list(file["shares"].items())[:5]
    shares = ", ".join(f"{name} {100 * share:.1f} %" for name, share in largest)
    return f"{file['output']}: {shares}\n"
