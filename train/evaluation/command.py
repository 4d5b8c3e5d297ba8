"""``python -m train eval``: a checkpoint or a model file against a labelled split.

python -m train eval runs/mbv2/best.safetensors --data DIR --scales 0.75,1,1.25 --flip
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import click
import torch
from rich.console import Console
from rich.progress import track

from train.console import DEBUG, FILE, one_sentence
from train.data.detect import AUTO, layout_of
from train.data.layouts import LAYOUTS
from train.device import choose_device
from train.errors import UsageError
from train.evaluation.crf import crf_config
from train.evaluation.measure import Protocol, as_json, find_layout, measure, open_split
from train.evaluation.measure import predictor as make_predictor
from train.evaluation.output import check_outputs, label_writer, show, write_json
from train.evaluation.subject import open_subject
from train.evaluation.views import Views


class Scales(click.ParamType[tuple[float, ...]]):
    """``0.5,1,1.5``."""

    name = "S,S,..."

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[float, ...]:
        """Parse; a tuple is taken as it is."""
        if isinstance(value, tuple):
            return value
        try:
            return tuple(float(part) for part in str(value).split(","))
        except ValueError:
            self.fail(f"{value!r}: write numbers with commas between, such as 0.75,1,1.25")


class Size(click.ParamType[tuple[int, int]]):
    """``WIDTHxHEIGHT``, multiples of 32, as (height, width)."""

    name = "WxH"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        """Parse; a tuple is taken as it is."""
        if isinstance(value, tuple):
            return value
        match = re.fullmatch(r"(\d+)x(\d+)", str(value))
        if match is None:
            self.fail(f"{value!r}: write WIDTHxHEIGHT, such as 480x352")
        width, height = int(match[1]), int(match[2])
        if min(width, height) < 32 or width % 32 or height % 32:
            self.fail(f"{value!r}: both sides must be multiples of 32")
        return height, width


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.argument("model", type=FILE, metavar="CKPT|MODEL.onnx")
@click.option("--data", type=FILE, required=True, help="Data folder.")
@click.option(
    "--layout", type=click.Choice([AUTO, *sorted(LAYOUTS)]), help="Default: the model's own."
)
@click.option("--split", help="Default: what the model is validated on (val).")
@click.option("--scales", type=Scales(), default=(1.0,), help="Sizes whose results are fused.")
@click.option("--flip", is_flag=True, help="Fuse with the mirrored picture.")
@click.option("--slide", type=int, metavar="CROP", help="Slide a window of CROP x CROP pixels.")
@click.option("--stride", type=int, help="From window to window (default: 2/3 of CROP).")
@click.option(
    "--fuse",
    type=click.Choice(["mean", "max"]),
    default="mean",
    show_default=True,
    help="mean: of probabilities; max: of scores (DeepLabV2).",
)
@click.option("--crf", is_flag=True, help="Refine with a dense CRF.")
@click.option(
    "--crf-set",
    "crf_values",
    multiple=True,
    metavar="KEY=VALUE",
    help="A weight or width of it, e.g. smoothness_sigma=1; means --crf.",
)
@click.option("--size", type=Size(), help="What scale 1 is (default: each picture's size).")
@click.option("--limit", type=click.IntRange(min=1), help="So many pictures, evenly spaced.")
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, cuda:1, ...")
@click.option("--threads", type=click.IntRange(min=1), help="CPU threads (default: all cores).")
@click.option("--json", "json_path", type=FILE, help="Write the result.")
@click.option("--save-labels", type=FILE, help="Write index PNGs to DIR.")
@click.option("--overwrite", is_flag=True, help="Replace what --json and --save-labels name.")
@DEBUG
def main(
    model: Path,
    data: Path,
    layout: str | None,
    split: str | None,
    scales: tuple[float, ...],
    flip: bool,
    slide: int | None,
    stride: int | None,
    fuse: Literal["mean", "max"],
    crf: bool,
    crf_values: tuple[str, ...],
    size: tuple[int, int] | None,
    limit: int | None,
    device: str,
    threads: int | None,
    json_path: Path | None,
    save_labels: Path | None,
    overwrite: bool,
    debug: bool,
) -> None:
    """Evaluate a checkpoint or a model file on a labelled split.

    Whole pictures by default. A model file gives labels, not scores: it is run whole and at one
    scale.
    """
    try:
        views = Views(scales=scales, flip=flip, window=slide, stride=stride, fuse=fuse)
        field = crf_config(crf_values) if crf or crf_values else None
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    check_outputs(json_path, save_labels, overwrite=overwrite)
    deployed = model.suffix.lower() == ".onnx"
    if threads:
        torch.set_num_threads(threads)
    console = Console()
    with one_sentence(debug, stopped=lambda: "stopped; nothing was measured"):
        chosen = _choose_device(device, deployed=deployed)
        subject = open_subject(model, chosen, threads)
        protocol = Protocol(views=views, crf=field, size=size or subject.size)
        try:
            predict = make_predictor(subject, protocol)
        except ValueError as error:
            raise click.UsageError(str(error)) from error
        split = split or subject.split
        layout = layout or subject.layout or find_layout(data, split, subject.classes)
        layout = layout_of(data, layout)
        dataset = open_split(layout, data, split, subject)
        result = measure(
            dataset,
            predict,
            limit=limit,
            progress=_progress(console),
            save=label_writer(save_labels, dataset.classes),
        )
        where = {"model": str(model), "data": str(data), "layout": layout, "split": split}
        values = as_json(result, subject, protocol, **where)
        if json_path is not None:
            write_json(json_path, values)
    show(console, values)


def _choose_device(name: str, *, deployed: bool) -> torch.device:
    """Model files run on the CPU.

    Raises:
        UsageError: another device for one, or none of that name.
    """
    if deployed and name not in ("auto", "cpu"):
        raise UsageError(
            f"--device {name}: a model file is evaluated on the CPU; leave --device out"
        )
    return torch.device("cpu") if deployed else choose_device(name)


def _progress(console: Console) -> Callable[[Iterable[int], int], Iterator[int]]:
    def wrap(items: Iterable[int], total: int) -> Iterator[int]:
        hidden = not console.is_terminal
        yield from track(items, "evaluating", total, console=console, disable=hidden)

    return wrap
