"""What an evaluation leaves behind: the JSON, the label pictures, the table on the screen."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from streamseg.models.palette import Palette
from train.errors import TrainError


def check_outputs(json_path: Path | None, labels: Path | None, *, overwrite: bool) -> None:
    """Refuse names that cannot be written, before minutes of work.

    Raises:
        click.BadParameter: one is of the wrong kind, or exists and `overwrite` is false.
    """
    if json_path is not None:
        if json_path.is_dir() or not json_path.parent.is_dir():
            raise click.BadParameter(f"{json_path}: give a file in a folder that exists")
        if json_path.exists() and not overwrite:
            raise click.BadParameter(f"{json_path}: exists already; use --overwrite")
    if labels is not None:
        if labels.exists() and not labels.is_dir():
            raise click.BadParameter(f"{labels}: is a file; --save-labels wants a folder")
        if labels.is_dir() and any(labels.iterdir()) and not overwrite:
            raise click.BadParameter(f"{labels}: is not empty; use --overwrite")


def label_writer(
    folder: Path | None, classes: Palette
) -> Callable[[Path, NDArray[np.uint8]], None]:
    """Writes class indices as a PNG in the classes' colours, named as the picture."""
    if folder is None:
        return lambda picture, labels: None
    colours = [value for colour in classes.colours for value in colour]

    def save(picture: Path, labels_HW: NDArray[np.uint8]) -> None:
        image = Image.fromarray(labels_HW, mode="P")
        image.putpalette(colours)
        target = folder / f"{picture.stem}.png"
        partial = folder / f".{target.name}.part"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            image.save(partial, format="PNG")
            partial.replace(target)
        except OSError as error:
            raise TrainError(f"{target}: cannot be written ({error.strerror})") from error

    return save


def write_json(path: Path, values: dict[str, Any]) -> None:
    """Write the result; the file has its name only when it is complete.

    Raises:
        TrainError: it cannot be written.
    """
    partial = path.with_name(f".{path.name}.part")
    try:
        partial.write_text(json.dumps(values, indent=2, allow_nan=False) + "\n")
        partial.replace(path)
    except OSError as error:
        raise TrainError(f"{path}: cannot be written ({error.strerror})") from error


def show(console: Console, values: dict[str, Any]) -> None:
    """Print the result of `train.evaluation.measure.as_json` for people, in percent."""

    def line(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    how = [f"{k} {v}".removesuffix(" True") for k, v in values["protocol"].items() if v]
    line(
        f"{values['name']} ({values['kind']}) on {values['layout']} {values['split']}, "
        f"{values['pictures']} pictures; {', '.join(how) or 'whole picture'}; "
        f"{values['ms_per_picture']:.0f} ms a picture"
    )
    scores, extra = values["scores"], values["cityscapes"]
    named = {
        "mIoU": "miou",
        "mean accuracy": "mean_accuracy",
        "pixel accuracy": "pixel_accuracy",
        "FWIoU": "frequency_weighted_iou",
        "mean F1": "mean_f1",
    }
    line("  ".join(f"{text} {100 * scores[key]:.2f} %" for text, key in named.items()))
    columns = {
        "IoU": "class_iou",
        "precision": "class_precision",
        "recall": "class_recall",
        "F1 = Dice": "class_f1",
    }
    by_name = {heading: scores[key] for heading, key in columns.items()}
    if extra is not None:
        by_name["iIoU"] = extra["class_iiou"]
    table = Table(box=None, pad_edge=False)
    table.add_column("%")
    for heading in by_name:
        table.add_column(heading, justify="right")
    for name in scores["class_iou"]:
        table.add_row(name, *(_percent(column.get(name)) for column in by_name.values()))
    console.print(table)
    if extra is not None:
        line(
            f"mean iIoU {_percent(extra['mean_class_iiou'])} %  "
            f"categories: mean IoU {_percent(extra['mean_category_iou'])} %  "
            f"mean iIoU {_percent(extra['mean_category_iiou'])} %"
        )


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}"
